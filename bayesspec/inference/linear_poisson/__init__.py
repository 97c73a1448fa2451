"""Counts that are Poisson with a rate of known shapes times unknown intensities."""
