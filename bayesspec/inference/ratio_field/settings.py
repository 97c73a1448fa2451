"""When draws of a ratio field are enough: the numbers that decide it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Numbers that decide a statement, each with the command that shows how often it is right."""

    fewest_independent: float = 50.0
    """Independent draws, in the mean over the pixels, below which the ends of intervals are not relied on. Coverage,
    and how often the draws are enough: ``python benchmarks/ratio_map.py``."""
    warmup: int = 120
    """Sweeps before the first draw, where none are asked for: coverage, ``python benchmarks/ratio_map.py``."""
    residual: float = 0.1
    """Residual at which conjugate gradients end, summed over all pixels in units of their noise: no mode of the field
    is off by more than this part of its standard deviation. Coverage: ``python benchmarks/ratio_map.py``."""


SETTINGS = Settings()
"""The settings that all fits have."""
