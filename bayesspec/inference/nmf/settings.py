"""What is said of components: the numbers that decide it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Numbers that decide a statement, each with the command that shows how often it is right."""

    largest_error: float = 0.1
    """Monte Carlo error of an end of a 95 % interval, as a part of its width, up to which it is settled: an interval
    whose ends are off by so much holds 94 % on average, about 45 independent draws. Coverage:
    ``python benchmarks/unmixing_coverage.py --case prior``."""
    fewest_accepted: float = 0.15
    """Share of accepted moves of any kind below which the status says so: ``python benchmarks/unmixing_coverage.py
    --case prior``."""
    nowhere_absent: float = 0.15
    """Share of the background that components could take up from which on it counts as nowhere absent, and its prior is
    flat: coverage on either side, ``python benchmarks/unmixing_coverage.py --case known`` with ``--amount own`` and
    ``proportional``."""
    background_depth: float = 1.0
    """Standard deviations by which a spectrum may fall below zero when background is taken out: ``python
    benchmarks/unmixing_coverage.py --case known``."""
    smoothing_errors: float = 2.0
    """Standard errors by which held-out counts must be predicted better than without smoothing for maps to be smoothed:
    ``python benchmarks/beatles.py``."""


SETTINGS = Settings()
"""The settings that all fits have."""
