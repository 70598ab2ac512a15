"""Picture files: from bytes to pixels and back."""
