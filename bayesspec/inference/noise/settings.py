"""When counts are said not to be those of a Poisson process: the numbers that decide it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Numbers that decide a statement, each with the command that shows how often it is right."""

    scatter_helps: float = 1.2
    """Factor by which a scatter must bring the bulk of the singular values nearer to that of noise to be taken:
    warnings of clean and of scattered counts, ``python benchmarks/selection.py --case noise``."""
    drift_level: float = 0.01
    """Level of the test for the rank, with drift and without. How often a drift is seen and the rank right: ``python
    benchmarks/selection.py --case noise``."""
    drift_coherent: float = 4.0
    """Standard deviations by which the shifts of neighbours must agree to be called a drift: ``python
    benchmarks/selection.py --case noise``."""
    outlier_factor: float = 4.0
    """A sum is hot above this times the largest of its neighbours, and dead below this part of the smallest: ``python
    benchmarks/decisions.py outliers``."""
    outlier_sigmas: float = 6.0
    """Standard deviations of the counts by which a sum must lie beyond that: ``python benchmarks/decisions.py
    outliers``."""


SETTINGS = Settings()
"""The settings that all fits have."""
