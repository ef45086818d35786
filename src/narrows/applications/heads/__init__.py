"""Classifiers, regressors, matchers and segmenters on a code."""
