"""Ratios of phases beside those of their interior."""

import numpy as np
import pytest

import bayesspec as bs
from bayesspec.results.interior_baseline import FEWEST_COUNTS, beside_interior

LINES = ["O_Ka", "Fe_Ka", "Si_Ka"]
PURE = np.array([[0.55, 0.35, 0.10], [0.50, 0.35, 0.15]])


def image(seed: int, dose: float = 6000.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Stripes eight pixels wide; columns beside another hold a quarter of it. Counts, labels, shares."""
    half = [1.0] * 7 + [0.75, 0.25] + [0.0] * 6 + [0.25]
    first = np.array(half + [1 - share for share in reversed(half)])
    shares = np.stack([first, 1 - first], axis=1)[None] * np.ones((24, 1, 1))
    return np.random.default_rng(seed).poisson(dose * shares @ PURE), shares.argmax(axis=2), shares


def drawn(summed: np.ndarray) -> np.ndarray:
    return np.stack([np.random.default_rng(k).dirichlet(each, 400) for k, each in enumerate(summed)], axis=1)


def pure_draws(counts: np.ndarray, shares: np.ndarray) -> np.ndarray:
    return drawn(np.stack([counts[shares[:, :, k] == 1].sum(axis=0) for k in range(2)]))


def test_right_ratios_are_within_their_errors_and_those_of_whole_pixels_are_not() -> None:
    sigmas = []
    for seed in range(20):
        counts, labels, shares = image(seed)
        found = beside_interior(labels, counts, shares, pure_draws(counts, shares), LINES)
        assert found["interior_pixels"].values.tolist() == [24 * (7 + 6)] * 2
        sigmas.append(found["interior_sigmas"].values)
    assert np.abs(sigmas).max() < 3
    whole = np.stack([counts[labels == k].sum(axis=0) for k in range(2)])
    found = beside_interior(labels, counts, shares, drawn(whole), LINES)
    assert found["ratio"].values.tolist() == ["Fe_Ka/O_Ka", "Si_Ka/O_Ka"]
    drawn_together = found["interior_sigmas"].sel(ratio="Si_Ka/O_Ka").values
    assert drawn_together[0] > 5 > -5 > drawn_together[1]
    np.testing.assert_allclose(found["interior_ratio"].sel(ratio="Si_Ka/O_Ka"), [0.1818, 0.3], rtol=0.02)


def test_what_pixels_inside_hold_of_others_is_an_error_of_theirs() -> None:
    counts, labels, shares = image(0)
    whole = drawn(np.stack([counts[labels == k].sum(axis=0) for k in range(2)]))
    doubtful = 0.8 * np.eye(2)[labels] + 0.1
    assert np.abs(beside_interior(labels, counts, doubtful, whole, LINES)["interior_sigmas"]).max() < 2


def test_few_counts_no_interior_and_unknown_ratios_say_nothing() -> None:
    counts, labels, shares = image(0)
    draws = pure_draws(counts, shares)
    few = beside_interior(labels, counts, shares, draws, LINES)["interior_sigmas"]
    assert np.isfinite(few).all()
    counts[labels == 0, 2] = 0
    counts[4, 3, 2] = FEWEST_COUNTS - 1
    found = beside_interior(labels, counts, shares, draws, LINES)["interior_sigmas"].values
    assert np.isfinite(found).tolist() == [[True, False], [True, True]]
    draws[:, 1] = np.nan
    assert np.isfinite(beside_interior(labels, counts, shares, draws, LINES)["interior_sigmas"].values[1]).sum() == 0
    none = beside_interior(np.indices((24, 32)).sum(axis=0) % 2, counts, shares, draws, LINES)
    assert none["interior_pixels"].values.tolist() == [0, 0]
    assert not np.isfinite(none["interior_sigmas"]).any()


@pytest.mark.parametrize("right", [True, False])
def test_check_says_that_ratios_are_not_those_of_the_interior(*, right: bool) -> None:
    counts, labels, shares = image(1)
    maps = bs.LineMaps(counts, lines=LINES)
    whole = np.eye(2)[labels]
    draws = pure_draws(counts, shares) if right else drawn(np.einsum("yxk,yxc->kc", whole, counts))
    seg = bs.Segmentation.from_draws(maps, draws, whole, method="mine", fraction_draws=np.full((400, 2), 0.5))
    found = bs.check(seg)
    assert ("the interior of phase" in found.attrs["verdict"]) != right
    assert right or "Si_Ka/O_Ka" in found.attrs["verdict"]
    assert found["interior_sigmas"].dims == ("phase", "ratio")
    assert "interior_sigmas" not in bs.check(bs.classical.kmeans(maps, 2))
