import numpy as np

from bayesspec import Acquisition, SpectrumImage
from bayesspec.simulate import line_profile
from bayesspec.spectroscopy.line_families import families_of
from bayesspec.spectroscopy.residual_lines import residual_lines

AXIS = 0.3 + 0.01 * np.arange(1200)
IMAGE = SpectrumImage(np.ones(1200, int), energy=AXIS, acquisition=Acquisition("EDS", 200.0, 130.0))
FAMILIES = families_of(["Si", "Fe"], [], 0.3, 12.0, 200.0)
RATE = 50 + 2e4 * line_profile("Si_Ka", AXIS) + 3e4 * line_profile("Fe_Ka", AXIS)


def test_a_peak_is_found_and_named() -> None:
    counts = np.random.default_rng(0).poisson(RATE + 800 * line_profile("Ca_Ka", AXIS))
    (found,) = residual_lines(counts, RATE, AXIS, IMAGE, FAMILIES)
    assert abs(found.energy_kev - 3.69) < 0.02
    assert "Ca_Ka" in found.candidates
    assert 500 < found.counts < 1200


def test_noise_and_errors_of_a_line_shape_are_no_lines() -> None:
    rng = np.random.default_rng(1)
    assert residual_lines(rng.poisson(RATE), RATE, AXIS, IMAGE, FAMILIES) == []
    wrong = RATE + 300 * line_profile("Fe_Ka", AXIS)
    assert residual_lines(rng.poisson(wrong), RATE, AXIS, IMAGE, FAMILIES) == []


def test_two_photons_counted_as_one_are_told_from_a_line() -> None:
    double = np.exp(-0.5 * ((AXIS - 8.14) / 0.07) ** 2)
    counts = np.random.default_rng(2).poisson(RATE + 60 * double)
    (found,) = residual_lines(counts, RATE, AXIS, IMAGE, FAMILIES)
    assert "counted as one" in found.candidates[0]
