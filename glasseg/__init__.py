"""glasseg: photos of eyeglasses on pure white."""

__version__ = "0.1.0"
