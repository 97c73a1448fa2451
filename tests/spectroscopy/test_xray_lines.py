"""Lines and their energies."""

import numpy as np
import pytest

from bayesspec import SpectrumImage, element_maps, simulate, spectral_maps
from bayesspec.errors import InputError
from bayesspec.spectroscopy.line_families import element_families
from bayesspec.spectroscopy.xray_lines import default_line, known_lines, lines_in_range, xray_line


@pytest.mark.parametrize(
    ("name", "energy"),
    [
        ("C_Ka", 0.277),
        ("O_Ka", 0.525),
        ("Mg_Ka", 1.254),
        ("Fe_Ka", 6.399),
        ("Mn_Kb", 6.490),
        ("Pt_La", 9.442),
    ],
)
def test_energies_agree_with_the_tables_of_the_field(name: str, energy: float) -> None:
    assert xray_line(name).energy_kev == pytest.approx(energy, abs=0.012)


def test_family_and_satellites_come_from_one_vacancy() -> None:
    line = xray_line("Fe_Ka")
    assert sum(w for _, w in line.members) == pytest.approx(1.0)
    beta = sum(w for family, _, w in line.satellites if family == "Kb")
    assert 0.12 < beta < 0.16
    assert {family for family, _, _ in line.satellites} == {"Kb"}


@pytest.mark.parametrize(("name", "said"), [("Fe_Kz", "Fe_Ka, Fe_Kb"), ("Zz_Ka", "'Zz'"), ("iron", "'iron'")])
def test_unknown_lines_are_refused_with_the_known_ones(name: str, said: str) -> None:
    with pytest.raises(InputError, match="Found") as error:
        xray_line(name)
    assert said in str(error.value)


def test_beam_and_range_decide_which_lines_are_there() -> None:
    assert lines_in_range("Fe", 0.2, 12.0, 20.0) == ("Fe_Ka", "Fe_La")
    assert lines_in_range("Fe", 0.2, 12.0, 5.0) == ("Fe_La",)
    assert default_line("Pt", 0.2, 12.0, 200.0) == "Pt_La"
    with pytest.raises(InputError, match="C has no line between 1 and 12 keV"):
        default_line("C", 1.0, 12.0)
    with pytest.raises(InputError, match="H, which has no line"):
        default_line("H", 0.2, 12.0)
    assert "Fe_Ma" not in known_lines("Fe")


def test_lines_of_all_l_vacancies_belong_to_a_line_that_no_detector_tells_from_them():
    family = next(f for f in element_families("Fe", 0.2, 10.0) if f.name == "Fe_La")
    line = xray_line("Fe_La")
    parts = sorted([*line.members, *((energy, weight) for _, energy, weight in line.satellites)])
    assert np.allclose(parts, sorted(zip(family.energies_kev, family.weights, strict=True)))
    assert {name for name, _, _ in line.satellites} >= {"Ll", "Lb"}
    of_l2 = 11.071  # the strongest line of the L2 vacancy of Pt
    assert all(abs(energy - of_l2) > 0.01 for _, energy, _ in xray_line("Pt_La").satellites)


def test_windows_and_whole_spectra_give_the_ratio_of_compounds_with_l_lines_beside_oxygen():
    sample = simulate.compounds(500, seed=0, shape=(16, 16))
    truth = sample.truth
    for phase in np.flatnonzero(np.isfinite(truth["ratio"])):
        counts = np.round(5e7 * truth["spectra"][phase]).astype(np.int64)[None, None]
        pure = SpectrumImage(counts, energy=sample.energy, elements=sample.elements, acquisition=sample.acquisition)
        for maps in (element_maps(pure, ["Fe_Ka", "O_Ka", "Cr_Ka", "Mn_Ka"], calibrate=False), spectral_maps(pure)):
            net = dict(zip(maps.lines, maps.net()[0, 0], strict=True))
            assert net["Fe_Ka"] / net["O_Ka"] == pytest.approx(truth["ratio"][phase], rel=1e-3)


@pytest.mark.parametrize("typed", ["fe_ka", "FE_KA", "Fe Ka", "Fe-Kα", "Fe_Ka "])
def test_a_line_that_was_meant_is_suggested(typed: str) -> None:
    with pytest.raises(InputError) as raised:
        xray_line(typed)
    assert raised.value.do == "lines=['Fe_Ka']"
