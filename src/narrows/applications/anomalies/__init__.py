"""Anomaly scores, p-values and flagged rows."""
