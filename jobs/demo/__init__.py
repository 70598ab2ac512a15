"""`glasseg demo`."""
