"""Simple rivals that scikit-learn does not have."""
