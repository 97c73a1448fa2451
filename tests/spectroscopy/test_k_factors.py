"""Theoretical k-factors against published ones, and the laws of joint draws."""

import numpy as np
import pytest
import xarray as xr

import bayesspec as bs
from bayesspec.spectroscopy.composition import KFactors, cliff_lorimer


def test_published_factors_lie_within_two_standard_deviations() -> None:
    """Fe Ka 1.450226 and Pt La 5.075602 of the maker of the microscope behind eXSpy's FePt example, 200 kV."""
    found = bs.k_factors(["Fe_Ka", "Pt_La"], beam_energy_kev=200.0, detector=bs.Detector("none"))
    mean, sd = found["Pt_La"]
    assert mean == pytest.approx(5.075602 / 1.450226, rel=0.1)
    assert 0.1 < sd / mean < 0.25
    assert found["Fe_Ka"] == (1.0, 0.0)


def test_reference_and_scale() -> None:
    lines = ["Si_Ka", "Fe_Ka", "O_Ka"]
    one = bs.k_factors(lines, beam_energy_kev=200.0, reference="Si_Ka")
    other = bs.k_factors(lines, beam_energy_kev=200.0, reference="Fe_Ka")
    assert tuple(one) == tuple(lines)
    assert other["Si_Ka"][0] == pytest.approx(1 / one["Fe_Ka"][0], rel=0.1)
    assert one.source.endswith("window: polymer (assumed)")


def test_a_window_stops_soft_lines_and_the_uncertainty_grows() -> None:
    lines = ["Si_Ka", "O_Ka"]
    bare, polymer, beryllium = (
        bs.k_factors(lines, beam_energy_kev=200.0, detector=bs.Detector(window))["O_Ka"]
        for window in ("none", "polymer", "beryllium")
    )
    assert bare[0] < polymer[0] < beryllium[0]
    assert bare[1] / bare[0] < beryllium[1] / beryllium[0]


def test_what_factors_have_in_common_leaves_the_composition() -> None:
    rng = np.random.default_rng(0)
    common = np.exp(0.3 * rng.standard_normal(1000))
    draws = xr.DataArray(
        np.stack([common, 2 * common], axis=1), dims=("draw", "line"), coords={"line": ["Fe_Ka", "Pt_La"]}
    )
    joint = KFactors(draws, "test")
    intensity = xr.DataArray(np.ones((500, 2)), dims=("draw", "line"), coords={"line": ["Fe_Ka", "Pt_La"]})
    together = cliff_lorimer(intensity, joint, seed=0)["weight_percent"].sel(element="Fe")
    apart = cliff_lorimer(intensity, dict(joint), seed=0)["weight_percent"].sel(element="Fe")
    assert float(together.std()) < 1e-9 < 1.0 < float(apart.std())
    assert float(together.mean()) == pytest.approx(100 / 3)


def test_efficiency_of_a_bare_thick_detector_is_one() -> None:
    detector = bs.Detector("none", dead_layer_nm=0.0, thickness_mm=5.0)
    np.testing.assert_allclose(detector.efficiency(np.array([2.0, 6.4])), 1.0, atol=1e-6)
    thin = bs.Detector("none", thickness_mm=0.45).efficiency(np.array([20.0]))[0]
    assert thin == pytest.approx(1 - np.exp(-0.045 * 2.33 * 4.3), abs=0.03)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: bs.k_factors([], beam_energy_kev=200.0), "no lines"),
        (lambda: bs.k_factors(["Fe_Ka"], beam_energy_kev=0.0), "beam_energy_kev=0.0"),
        (lambda: bs.k_factors(["Fe_Ka"], beam_energy_kev=5.0), "beam excites"),
        (lambda: bs.k_factors(["Fe_Kz"], beam_energy_kev=200.0), "Fe_Kz"),
        (lambda: bs.Detector("glass"), "'glass'"),
        (lambda: bs.Detector(thickness_mm=0.0), "thickness_mm=0.0"),
    ],
)
def test_bad_input(call, said: str) -> None:
    with pytest.raises(bs.InputError, match=said):
        call()
