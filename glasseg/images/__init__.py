"""Picture files: bytes in, pixels out, and back."""
