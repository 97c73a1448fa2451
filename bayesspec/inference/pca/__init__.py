"""Poisson principal components."""

import bayesspec.inference.programs  # noqa: F401
