"""`glasseg bench`."""
