"""Peaks of standards: their counts, their shape, their place on another axis."""

import numpy as np
import pytest

import bayesspec as bs
from bayesspec.simulate import bremsstrahlung, line_profile
from bayesspec.spectroscopy.line_design import line_design
from bayesspec.spectroscopy.reference_peaks import reference_peaks

AXIS = 0.1 + 0.01 * np.arange(900)
ACQUISITION = bs.Acquisition("EDS", 20.0, 130.0)
COUNTS = {"O_Ka": 4e5, "Si_Ka": 1e6}


def standard(seed: int, resolution: float = 130.0, scale: float = 1.0) -> bs.SpectrumImage:
    rate = sum(n * line_profile(name, AXIS, resolution) for name, n in COUNTS.items())
    rate = scale * (rate + 3e5 * bremsstrahlung(AXIS, 20.0))
    return bs.SpectrumImage(np.random.default_rng(seed).poisson(rate), energy=AXIS, acquisition=ACQUISITION)


def peaks(image: bs.SpectrumImage):
    design = line_design(image, ["O", "Si"])
    return reference_peaks(design, image.sum_spectrum()[design.channels], ["O_Ka", "Si_Ka"])


def test_counts_and_their_uncertainty() -> None:
    for peak in peaks(standard(0)):
        true = COUNTS[peak.line]
        assert peak.counts == pytest.approx(true, rel=5e-3)
        assert peak.sd == pytest.approx(1 / np.sqrt(true), rel=0.35)


def test_the_shape_is_the_detectors_where_counts_show_it() -> None:
    """A detector of 140 eV where 130 eV are assumed: the peak is as wide as it was recorded."""
    silicon = peaks(standard(1, resolution=140.0))[1]
    near = np.abs(silicon.energy - 1.74) < 0.15
    recorded = line_profile("Si_Ka", AXIS, 140.0)[np.isin(AXIS, silicon.energy)][near]
    assumed = line_profile("Si_Ka", AXIS, 130.0)[np.isin(AXIS, silicon.energy)][near]
    shape = silicon.spectrum[near] / silicon.spectrum[near].sum()
    off = [np.abs(shape - true / true.sum()).sum() for true in (recorded, assumed)]
    assert off[0] < 0.4 * off[1]


def test_weak_peaks_keep_the_models_shape() -> None:
    oxygen = peaks(standard(2, scale=2e-4))[0]
    model = line_profile("O_Ka", AXIS)[np.isin(AXIS, oxygen.energy)]
    shape = oxygen.spectrum / oxygen.spectrum.sum()
    assert np.abs(shape - model / model.sum()).sum() < 0.25


def test_another_axis_keeps_the_counts_and_a_shift_moves_them() -> None:
    silicon = peaks(standard(3))[1]
    coarse = 0.1 + 0.02 * np.arange(400)
    moved = silicon.on(coarse, 0.05)
    assert moved.sum() == pytest.approx(silicon.spectrum.sum(), rel=1e-6)
    places = [
        (axis * counts).sum() / counts.sum() for axis, counts in ((silicon.energy, silicon.spectrum), (coarse, moved))
    ]
    assert places[1] - places[0] == pytest.approx(0.05, abs=1e-3)
