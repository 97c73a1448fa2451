"""How many pixels are summed, and when none are."""

import numpy as np
import pytest

import bayesspec as bs
from bayesspec.image.count_matrix import counts_of
from bayesspec.image.counts import Counts
from bayesspec.image.pixel_blocks import likeness, pixel_block, sampling_block, summed


def counts(counts_per_pixel: float, side: int, *, shuffled: bool = False) -> Counts:
    """Two spectra in halves of an image, or the same pixels in any order."""
    rng = np.random.default_rng(0)
    spectra = rng.dirichlet(np.ones(30), 2)
    share = (np.arange(side * side) % side < side / 2).astype(float)
    share = rng.permutation(share) if shuffled else share
    rates = counts_per_pixel * (share[:, None] * spectra[0] + (1 - share[:, None]) * spectra[1])
    return counts_of(bs.SpectrumImage(rng.poisson(rates).reshape(side, side, 30), energy=np.arange(30.0) + 1))


@pytest.mark.parametrize(("dose", "block"), [(2000.0, 1), (130.0, 2), (30.0, 5)])
def test_few_counts_are_summed_to_five_hundred(dose: float, block: int) -> None:
    assert pixel_block(counts(dose, 40)) == block


def test_many_pixels_are_summed_before_spectra_are_sampled() -> None:
    assert pixel_block(counts(600.0, 100)) == 1
    assert sampling_block(counts(600.0, 100)) == 2


def test_pixels_that_have_nothing_in_common_are_not_summed() -> None:
    assert likeness(counts(600.0, 100)) > 0.9
    assert likeness(counts(600.0, 100, shuffled=True)) < 0.1
    assert sampling_block(counts(600.0, 100, shuffled=True)) == 1
    assert pixel_block(counts(30.0, 40, shuffled=True)) == 1


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("run", [1, 3])
def test_sums_are_those_of_the_rebinned_image(run: int, *, masked: bool) -> None:
    rng = np.random.default_rng(1)
    whole = bs.SpectrumImage(rng.poisson(3.0, (9, 11, 31)), energy=np.arange(31.0) + 1)
    if masked:
        whole = whole.with_mask(rng.random((9, 11)) < 0.1).with_mask(rng.random(31) < 0.2)
    found, wanted = summed(counts_of(whole), 2, run), counts_of(whole.rebin(y=2, x=2, energy=run))
    np.testing.assert_array_equal(found.matrix, wanted.matrix)
    np.testing.assert_array_equal(found.valid, wanted.valid)
    np.testing.assert_array_equal(found.channels, wanted.channels)
    assert summed(found, 1) is found


def test_a_line_scan_is_summed_along_its_line() -> None:
    line = counts_of(bs.SpectrumImage(np.full((5000, 30), 20), energy=np.arange(30.0) + 1))
    assert sampling_block(line) == 2
    found = summed(line, 2)
    assert found.valid.shape == (1, 2500)
    np.testing.assert_array_equal(found.matrix, 40)
