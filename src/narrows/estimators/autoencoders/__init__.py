"""Autoencoders with scikit-learn's interface, one variant per file."""
