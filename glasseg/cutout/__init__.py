"""From a photo and its mask to a finished picture."""
