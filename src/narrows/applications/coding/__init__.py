"""Errors, likelihoods and certificates of a model's codes."""
