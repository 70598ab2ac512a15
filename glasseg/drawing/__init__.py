"""Drawn photos of glasses, for tests, demos and training."""
