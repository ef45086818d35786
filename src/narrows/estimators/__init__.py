"""Estimators with scikit-learn's interface: autoencoders, heads on their codes, and a detector."""
