"""Poisson principal components."""
