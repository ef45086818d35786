"""Fit models and heads, given a plan and a source of rows."""
