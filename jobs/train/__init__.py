"""`glasseg train`."""
