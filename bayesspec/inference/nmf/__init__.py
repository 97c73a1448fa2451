"""Poisson factorisation: counts ~ Poisson(abundances x spectra)."""
