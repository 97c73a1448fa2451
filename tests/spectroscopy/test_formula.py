"""Compositions as formulas and as certificates."""

import pytest

from bayesspec.errors import InputError
from bayesspec.spectroscopy.formula import mass_fractions, oxygen_per_mass


def test_formulas() -> None:
    fractions, sd = mass_fractions("CaF2")
    assert fractions == pytest.approx({"Ca": 0.513333, "F": 0.486667}, abs=1e-5)
    assert set(sd.values()) == {0.0}


def test_certificates_keep_their_sum_and_their_uncertainty() -> None:
    fractions, sd = mass_fractions({"Si": (21.2, 0.1), "O": 42.8})
    assert fractions == pytest.approx({"Si": 0.212, "O": 0.428})
    assert sd == pytest.approx({"Si": 0.001, "O": 0.0})


def test_oxygen_of_oxides() -> None:
    assert oxygen_per_mass("Mg") == pytest.approx(15.999 / 24.305, rel=1e-3)
    assert oxygen_per_mass("Fe", "Fe2O3") == pytest.approx(1.5 * oxygen_per_mass("Fe"))
    assert oxygen_per_mass("F") == 0.0


@pytest.mark.parametrize("bad", ["hello", "Xx2", {"Si": -1.0}, {"Si": 80.0, "O": 60.0}, {}, {"Xx": 50.0}])
def test_what_is_no_composition_is_refused(bad) -> None:
    with pytest.raises(InputError):
        mass_fractions(bad)


def test_an_oxide_is_of_its_element() -> None:
    with pytest.raises(InputError, match="oxide 'SiO2' of Fe"):
        oxygen_per_mass("Fe", "SiO2")
