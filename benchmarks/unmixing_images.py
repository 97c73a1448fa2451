"""Images that the factorisation is measured on, and how far a fit of them is off."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.optimize import linear_sum_assignment


def maps(rng: np.random.Generator, side: int, rank: int, width: float) -> np.ndarray:
    """Smooth positive maps, (pixel, rank), mean sum one."""
    fields = np.stack([gaussian_filter(rng.normal(size=(side, side)), width, mode="wrap") for _ in range(rank)])
    fields = (fields / fields.std(axis=(1, 2), keepdims=True)).reshape(rank, -1).T
    positive = np.maximum(fields + 0.3, 0.0) + 0.02
    return positive / positive.sum(axis=1).mean()


def eels_truth(counts: float, side: int = 134, channels: int = 1024, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Edges on a shared power-law background: abundances (pixel, rank) and spectra."""
    rng, energy = np.random.default_rng(seed), 200.0 + 2.0 * np.arange(channels)
    spectra = []
    for onset, slope in [(290.0, 2.9), (470.0, 2.6), (540.0, 2.75), (1900.0, 2.3)]:
        background = energy**-slope
        edge = 0.5 * (1 + np.tanh((energy - onset) / 6.0)) * (energy / onset) ** -3.2
        edge += np.exp(-0.5 * ((energy - onset - 8.0) / 6.0) ** 2)
        spectra.append(0.55 * background / background.sum() + 0.45 * edge / edge.sum())
    return counts * maps(rng, side, 4, 6.0), np.array(spectra)


def eels(counts: float, side: int = 134, channels: int = 1024, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Counts (pixel, channel) and spectra of `eels_truth`."""
    abundances, spectra = eels_truth(counts, side, channels, seed)
    return np.random.default_rng(1000 + seed).poisson(abundances @ spectra), spectra


def sparse(counts: float, side: int = 256, channels: int = 2048, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Lines on bremsstrahlung, few counts: counts (pixel, channel) and spectra."""
    rng, energy = np.random.default_rng(seed), 0.01 * (np.arange(channels) + 0.5)
    background = np.clip(20.5 - energy, 0, None) / energy * np.exp(-0.45 / energy**1.5)
    spectra = []
    for lines in [(0.525, 6.404, 7.058), (1.740, 0.525), (4.511, 4.932), (8.048, 8.905, 0.930), (1.487, 5.415)]:
        peaks = sum(np.exp(-0.5 * ((energy - line) / 0.035) ** 2) for line in lines)
        spectra.append(0.25 * background / background.sum() + 0.75 * peaks / peaks.sum())
    truth, abundances = np.array(spectra), maps(rng, side, 5, 8.0)
    rows = [rng.poisson(counts * part @ truth).astype(np.uint8) for part in np.array_split(abundances, 64)]
    return np.concatenate(rows), truth


def divergence(counts: np.ndarray, w: np.ndarray, h: np.ndarray) -> float:
    """Kullback-Leibler divergence in float64, by blocks of pixels."""
    total = 0.0
    for x, part in zip(np.array_split(counts, 64), np.array_split(w, 64), strict=True):
        mean = part.astype(np.float64) @ h.astype(np.float64)
        x64 = x.astype(np.float64)
        total += float((x64 * np.log(np.maximum(x64, 1e-300) / np.maximum(mean, 1e-300)) - x64 + mean).sum())
    return total


def angle(found: np.ndarray, truth: np.ndarray) -> float:
    """Mean angle between matched spectra, degrees."""
    cosines = found @ truth.T / np.linalg.norm(found, axis=1)[:, None] / np.linalg.norm(truth, axis=1)
    rows, columns = linear_sum_assignment(-cosines)
    return float(np.degrees(np.arccos(np.clip(cosines[rows, columns], 0, 1))).mean())
