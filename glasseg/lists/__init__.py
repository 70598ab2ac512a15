"""Lists of photos as people keep them."""
