"""Abundances that borrow strength from neighbours, as much as held-out counts ask for."""

import jax
import numpy as np

from bayesspec.image.counts import Counts
from bayesspec.inference.nmf.smoothing import centre, learned_strength, proportional, smoothed_abundances

SIDE = 24


def problem(counts: float, *, ordered: bool = True, seed: int = 0) -> tuple[Counts, np.ndarray, np.ndarray]:
    """Two components with a sharp border between them and a ramp; or the same pixels shuffled."""
    rng = np.random.default_rng(seed)
    spectra = rng.dirichlet(np.full(40, 0.7), 2)
    y, x = np.mgrid[:SIDE, :SIDE] / (SIDE - 1)
    maps = np.stack([np.where(x > 0.5, 1.0, 0.1), 0.2 + y], axis=-1).reshape(-1, 2) * counts
    maps = maps if ordered else rng.permutation(maps)
    valid = np.ones((SIDE, SIDE), bool)
    return placed(rng.poisson(maps @ spectra).astype(np.uint16), valid), spectra, maps


def placed(matrix: np.ndarray, valid: np.ndarray) -> Counts:
    return Counts(matrix, valid, np.ones(matrix.shape[1], bool))


def error(found: np.ndarray, truth: np.ndarray) -> float:
    return float(np.sqrt(np.square(found - truth).mean()))


def test_neighbours_are_worth_more_than_the_counts_of_the_pixel() -> None:
    pixels, spectra, maps = problem(20.0)
    strength, scores = learned_strength(pixels, spectra, maps.mean(axis=0), key=jax.random.key(0))
    start = proportional(pixels, maps.mean(axis=0))
    alone, smooth = (smoothed_abundances(pixels, spectra, s, start) for s in (0.0, strength))
    assert strength > 0.1
    assert scores[strength] < scores[0.0]
    assert error(smooth, maps) < 0.5 * error(alone, maps)
    edge = smooth[:, 0].reshape(SIDE, SIDE)[:, SIDE // 2 - 1 : SIDE // 2 + 1].mean(axis=0)
    assert edge[1] - edge[0] > 0.7 * 0.9 * 20  # a border stays a border
    np.testing.assert_allclose(smooth.sum(axis=0), maps.sum(axis=0), rtol=0.05)


def test_pixels_without_spatial_order_lose_nothing() -> None:
    pixels, spectra, maps = problem(200.0, ordered=False)
    strength = learned_strength(pixels, spectra, maps.mean(axis=0), key=jax.random.key(0))[0]
    start = proportional(pixels, maps.mean(axis=0))
    alone, smooth, strong = (error(smoothed_abundances(pixels, spectra, s, start), maps) for s in (0.0, strength, 0.5))
    assert smooth < 1.02 * alone
    assert strong > 1.2 * alone  # which smoothing that is not learned would have cost


def test_without_strength_it_is_the_maximum_of_the_likelihood() -> None:
    pixels, spectra, maps = problem(200.0)
    found = smoothed_abundances(pixels, spectra, 0.0, proportional(pixels, maps.mean(axis=0))).astype(float)
    best = proportional(pixels, maps.mean(axis=0)).astype(float)
    for _ in range(3000):
        best = best * ((pixels.matrix / (best @ spectra)) @ spectra.T)
    loss = [(w @ spectra - pixels.matrix * np.log(w @ spectra + 1e-12)).sum(axis=1) for w in (found, best)]
    assert (loss[0] - loss[1]).mean() < 2e-3  # nats a pixel
    np.testing.assert_allclose(found.sum(axis=0), best.sum(axis=0), rtol=2e-3)


def test_excluded_pixels_are_no_neighbours() -> None:
    pixels, spectra, maps = problem(20.0)
    valid = np.ones((SIDE, SIDE), bool)
    valid[:, SIDE // 2 - 3 : SIDE // 2] = False
    part = placed(pixels.matrix[valid.ravel()], valid)
    left = (np.arange(SIDE * SIDE) % SIDE < SIDE // 2)[valid.ravel()]
    brighter = placed(part.matrix * np.where(left, 3, 1).astype(np.uint16)[:, None], valid)
    start = proportional(part, maps.mean(axis=0))
    found, other = (smoothed_abundances(p, spectra, 0.5, start) for p in (part, brighter))
    np.testing.assert_allclose(other[~left], found[~left], rtol=0.02, atol=0.2)  # nothing came across the gap
    assert other[left].sum() > 2.5 * found[left].sum()


def test_the_strength_of_a_large_image_is_learned_on_its_centre() -> None:
    counts = np.arange(150 * 150, dtype=np.uint16)[:, None] % 7 + 1
    valid = np.ones((150, 150), bool)
    valid[3] = False
    part = centre(placed(counts[valid.ravel()], valid))
    assert part.valid.shape == (144, 144)
    np.testing.assert_array_equal(part.matrix, counts.reshape(150, 150, 1)[3:147, 3:147][part.valid])
