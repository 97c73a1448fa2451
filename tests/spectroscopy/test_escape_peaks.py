import numpy as np
import pytest

import bayesspec as bs
from bayesspec.simulate import bremsstrahlung, line_profile
from bayesspec.spectroscopy.line_design import SILICON_KA_KEV, escape_probability

AXIS = 0.15 + 0.01 * np.arange(1000)


def test_escape_is_most_likely_just_above_the_edge() -> None:
    low, near, far = escape_probability(np.array([1.8, 1.9, 8.0]))
    assert low == 0
    assert 0.005 < near < 0.03
    assert 0 < far < near / 4


def test_an_escape_peak_is_not_taken_for_an_element() -> None:
    clean = 3e5 * line_profile("Ca_Ka", AXIS) + 1e5 * line_profile("Si_Ka", AXIS) + 2e5 * bremsstrahlung(AXIS, 200.0)
    events = 5 * clean * escape_probability(AXIS)
    peaks = np.interp(AXIS + SILICON_KA_KEV, AXIS, events, right=0.0)
    image = bs.SpectrumImage(
        np.random.default_rng(0).poisson(clean + peaks),
        energy=AXIS,
        elements=("Si", "Ca", "P"),
        acquisition=bs.Acquisition("EDS", 200.0, 130.0),
    )
    with pytest.warns(UserWarning, match="a line that no named element explains"):
        without = bs.fit_lines(image, calibrate=False)
    found = bs.fit_lines(image, calibrate=False, escape=True)
    assert float(without.intensities.mean.sel(line="P_Ka")) > 10 * float(found.intensities.mean.sel(line="P_Ka"))
    assert float(found.data["other_draws"].sel(other="escape").mean()) == pytest.approx(peaks.sum(), rel=0.1)
    assert float(found.intensities.mean.sel(line="Ca_Ka")) == pytest.approx(3e5, rel=0.02)
    assert found.misfit < without.misfit
