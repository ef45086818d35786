"""Draw figures of rows, codes and results."""
