"""Applications: what a fitted model does."""
