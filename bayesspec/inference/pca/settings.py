"""When components are settled, and which of their maps are noise: the numbers that decide it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Numbers that decide a statement, each with the command that shows how often it is right."""

    settled_change: float = 2e-3
    """Part of the loadings' span that is new after a sweep of the linear link, below which no further sweep is made.
    How far fits then are from ones of many more sweeps: ``python benchmarks/decisions.py settled``."""
    converged_change: float = 2e-2
    """The same, below which a fit whose sweeps have run out is said to have converged: ``python
    benchmarks/decisions.py settled``."""
    bound_rise: float = 1e-6
    """Part of itself by which the bound of the log link rises in three sweeps, below which the fit has converged. How
    far it then is from one of a hundredth of that: ``python benchmarks/decisions.py settled``."""
    unreliable: float = 0.5
    """Reliability of a component's map below which it is said to be mostly noise: squared correlation with the true
    maps, ``python benchmarks/decisions.py maps``."""


SETTINGS = Settings()
"""The settings that all fits have."""
