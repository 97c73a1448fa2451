"""Cliff and Lorimer's method against a worked example and its own laws."""

import numpy as np
import pytest
import xarray as xr

from bayesspec.errors import InputError
from bayesspec.spectroscopy.composition import cliff_lorimer


def intensities(values: list[float], n: int = 1) -> xr.DataArray:
    draws = np.tile(np.array(values), (n, 1))
    return xr.DataArray(draws, dims=("draw", "line"), coords={"line": ["Fe_Ka", "Pt_La"]})


def test_worked_example() -> None:
    table = cliff_lorimer(intensities([2754, 15090]), {"Fe_Ka": 1.450226, "Pt_La": 5.075602}, seed=0)
    atoms = table["atomic_percent"].isel(draw=0)
    assert float(atoms.sel(element="Fe")) == pytest.approx(15.41, abs=0.006)
    assert float(atoms.sel(element="Pt")) == pytest.approx(84.59, abs=0.006)


def test_scale_of_intensities_and_of_k_factors_does_not_matter() -> None:
    one = cliff_lorimer(intensities([3, 5]), {"Fe_Ka": 1.4, "Pt_La": 5.0}, seed=0)
    other = cliff_lorimer(intensities([30, 50]), {"Fe_Ka": 0.7, "Pt_La": 2.5}, seed=0)
    xr.testing.assert_allclose(one, other)
    np.testing.assert_allclose(one["weight_percent"].sum("element"), 100)


def test_uncertain_k_factor_spreads_the_composition() -> None:
    table = cliff_lorimer(intensities([3, 5], 4000), {"Fe_Ka": 1.4, "Pt_La": (5.0, 0.1)}, seed=0)
    weight = table["weight_percent"].sel(element="Fe") / 100
    expected = float(weight.mean() * (1 - weight.mean()) * 0.1 / 5.0)
    assert float(weight.std()) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(
    ("k_factors", "said"),
    [
        ({"Fe_Ka": 1.0}, "two or more measured lines"),
        ({"Fe_Ka": 1.0, "O_Ka": 1.0}, "lines measured"),
        ({"Fe_Ka": -1.0, "Pt_La": 1.0}, "k-factor -1.0 of Fe_Ka"),
        ({"Fe_Ka": 1.0, "Pt_La": (1.0, -0.1)}, "positive value"),
    ],
)
def test_bad_k_factors_are_refused(k_factors: dict[str, float], said: str) -> None:
    with pytest.raises(InputError, match=said):
        cliff_lorimer(intensities([3, 5]), k_factors, seed=0)
