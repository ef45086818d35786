"""Autoencoders with scikit-learn's interface, one named choice of pieces a file."""
