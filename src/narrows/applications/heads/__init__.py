"""Propagate labels, score predictions and segment images, for heads on a code."""
