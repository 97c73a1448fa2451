"""The XPP model against published parameters, its own constraints, and what physics asks of it."""

import numpy as np
import pytest

from bayesspec.errors import InputError
from bayesspec.spectroscopy.phi_rho_z import ModelFactors, depth_distribution

K240 = {"O": 0.340023, "Mg": 0.030154, "Si": 0.186986, "Ti": 0.059950, "Zn": 0.040168, "Zr": 0.074030, "Ba": 0.268689}
FRACTIONS, ELEMENTS = np.array(list(K240.values())), tuple(K240)
PUBLISHED = {
    "O_Ka": (393.01, 6754, -378725, 7786, 1.63011, 0.0016754),
    "Zr_La": (129.53, 6668, -177201, 8239, 1.60571, 0.0012887),
    "Mg_Ka": (215.96, 6681, -252614, 7973, 1.620603, 0.001468275),
}
"""A, a, B, b, phi(0) and F of NIST's DTSA-II for glass K240 at 20 kV; edge energies differ by up to 2 %."""


@pytest.mark.parametrize("line", PUBLISHED)
def test_parameters_are_those_of_dtsa(line: str) -> None:
    found = depth_distribution(FRACTIONS, ELEMENTS, line, 20.0)
    values = (found.amplitude, found.a, found.slope, found.b, found.surface, found.area)
    for value, published, tolerance in zip(values, PUBLISHED[line], (0.02, 0.01, 0.02, 0.01, 2e-3, 0.005), strict=True):
        assert float(value) == pytest.approx(published, rel=tolerance)


@pytest.mark.parametrize("line", PUBLISHED)
def test_integrals_are_those_of_the_curve(line: str) -> None:
    found = depth_distribution(FRACTIONS, ELEMENTS, line, 20.0)
    depth = np.linspace(0, 0.012, 120001)
    curve = found.at(depth)
    assert curve[0] == pytest.approx(float(found.surface))
    assert np.trapezoid(curve, depth) == pytest.approx(float(found.area), rel=1e-5)
    for chi in (0.0, 500.0, 8000.0):
        assert np.trapezoid(curve * np.exp(-chi * depth), depth) == pytest.approx(float(found.emitted(chi)), rel=1e-5)


def test_draws_go_through_together_and_mass_fractions_are_normalised() -> None:
    many = depth_distribution(np.stack([FRACTIONS, 0.5 * FRACTIONS]), ELEMENTS, "O_Ka", 20.0)
    assert many.area.shape == (2,)
    np.testing.assert_allclose(many.area[0], many.area[1])


def test_a_deeper_distribution_loses_more() -> None:
    one = np.ones(2)
    found = depth_distribution(
        np.stack([FRACTIONS] * 2), ELEMENTS, "Si_Ka", 20.0, ModelFactors(np.array([1.0, 1.1]), one, one)
    )
    np.testing.assert_allclose(found.area[0], found.area[1])
    assert found.emitted(2000.0)[1] < found.emitted(2000.0)[0]
    assert found.emitted(0.0)[1] == pytest.approx(found.emitted(0.0)[0])


@pytest.mark.parametrize("beam", [5.0, 200.0])
def test_beams_it_does_not_hold_for_are_refused(beam: float) -> None:
    with pytest.raises(InputError, match="above the edge and up to 50 keV"):
        depth_distribution(np.array([1.0]), ("Fe",), "Fe_Ka", beam)
