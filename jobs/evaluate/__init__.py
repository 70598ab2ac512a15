"""`glasseg evaluate` and `glasseg calibrate`."""
