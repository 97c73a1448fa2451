"""The images of `selection.py`: smooth maps of spectra with lines or edges, and counts of the log-normal model."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

SIDE, CHANNELS = 24, 64


def maps(rng: np.random.Generator, rank: int) -> np.ndarray:
    """Smooth positive maps, (pixel, rank), mean sum one."""
    fields = np.stack([gaussian_filter(rng.normal(size=(SIDE, SIDE)), 2.5, mode="wrap") for _ in range(rank)])
    fields = (fields / fields.std(axis=(1, 2), keepdims=True)).reshape(rank, -1).T
    positive = np.maximum(fields + 0.3, 0.0) + 0.02
    return positive / positive.sum(axis=1).mean()


def edx_spectra(seed: int, rank: int, shift: float) -> np.ndarray:
    """Two lines of random place and height on a background, on an axis that is shifted by some channels."""
    rng, place = np.random.default_rng(seed), np.arange(CHANNELS) - shift
    background, spectra = np.exp(-place / 25.0), []
    centres, heights = rng.permutation(np.linspace(4, 60, 2 * rank)), rng.uniform(0.4, 1.0, 2 * rank)
    for k in range(rank):
        lines = sum(heights[i] * np.exp(-0.5 * ((place - centres[i]) / 1.3) ** 2) for i in (2 * k, 2 * k + 1))
        spectra.append(0.25 * background / background.sum() + 0.75 * lines / lines.sum())
    return np.array(spectra)


def eels_spectra(seed: int, rank: int, shift: float) -> np.ndarray:
    """Edges on power laws."""
    energy, spectra = 200.0 + 28.0 * (np.arange(CHANNELS) - shift), []
    for onset, slope in [(290.0, 2.9), (470.0, 2.6), (600.0, 2.75), (1100.0, 2.3)][:rank]:
        background = energy**-slope
        edge = 0.5 * (1 + np.tanh((energy - onset) / 40.0)) * (energy / onset) ** -3.2
        edge += np.exp(-0.5 * ((energy - onset - 40.0) / 40.0) ** 2)
        spectra.append(0.55 * background / background.sum() + 0.45 * edge / edge.sum())
    return np.array(spectra)


def simulate(kind: str, dose: float, rank: int, seed: int, wrong: str = "") -> tuple[np.ndarray, np.ndarray]:
    """Counts and rates, (pixel, channel); wrong is "drift" (up to 0.3 channel, slow along y), "gamma" or "gain"."""
    rng = np.random.default_rng([seed, int(dose), rank, kind == "edx"])
    spectra, abundances = edx_spectra if kind == "edx" else eels_spectra, maps(rng, rank)
    most, phase = (0.3 if wrong == "drift" else 0.0), rng.uniform(0, 2 * np.pi)
    rows = abundances.reshape(SIDE, SIDE, rank)
    shifts = most * np.sin(2 * np.pi * np.arange(SIDE) / SIDE + phase)
    rates = dose * np.concatenate([row @ spectra(seed, rank, d) for row, d in zip(rows, shifts, strict=True)])
    if wrong == "gamma":  # rates scatter by 14 %
        return rng.poisson(rates * rng.gamma(1 / 0.14**2, 0.14**2, rates.shape)), rates
    if wrong == "gain":  # 14 % more variance than Poisson counts
        return rng.poisson(rng.gamma(rates / 0.14, 0.14)), rates
    return rng.poisson(rates), rates


def log_normal(pixels: int, channels: int, rank: int, seed: int, level: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Counts of the Poisson log-normal model with a median of `level`, and their log rates."""
    rng = np.random.default_rng(seed)
    loadings = 0.4 * rng.normal(size=(rank, channels)) * np.linspace(1, 0.5, rank)[:, None]
    logs = np.log(level) + 0.5 * rng.normal(size=channels) + rng.normal(size=(pixels, rank)) @ loadings
    return rng.poisson(np.exp(logs)), logs
