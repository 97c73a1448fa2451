"""Counts and where they lie: the image, its axes, masks, sums and blocks."""
