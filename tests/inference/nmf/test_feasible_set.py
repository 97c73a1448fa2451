"""What fits as well: feasible transforms and the bands over them."""

import numpy as np
import pytest

from bayesspec.image.counts import Counts
from bayesspec.inference.nmf.feasible_set import BLUR, TOLERANCE, FeasibleSet, extreme_transforms, fractions
from bayesspec.inference.nmf.pixel_groups import group_pixels, independent_groups


def factors(purity: float, components: int = 3, counts: float = 1e4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Abundances whose shares reach a purity, and spectra."""
    rng = np.random.default_rng(seed)
    spectra = rng.dirichlet(np.full(60, 0.5), components)
    shares = rng.dirichlet(np.full(components, 0.5), 600)
    shares[:components] = np.eye(components)
    mix = (purity - 1 / components) / max(1 - 1 / components, 1e-9)
    return counts * (mix * shares + (1 - mix) / components), spectra


def band(abundances: np.ndarray, spectra: np.ndarray, **options: int) -> np.ndarray:
    feasible = FeasibleSet(group_pixels(abundances, 0), spectra, **options)
    shares = fractions(feasible, extreme_transforms(feasible, 0))
    return np.stack([shares.min(axis=0), shares.max(axis=0)])


def test_two_components_have_the_band_of_the_closed_form() -> None:
    abundances, _ = factors(0.8, 2, counts=1e9)
    energy = np.linspace(0, 1, 60)
    spectra = np.stack([1 + energy, 2 - 1.5 * energy])
    spectra /= spectra.sum(axis=1, keepdims=True)
    shares = abundances[:, 0] / abundances.sum(axis=1)
    ratio = spectra[0] / spectra[1]
    # a spectrum can go as far as the purest pixel, and as far as an entry that is zero
    ends = [(1 / (1 - ratio.max()), shares.min()), (shares.max(), 1 / (1 - ratio.min()))]
    total = shares.mean()
    exact = [(total - q) / (p - q) for q in ends[0] for p in ends[1]]
    low, high = band(abundances, spectra)
    assert low[0] == pytest.approx(min(exact), abs=0.01)
    assert high[0] == pytest.approx(max(exact), abs=0.01)


def test_the_band_is_narrow_where_pixels_are_pure_and_wide_where_they_are_not() -> None:
    widths = [np.ptp(band(*factors(purity)), axis=0).max() for purity in (1.0, 0.9, 0.6)]
    assert widths[0] < 0.05 < 0.1 < widths[1] < 0.6 * widths[2]


@pytest.mark.parametrize("purity", [1.0, 0.8, 0.6])
def test_the_band_holds_the_fractions_of_every_factorisation_that_fits(purity: float) -> None:
    abundances, spectra = factors(purity)
    feasible = FeasibleSet(group_pixels(abundances, 0), spectra)
    transforms = extreme_transforms(feasible, 0)
    low, high = (f(fractions(feasible, transforms), axis=0) for f in (np.min, np.max))
    rng, inside = np.random.default_rng(1), 0
    for _ in range(300):
        matrix = feasible.transform(rng.normal(0.0, 0.2 * (1.02 - purity), 6))
        if feasible.excess(matrix)[0].min() >= 0:
            share = fractions(feasible, matrix[None])[0]
            assert (share > low - 0.005).all()
            assert (share < high + 0.005).all()
            inside += 1
    assert inside > 3
    from_corner = abundances @ np.linalg.inv(transforms[2]), transforms[2] @ spectra
    low, high = band(np.maximum(from_corner[0], 0), np.maximum(from_corner[1], 0))
    truth = abundances.sum(axis=0) / abundances.sum()
    assert (low - 0.01 < truth).all()
    assert (truth < high + 0.01).all()


def test_corners_stay_within_the_noise() -> None:
    feasible = FeasibleSet(group_pixels(factors(0.8)[0], 0), factors(0.8)[1])
    transforms = extreme_transforms(feasible, 0)
    np.testing.assert_array_equal(transforms[0], np.eye(3))
    np.testing.assert_allclose(transforms.sum(axis=2), 1, atol=1e-9)
    assert min(feasible.excess(matrix)[0].min() for matrix in transforms) >= -BLUR * TOLERANCE - 1e-9


def test_slopes_are_the_derivatives() -> None:
    feasible = FeasibleSet(group_pixels(factors(0.8)[0], 0), factors(0.8)[1])
    rng = np.random.default_rng(0)
    values, step = rng.normal(0, 0.02, 6), 1e-6 * rng.normal(size=6)
    before, slopes = feasible.excess(feasible.transform(values))
    after, _ = feasible.excess(feasible.transform(values + step))
    moved = slopes @ step
    # the noise is held in the slopes: they are exact where an entry is zero
    near = np.abs(before - TOLERANCE) < 2.0
    assert near.sum() > 5
    np.testing.assert_allclose((after - before)[near], moved[near], atol=0.05 * np.abs(moved[near]).max())


def test_a_fixed_spectrum_stays_and_a_background_gives_nothing() -> None:
    abundances, spectra = factors(0.6)
    for options in ({"n_fixed": 1}, {"n_fixed": 1, "background": 1}):
        feasible = FeasibleSet(group_pixels(abundances, 0), spectra, **options)
        transforms = extreme_transforms(feasible, 0)
        np.testing.assert_array_equal(transforms[:, 2], np.tile([0.0, 0.0, 1.0], (len(transforms), 1)))
        assert (transforms[:, :2, 2].max() > 0.05) == ("background" not in options)


def test_a_spectrum_that_is_known_from_elsewhere_narrows_the_band() -> None:
    abundances, spectra = factors(0.6)
    free, held = (FeasibleSet(group_pixels(abundances, 0), spectra, seen=seen) for seen in ((), (1e5,)))
    wide, narrow = (np.ptp(extreme_transforms(f, 0)[:, 0] @ spectra, axis=0) for f in (free, held))
    noise = np.sqrt(spectra[0] * (1 - spectra[0]) / 1e5)
    assert wide.max() > 20 * noise.max()
    assert (narrow <= 2 * (TOLERANCE * (1 + BLUR) * noise + 1e-6)).all()
    transforms = extreme_transforms(held, 0)
    assert np.abs(transforms[:, 1] - [0, 1, 0]).max() > 0.05  # the others are as open as before
    rng = np.random.default_rng(0)
    values, step = rng.normal(0, 1e-3, 6), 1e-7 * rng.normal(size=6)
    (before, slopes), (after, _) = (held.excess(held.transform(v)) for v in (values, values + step))
    own = slice(-2 * held.runs.shape[0], None)
    np.testing.assert_allclose((after - before)[own], (slopes @ step)[own], rtol=1e-3, atol=1e-9)


def test_one_component_is_all_there_is() -> None:
    abundances, spectra = factors(1.0, 1)
    np.testing.assert_allclose(band(abundances, spectra), 1.0)


def test_groups_keep_the_totals() -> None:
    abundances, _ = factors(0.9)
    groups = group_pixels(abundances, 0)
    finest = (groups.abundances * groups.pixels[:, None])[-groups.finest :]
    np.testing.assert_allclose(finest.sum(axis=0), abundances.sum(axis=0))
    assert groups.pixels[-groups.finest :].sum() == len(abundances)


def least_sigmas(counts: float, seed: int, *, independent: bool) -> float:
    """How far below zero, in standard deviations, the true factors seem to be: half the pixels hold one component."""
    rng = np.random.default_rng(seed)
    spectra = rng.dirichlet(np.ones(60), 2)
    share = np.where(np.arange(400) < 200, 0.0, rng.uniform(0.2, 1.0, 400))
    data = rng.poisson(counts * np.stack([share, 1 - share], axis=1) @ spectra)
    if independent:
        groups = independent_groups(Counts.of(data), spectra, seed)
    else:
        weighted = spectra / spectra.mean(axis=0)
        groups = group_pixels(data @ weighted.T @ np.linalg.inv(weighted @ spectra.T), seed)
    (_, _), (means, noise) = FeasibleSet(groups, spectra).factors(np.eye(2))
    return float((means / noise).min())


def test_the_truth_is_feasible_where_the_noise_does_not_choose_the_groups() -> None:
    apart = [least_sigmas(300.0, seed, independent=True) for seed in range(20)]
    same = [least_sigmas(300.0, seed, independent=False) for seed in range(20)]
    assert np.mean(np.array(apart) > -TOLERANCE) >= 0.9
    assert np.mean(np.array(same) > -TOLERANCE) <= 0.1


def test_measured_groups_have_the_noise_that_they_say() -> None:
    rng = np.random.default_rng(0)
    spectra = rng.dirichlet(np.ones(300), 2)
    truth = np.stack([np.repeat([0.0, 100.0, 400.0], 200), np.full(600, 150.0)], axis=1)
    off = []
    for seed in range(30):
        groups = independent_groups(Counts.of(rng.poisson(truth @ spectra)), spectra, seed)
        assert groups.measured is not None
        assert groups.covariance is not None
        n = groups.finest
        total = (groups.pixels[-n:, None] * groups.measured[-n:]).sum(axis=0)
        variance = (groups.pixels[-n:, None, None] ** 2 * groups.covariance[-n:]).sum(axis=0)
        off.append((total - truth.sum(axis=0)) / np.sqrt(np.diag(variance)))
    assert abs(np.mean(off)) < 0.3
    assert np.std(off) == pytest.approx(1.0, abs=0.25)
