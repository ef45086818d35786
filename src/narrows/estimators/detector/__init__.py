"""An anomaly detector: one autoencoder a fold."""
