"""When intensities are settled, and what their variances are taken to be without counts: the numbers that decide it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Numbers that decide a statement, each with the command that shows how often it is right."""

    spectrum_gain: float = 1e-7
    """Gain of a full step, in nats, below which the fit of one spectrum has converged; above a million nats in
    proportion to the loss. How far intensities then are from their mode: ``python benchmarks/decisions.py settled``."""
    pixel_gain: float = 1e-4
    """Gain of the last step, in nats a pixel, below which the fit of every pixel has converged: ``python
    benchmarks/decisions.py settled``."""
    prior_counts: float = 1.0
    """Counts of the mean spectrum added to a pixel's rate for its variances, as a pixel without counts has no rate.
    Coverage in single pixels of 20, 60 and 300 counts: ``python benchmarks/spectra.py pixels``."""
    least_free: float = 1e-3
    """Share of a column that the columns of a fit must leave open for it to be sought beside them. Elements that are
    found and false ones: ``python benchmarks/spectra.py elements``."""


SETTINGS = Settings()
"""The settings that all fits have."""
