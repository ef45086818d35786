"""An anomaly detector with one autoencoder per fold."""
