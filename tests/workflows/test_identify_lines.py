from pathlib import Path

import numpy as np
import pytest

import bayesspec as bs
from bayesspec.simulate import bremsstrahlung, line_profile
from bayesspec.spectroscopy.detector import gaussian_shares
from bayesspec.spectroscopy.line_families import element_families

AXIS = 0.15 + 0.01 * np.arange(1000)
LINES = {"O_Ka": 3e4, "Mg_Ka": 8e3, "Ca_Ka": 3e3, "Mn_Ka": 2e3, "Fe_Ka": 1e4}


def rate(axis: np.ndarray = AXIS) -> np.ndarray:
    return sum(n * line_profile(name, axis) for name, n in LINES.items()) + 4e4 * bremsstrahlung(axis, 200.0)


def image(counts: np.ndarray) -> bs.SpectrumImage:
    return bs.SpectrumImage(counts, energy=AXIS, acquisition=bs.Acquisition("EDS", 200.0, 130.0))


def test_all_elements_and_no_others_are_proposed() -> None:
    found = bs.identify_lines(image(np.random.default_rng(0).poisson(rate(0.004 + 1.001 * AXIS))))
    assert set(found.elements) == {"O", "Mg", "Ca", "Mn", "Fe"}
    assert all(one.probability > 0.9 for one in found.found)
    assert found.image.elements == found.elements
    iron = next(one for one in found.found if one.element == "Fe")
    assert iron.line == "Fe_Ka"
    assert iron.counts == pytest.approx(1e4, rel=0.05)


def test_a_spot_that_the_sum_hides_is_found() -> None:
    dose = np.full((8, 8), 1 / 64)
    counts = np.random.default_rng(1).poisson(3 * dose[:, :, None] * rate())
    counts[5, 2] += np.random.default_rng(2).poisson(70 * line_profile("Ti_Ka", AXIS))
    found = {one.element: one for one in bs.identify_lines(image(counts)).found}
    assert set(found) == {"O", "Mg", "Ca", "Mn", "Fe", "Ti"}
    assert found["Ti"].local
    assert found["Ti"].counts == pytest.approx(70, abs=4 * np.sqrt(70))
    assert "in one part" in str(found["Ti"])


def test_an_element_that_may_not_be_of_the_sample_is_said_to() -> None:
    grid = rate() + 2e4 * line_profile("Cu_Ka", AXIS)
    found = bs.identify_lines(image(np.random.default_rng(4).poisson(grid)))
    assert {one.element: one.outside for one in found.found if one.outside} == {"Cu": "grid or holder"}
    assert "grid or holder" in repr(found)


def test_lines_that_overlap_are_shared() -> None:
    axis = 0.15 + 0.01 * np.arange(400)
    counts = np.random.default_rng(5).poisson(
        150 * line_profile("S_Ka", axis) + 8e3 * line_profile("O_Ka", axis) + 2e4 * bremsstrahlung(axis, 200.0)
    )
    found = bs.identify_lines(bs.SpectrumImage(counts, energy=axis, acquisition=bs.Acquisition("EDS", 200.0, 130.0)))
    shared = {e: p for e, p in found.probabilities.items() if e in ("S", "Mo", "Pb", "Tl", "Bi", "Hg", "Nb")}
    assert shared["S"] < 0.99
    assert sum(shared.values()) > 0.9
    assert found.probabilities["O"] > 0.99


def test_an_element_is_found_by_its_soft_lines_where_the_hard_ones_are_not_recorded() -> None:
    (lead,) = (f for f in element_families("Pb", 0.2, 8.0, 200.0) if f.name == "Pb_Ma")
    shape = gaussian_shares(np.array(lead.energies_kev), np.array(lead.weights) ** 1.2, AXIS, 130.0)
    peaks = 2e4 * shape + 3e4 * line_profile("O_Ka", AXIS)
    found = bs.identify_lines(image(np.random.default_rng(6).poisson(peaks + 4e4 * bremsstrahlung(AXIS, 200.0))))
    assert {"O", "Pb"} <= set(found.elements)


def test_continuum_alone_holds_no_element() -> None:
    counts = np.random.default_rng(3).poisson(2e5 * bremsstrahlung(AXIS, 200.0))
    assert bs.identify_lines(image(counts)).elements == ()


def test_what_the_file_does_not_state_is_said() -> None:
    counts = np.random.default_rng(7).poisson(rate())
    known = bs.identify_lines(image(counts))
    blind = bs.SpectrumImage(counts, energy=AXIS, acquisition=bs.Acquisition("EDS"))
    found = bs.identify_lines(blind)
    assert known.remarks == ""
    assert "no beam energy" in found.remarks
    assert "130 eV" in found.remarks
    assert found.remarks in repr(found)
    assert set(found.elements) == set(known.elements)


def test_many_lines_refine_the_axis_together() -> None:
    axis, elements = 1.0005 * AXIS - 0.003, ("O", "S", "Cu", "Zn", "Fe", "Ca", "Mn", "K")
    families = [family for element in elements for family in element_families(element, 0.2, 10.0, 200.0)]
    peaks = sum(gaussian_shares(np.array(f.energies_kev), np.array(f.weights), axis, 130.0) for f in families)
    counts = np.random.default_rng(8).poisson(3e5 * peaks + 2e6 * bremsstrahlung(axis, 200.0))
    found = bs.identify_lines(image(counts))
    assert set(found.elements) - {"C"} == set(elements)  # C lies where the continuum is cut off
    np.testing.assert_allclose(found.image.energy[[0, -1]], axis[[0, -1]], atol=4e-3)
    assert found.image.acquisition.resolution_mn_ka_ev == pytest.approx(130.0, abs=2.0)


def test_measured_glass(data: Path) -> None:
    found = bs.identify_lines(bs.load(data / "nist_glass" / "K412" / "III-E K412_0_4.msa"))
    assert {"O", "Mg", "Al", "Si", "Ca", "Fe"} <= set(found.elements)
    assert len(set(found.elements) - {"O", "Mg", "Al", "Si", "Ca", "Fe", "C"}) <= 1


def test_energy_losses_are_refused() -> None:
    with pytest.raises(bs.InputError, match="EDS image in keV"):
        bs.identify_lines(bs.SpectrumImage(np.ones(100, int), energy=np.arange(100.0) + 1, energy_unit="eV"))
