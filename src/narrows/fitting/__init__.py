"""From a plan and a source to a fitted model."""
