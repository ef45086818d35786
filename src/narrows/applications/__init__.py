"""What a fitted model is used for, as functions of a model and a source."""
