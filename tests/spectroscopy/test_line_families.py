import numpy as np
import pytest

from bayesspec import InputError
from bayesspec.spectroscopy.line_families import element_families, families_of
from bayesspec.spectroscopy.xray_lines import xray_line


def names(element: str, low: float = 0.2, high: float = 20.0, beam: float | None = 200.0) -> list[str]:
    return [family.name for family in element_families(element, low, high, beam)]


def test_shells_are_columns_and_l_lines_split_where_the_detector_resolves_them() -> None:
    assert names("Fe") == ["Fe_Ka", "Fe_La"]
    assert names("Pt") == ["Pt_La", "Pt_Lb", "Pt_Ma"]
    assert names("O") == ["O_Ka"]


def test_the_beam_must_ionise_the_edge() -> None:
    assert names("Fe", beam=7.0) == ["Fe_La"]
    assert names("Pt", beam=12.5) == ["Pt_La", "Pt_Ma"]


@pytest.mark.parametrize("element", ["O", "Si", "Fe", "Pt", "U"])
def test_the_named_line_has_one_count(element: str) -> None:
    for family in element_families(element, 0.2, 20.0, 200.0):
        if family.name.endswith("Ka"):
            alpha = [
                w
                for e, w in zip(family.energies_kev, family.weights, strict=True)
                if e < 1.06 * min(family.energies_kev)
            ]
            assert sum(alpha) == pytest.approx(1.0, abs=0.05)
        assert sum(family.weights) >= 1.0


def test_the_beta_of_silicon_is_measured_not_extrapolated() -> None:
    silicon, iron = element_families("Si", 0.2, 20.0, 20.0)[0], element_families("Fe", 0.2, 20.0, 20.0)[0]
    assert sum(silicon.weights) == pytest.approx(1.027, abs=1e-3)
    assert sum(iron.weights) == pytest.approx(1.143, abs=0.01)


def test_a_line_asked_for_is_taken_out_of_its_family() -> None:
    both = {f.name: f for f in families_of(["Fe"], ["Fe_Kb"], 0.2, 20.0, 200.0)}
    assert set(both) == {"Fe_Ka", "Fe_La", "Fe_Kb"}
    assert sum(both["Fe_Ka"].weights) == pytest.approx(1.0)
    assert min(both["Fe_Kb"].energies_kev) > 7.0
    assert both["Fe_Kb"].share_between(7.0, 7.2) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("elements", "lines", "beam", "says"),
    [
        (["Xx"], [], 200.0, "Xx"),
        ([], ["Fe_Kz"], 200.0, "Fe_Ka, Fe_Kb"),
        ([], ["Fe_Ka"], 5.0, "beam energy"),
        ([], ["Pt_Ka"], 200.0, "Pt_Ka at"),
        (["H"], [], 200.0, "H"),
    ],
)
def test_what_cannot_be_seen_is_refused(elements: list[str], lines: list[str], beam: float, says: str) -> None:
    with pytest.raises(InputError) as caught:
        families_of(elements, lines, 0.2, 20.0, beam)
    assert says in str(caught.value)


def test_unresolved_subshells_follow_the_yields() -> None:
    (_, lower) = element_families("Fe", 0.2, 20.0, 200.0)
    energies, weights = np.array(lower.energies_kev), np.array(lower.weights)
    beta = weights[(energies > 0.71) & (energies < 0.73)].sum() / weights[(energies > 0.70) & (energies < 0.71)].sum()
    assert beta == pytest.approx(0.2936, abs=0.002)  # L2 of two places, yield .0036, against L3 of four, .0063


def test_minor_m_lines_of_platinum_are_part_of_its_family() -> None:
    family = next(f for f in element_families("Pt", 0.2, 10.0) if f.name == "Pt_Ma")
    weights = dict(zip(np.round(family.energies_kev, 2).tolist(), family.weights, strict=True))
    assert weights[1.6] == pytest.approx(0.06)  # Mz, taken for Lu Ma where it is missing
    assert weights[2.7] == pytest.approx(0.01)  # M2N4, taken for Rh La
    assert "Mz" in {name for name, _, _ in xray_line("Pt_Ma").satellites}
