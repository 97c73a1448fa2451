"""Ionisation cross sections and emission against limits and published values."""

import numpy as np
import pytest
import xraydb

from bayesspec.errors import InputError
from bayesspec.spectroscopy.ionisation import (
    BOHR_RADIUS_CM,
    RYDBERG_KEV,
    emission_cross_section,
    ionisation_cross_section,
    vacancies,
)

BOTE_SALVAT = {("V", "L1", 15.3993): 2.63509e-20, ("Rh", "M3", 1.22321): 2.11571e-19, ("Ho", "K", 163.117): 1.36404e-23}
"""Values of Bote and Salvat's formula (doi:10.1103/PhysRevA.77.042701) in cm^2."""


@pytest.mark.parametrize("key", BOTE_SALVAT)
def test_within_a_third_of_another_theory_for_any_shell(key: tuple[str, str, float]) -> None:
    element, level, beam = key
    assert float(ionisation_cross_section(element, level, beam)) == pytest.approx(BOTE_SALVAT[key], rel=0.33)


def test_bethe_limit() -> None:
    """High overvoltage, not relativistic: 4 pi a0^2 n b (R / E)^2 ln(U) / U with b near 0.8 for K shells."""
    edge = xraydb.xray_edges("C")["K"].energy / 1e3
    u = 100.0
    unit = 2 * 4 * np.pi * BOHR_RADIUS_CM**2 * (RYDBERG_KEV / edge) ** 2 * np.log(u) / u
    assert 0.6 < float(ionisation_cross_section("C", "K", u * edge)) / unit < 1.0


def test_nothing_below_the_edge() -> None:
    assert float(ionisation_cross_section("Fe", "K", 7.0)) == 0.0
    with pytest.raises(InputError, match="a line that the beam excites"):
        emission_cross_section("Fe_Ka", 7.0)
    with pytest.raises(InputError, match="'N7'"):
        ionisation_cross_section("Fe", "N7", 20.0)


def test_vacancies_move_down_within_the_shell() -> None:
    found = vacancies("Pt", "L", 200.0)
    struck = {level: float(ionisation_cross_section("Pt", level, 200.0)) for level in found}
    assert found["L1"] == struck["L1"]
    assert struck["L3"] < found["L3"] < struck["L3"] + struck["L2"] + struck["L1"]


def test_k_emission_is_cross_section_yield_and_share() -> None:
    edge = xraydb.xray_edges("Fe")["K"]
    share = sum(t.intensity for label, t in xraydb.xray_lines("Fe").items() if label.startswith("Ka"))
    expected = float(ionisation_cross_section("Fe", "K", 200.0)) * edge.fyield * share
    assert emission_cross_section("Fe_Ka", 200.0) == pytest.approx(expected, rel=1e-3)
    beta = sum(t.intensity for label, t in xraydb.xray_lines("Fe").items() if label.startswith("Kb"))
    ratio = emission_cross_section("Fe_Kb", 200.0) / emission_cross_section("Fe_Ka", 200.0)
    assert ratio == pytest.approx(beta / share, rel=1e-3)
