"""Search by code: hashing, look-up, ranking, and metrics beside baselines."""
