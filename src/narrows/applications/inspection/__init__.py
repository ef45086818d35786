"""What a fitted model looks like inside: unused units, copying, overfitting."""
