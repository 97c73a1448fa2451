"""Mixture of compositions: every pixel belongs to a phase."""

import bayesspec.inference.programs  # noqa: F401
