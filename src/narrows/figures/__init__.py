"""Pictures of rows, codes and results."""
