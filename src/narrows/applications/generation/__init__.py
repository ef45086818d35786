"""New rows: codes drawn, changed and decoded, and a check for copies."""
