"""`glasseg whiten`."""
