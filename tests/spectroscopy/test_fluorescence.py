"""Fluorescence where it is known to be large, small and absent."""

import numpy as np
import pytest

from bayesspec.spectroscopy.fluorescence import fluorescence
from bayesspec.spectroscopy.mass_absorption import mass_absorption


def parts(composition: dict[str, float], line: str, beam: float = 20.0, elevation: float = 40.0) -> tuple[float, float]:
    elements = tuple(composition)
    mu = sum(share * mass_absorption(element, line) for element, share in composition.items())
    chi = np.array([mu / np.sin(np.radians(elevation))])
    by_lines, by_continuum = fluorescence(np.array([list(composition.values())]), elements, line, beam, chi)
    return float(by_lines[0]), float(by_continuum[0])


def test_nickel_excites_iron_and_iron_chromium() -> None:
    """About 30 % for 10 % Fe in Ni (Reed 1965), 15 to 20 % for Cr in stainless steel."""
    assert parts({"Fe": 0.1, "Ni": 0.9}, "Fe_Ka", 25.0)[0] == pytest.approx(0.30, abs=0.05)
    assert 0.12 < parts({"Cr": 0.18, "Fe": 0.74, "Ni": 0.08}, "Cr_Ka")[0] < 0.22


def test_small_values_of_a_glass_are_those_of_dtsa() -> None:
    """F - 1 of NIST's DTSA-II for glass K240 at 17 kV: Si 0.0030, Mg 0.0041, Ti 0.0071, Zr 0.0020."""
    k240 = {"O": 0.340, "Mg": 0.030, "Si": 0.187, "Ti": 0.060, "Zn": 0.040, "Zr": 0.074, "Ba": 0.269}
    for line, published in {"Si_Ka": 0.0030, "Mg_Ka": 0.0041, "Ti_Ka": 0.0071, "Zr_La": 0.0020}.items():
        assert parts(k240, line, 17.0)[0] == pytest.approx(published, abs=0.004)


def test_nothing_excites_what_lies_above_it() -> None:
    assert parts({"Fe": 0.5, "Cr": 0.5}, "Fe_Ka")[0] == 0.0
    assert parts({"Fe": 1.0}, "Fe_Ka")[0] == 0.0


def test_the_continuum_excites_hard_lines_by_a_few_per_cent_and_soft_ones_by_less() -> None:
    iron, magnesium = parts({"Fe": 1.0}, "Fe_Ka")[1], parts({"Mg": 0.6, "O": 0.4}, "Mg_Ka")[1]
    assert 0.01 < iron < 0.05
    assert magnesium < 0.2 * iron
