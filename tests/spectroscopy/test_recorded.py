"""Which elements an axis shows a line or an edge of."""

import numpy as np
import pytest

import bayesspec as bs
from bayesspec.spectroscopy.recorded import left_out, recorded_elements


def image(low: float, high: float, beam: float | None = None, technique: str = "EDS") -> bs.SpectrumImage:
    axis = np.linspace(low, high, 200)
    unit = "keV" if technique == "EDS" else "eV"
    acquisition = bs.Acquisition(technique, beam)
    return bs.SpectrumImage(np.zeros((1, 1, 200), np.uint16), energy=axis, energy_unit=unit, acquisition=acquisition)


@pytest.mark.parametrize("alpha", [False, True])
def test_lines_outside_the_axis_or_above_the_beam_are_not_recorded(alpha: bool) -> None:  # noqa: FBT001
    assert recorded_elements(image(1.0, 10.0), ["Fe", "O", "Fe"], alpha=alpha) == (["Fe"], ["O"])
    assert recorded_elements(image(1.0, 10.0, 5.0), ["Fe", "Si"], alpha=alpha) == (["Si"], ["Fe"])


def test_a_beta_line_alone_is_a_line_but_not_one_to_map() -> None:
    above = image(6.8, 10.0)  # Fe_Ka 6.40 keV, Fe_Kb 7.06 keV
    assert recorded_elements(above, ["Fe"]) == (["Fe"], [])
    assert recorded_elements(above, ["Fe"], alpha=True) == ([], ["Fe"])


def test_energy_losses_are_asked_for_edges() -> None:
    losses = image(400.0, 800.0, 300.0, "EELS")
    assert recorded_elements(losses, ["O", "Si"]) == (["O"], ["Si"])
    assert left_out(losses, ["Si"]) == "no edge of Si between 400 and 800 eV: left out"


def test_what_is_left_out_is_said_with_axis_and_beam() -> None:
    assert left_out(image(1.0, 10.0, 5.0), ["O", "Fe"]) == (
        "no line of O, Fe between 1 and 10 keV that 5 keV excite: left out"
    )
