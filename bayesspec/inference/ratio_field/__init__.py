"""Counts of two lines ~ Binomial of their sum, the log ratio a sum of splines of many widths."""

import bayesspec.inference.programs  # noqa: F401
