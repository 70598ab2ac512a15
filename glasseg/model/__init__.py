"""The network, its folder, and how it runs over a photo."""
