"""Measure every estimator at its defaults beside simple rivals, on rows that no fit has seen."""
