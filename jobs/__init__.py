"""The Ray jobs of glasseg and their command line."""
