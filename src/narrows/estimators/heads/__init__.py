"""Classifier, regressor, matcher and segmenter on an autoencoder's code."""
