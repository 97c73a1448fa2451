"""Poisson factorisation: counts ~ Poisson(abundances x spectra)."""

import bayesspec.inference.programs  # noqa: F401
