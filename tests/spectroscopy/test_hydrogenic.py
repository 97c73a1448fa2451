"""Hydrogenic cross sections against sum rules, limits and the geometry of the apertures."""

import numpy as np
import pytest

from bayesspec.errors import InputError
from bayesspec.spectroscopy import hydrogenic
from bayesspec.spectroscopy.hydrogenic import differential_cross_section, oscillator_strength

BEAM = {"beam_energy_kev": 200.0}


def test_hydrogen_has_its_oscillator_strength() -> None:
    """The continuum holds 0.4350 of the one electron's strength (Bethe and Salpeter)."""
    energy = np.geomspace(13.6057, 1e6, 100001)
    strength = oscillator_strength("H", "K", energy, 1e-9, onset_ev=13.6057)
    assert np.trapezoid(strength, energy) == pytest.approx(0.4350, abs=2e-4)


def test_two_s_and_six_p_electrons_have_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hydrogen's continuum: 0.362 of a 2s electron, 0.188 of a 2p electron; without the empirical correction."""
    monkeypatch.setitem(hydrogenic.L_EXPONENTS, 30, 0.0)
    screened = 30 - hydrogenic.L_SCREENING
    threshold = 0.25 * hydrogenic.RYDBERG_EV * screened**2
    energy = np.geomspace(threshold * (1 + 1e-9), 1e5 * threshold, 100001)
    small = np.full_like(energy, 1e-9)
    both = hydrogenic._l_strength(30, energy, small, threshold, 0.0)
    p_only = hydrogenic._l_strength(30, energy, small, threshold, np.inf)
    assert np.trapezoid(both, energy) == pytest.approx(2 * 0.362 + 6 * 0.188, rel=0.01)
    assert np.trapezoid(p_only, energy) == pytest.approx(6 * 0.188, rel=0.02)


@pytest.mark.parametrize(("element", "shell", "barn"), [("C", "K", 5164.0), ("O", "K", 1380.0), ("Ti", "L", 5598.0)])
def test_cross_sections_of_a_window_of_100_ev(element: str, shell: str, barn: float) -> None:
    """SIGMAK3 and SIGMAL3 at 200 kV and 10 mrad, onsets 284, 532 and 456 eV: sums over 100 eV in barn."""
    onset = {"C": 284.0, "O": 532.0, "Ti": 456.0}[element]
    energy = onset + 2 + 198 / 49 * np.arange(25)
    section = differential_cross_section(element, shell, energy, collection_mrad=10.0, onset_ev=onset, **BEAM)
    assert 1e10 * section.sum() * 198 / 49 == pytest.approx(barn, rel=0.02)


def test_bethe_ridge_and_falling_tail() -> None:
    energy = np.array([300.0, 600.0, 1200.0])
    section = differential_cross_section("C", "K", energy, collection_mrad=20.0, **BEAM)
    slopes = -np.diff(np.log(section)) / np.diff(np.log(energy))
    assert (slopes > 2.5).all()
    assert (slopes < 6.5).all()
    assert not differential_cross_section("C", "K", np.array([200.0]), collection_mrad=20.0, **BEAM).any()


def test_apertures() -> None:
    energy = np.array([560.0])

    def section(collection: float, convergence: float) -> float:
        found = differential_cross_section(
            "O", "K", energy, collection_mrad=collection, convergence_mrad=convergence, **BEAM
        )
        return float(found[0])

    assert section(5, 0) < section(10, 0) < section(40, 0)
    assert section(10, 0.01) == pytest.approx(section(10, 0), rel=0.02)
    assert section(10, 15) < 0.6 * section(10, 0), "a wide beam misses a small aperture"
    assert section(100, 5) == pytest.approx(section(100, 0), rel=0.02)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("La", "M", {}), "K or L edge"),
        (("H", "L", {}), "edge that the element has"),
        (("O", "K", {"collection_mrad": 0.0}), "positive values"),
    ],
)
def test_bad_input(arguments, said: str) -> None:
    element, shell, other = arguments
    with pytest.raises(InputError, match=said):
        differential_cross_section(element, shell, np.array([900.0]), **({"collection_mrad": 10.0} | BEAM | other))
