"""Classifier, regressor, matcher and segmenter on the code of an autoencoder."""
