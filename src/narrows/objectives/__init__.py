"""Objectives that the training loop can minimize besides the formula."""
