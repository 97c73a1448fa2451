"""The continuum between lines, and how well it is known."""

import numpy as np
import pytest

from bayesspec.simulate import bremsstrahlung, line_profile
from bayesspec.spectroscopy.continuum import continuum_curve

ENERGY = 0.1 + 0.01 * np.arange(1000)
USED = ENERGY > 0.2
GAP = np.flatnonzero((ENERGY > 0.42) & (ENERGY < 0.62))


def curve_of(spectrum: np.ndarray, free: np.ndarray, seed: int = 0):  # type: ignore[no-untyped-def]
    counts = np.random.default_rng(seed).poisson(spectrum)
    return continuum_curve(ENERGY, counts, free, USED, beam_energy_kev=200.0)


@pytest.mark.parametrize("total", [1e4, 1e6])
def test_the_gap_between_free_channels_holds_the_truth_as_often_as_claimed(total: float) -> None:
    truth = total * bremsstrahlung(ENERGY, 200.0)
    free = np.ones(len(ENERGY), bool)
    free[GAP] = False
    spectrum = truth + np.where(free, 0.0, truth.max())
    z = []
    for seed in range(40):
        found = curve_of(spectrum, free, seed)
        sd = np.sqrt((found.log_share(GAP) ** 2).sum())
        z.append(np.log(found.rate[GAP].sum() / truth[GAP].sum()) / sd)
    assert np.mean(np.abs(z) < 1.645) >= 0.8
    assert np.sqrt(np.mean(np.square(z))) > 0.3


def test_a_wider_gap_is_known_less_and_more_counts_know_it_better() -> None:
    sd = []
    for total, low, high in ((1e5, 0.45, 0.6), (1e5, 0.4, 0.9), (1e7, 0.4, 0.9)):
        gap = np.abs(ENERGY - (low + high) / 2) < (high - low) / 2
        truth = total * bremsstrahlung(ENERGY, 200.0)
        found = curve_of(truth + 10 * truth.max() * gap, ~gap)
        sd.append(float(np.sqrt((found.log_share(np.flatnonzero(gap)) ** 2).sum())))
    assert sd[1] > 1.5 * sd[0]
    assert sd[2] < 0.9 * sd[1]


def test_counts_under_lines_are_an_upper_limit() -> None:
    absorbed = bremsstrahlung(ENERGY, 15.0) * np.exp(-0.5 * (0.6 / ENERGY) ** 3)
    truth = 1e6 * absorbed / absorbed.sum()
    free = ENERGY > 0.9
    found = curve_of(truth + 1e4 * line_profile("O_Ka", ENERGY), free)
    soft = np.flatnonzero((ENERGY > 0.3) & (ENERGY < 0.4))
    assert found.rate[soft].sum() < 1.2 * truth[soft].sum()


def test_channels_that_scatter_more_than_counts_widen_the_curve() -> None:
    truth = 1e6 * bremsstrahlung(ENERGY, 200.0)
    rough = truth * (1 + 0.2 * (-1.0) ** np.arange(len(ENERGY)))
    gap = np.flatnonzero((ENERGY > 6.2) & (ENERGY < 6.6))
    free = np.ones(len(ENERGY), bool)
    free[gap] = False
    smooth, wide = (np.linalg.norm(curve_of(spectrum, free).log_share(gap)) for spectrum in (truth, rough))
    assert wide > 1.3 * smooth


def test_no_counts_at_all_give_a_curve_close_to_nothing() -> None:
    found = curve_of(np.zeros(len(ENERGY)), np.zeros(len(ENERGY), bool))
    assert np.isfinite(found.factors).all()
    assert (found.rate >= 0).all()
