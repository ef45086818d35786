"""Search for nearest rows by brute force, and rank rows by their distance to a query."""
