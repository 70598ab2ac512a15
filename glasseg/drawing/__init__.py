"""Drawn photos of glasses that do not exist, with their exact masks: for the demo, tests, benchmarks and training."""
