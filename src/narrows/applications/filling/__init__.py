"""Fill in hidden and missing values."""
