"""Write arrays, tables and images."""
