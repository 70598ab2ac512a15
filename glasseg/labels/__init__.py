"""Labelled photos: masks, pairs and how they are split."""
