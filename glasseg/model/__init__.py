"""The network, its folder, and how it looks at a photo."""
