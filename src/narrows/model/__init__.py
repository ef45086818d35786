"""A fitted net with its schema, baseline and code densities, applied to rows in batches."""
