import numpy as np
import pytest
import xarray as xr
import xraydb

from bayesspec import InputError
from bayesspec.spectroscopy.absorption import absorption_factors
from bayesspec.spectroscopy.thin_film import (
    Film,
    absorbed_composition,
    film_composition,
    zeta_factors_composition,
)

LINES = ["O_Ka", "Fe_Ka"]
ZETA = {"O_Ka": 600.0, "Fe_Ka": 1500.0}
DOSE = 1e12


def counts(weight: dict[str, float], mass_thickness: float, elevation: float | None = None, n: int = 1) -> xr.DataArray:
    """Counts of a film by the definition of the zeta-factor, and by Beer's law depth by depth."""
    values = []
    for line, zeta in ZETA.items():
        emitted = weight[line[:-3]] * mass_thickness * DOSE / zeta
        if elevation is not None:
            energy = {"O_Ka": 524.9, "Fe_Ka": 6400.9}[line]
            mu = sum(w * float(xraydb.mu_elam(e, energy)) for e, w in weight.items())
            depth = (np.arange(2000) + 0.5) / 2000 * mass_thickness * 0.1
            emitted *= np.exp(-mu * depth / np.sin(np.radians(elevation))).mean()
        values.append(emitted)
    return xr.DataArray(np.tile(values, (n, 1)), dims=("draw", "line"), coords={"line": LINES})


def test_zeta_factors_give_back_composition_and_thickness() -> None:
    table = zeta_factors_composition(counts({"O": 0.3, "Fe": 0.7}, 5e-4), ZETA, dose_electrons=DOSE, seed=0)
    assert np.allclose(table["weight_percent"].values, [[30, 70]])
    assert float(table["mass_thickness"][0]) == pytest.approx(5e-4)


@pytest.mark.parametrize("elevation", [15.0, 40.0])
def test_absorption_is_undone(elevation: float) -> None:
    absorbed = counts({"O": 0.3, "Fe": 0.7}, 2e-3, elevation)
    table = zeta_factors_composition(absorbed, ZETA, dose_electrons=DOSE, elevation_deg=elevation, seed=0)
    assert np.allclose(table["weight_percent"].values, [[30, 70]], atol=0.05)
    assert float(table["mass_thickness"][0]) == pytest.approx(2e-3, rel=2e-3)
    known = absorbed_composition(absorbed, ZETA, mass_thickness=2e-3, elevation_deg=elevation, seed=0)
    assert np.allclose(known["weight_percent"].values, [[30, 70]], atol=0.05)
    ignored = zeta_factors_composition(absorbed, ZETA, dose_electrons=DOSE, seed=0)
    assert float(ignored["weight_percent"].sel(element="O")[0]) < 29


def test_an_uncertain_thickness_spreads_the_composition() -> None:
    absorbed = counts({"O": 0.3, "Fe": 0.7}, 2e-3, 20.0, n=400)
    sharp, vague = (
        absorbed_composition(absorbed, ZETA, mass_thickness=(2e-3, sd), elevation_deg=20.0, seed=0)
        for sd in (0.0, 4e-4)
    )
    assert float(sharp["weight_percent"].sel(element="O").std()) < 1e-9
    assert float(vague["weight_percent"].sel(element="O").std()) > 0.1


def test_a_thin_film_absorbs_nothing() -> None:
    weight = xr.DataArray([[0.3, 0.7]], dims=("draw", "element"), coords={"element": ["O", "Fe"]})
    factors = absorption_factors(weight, LINES, xr.DataArray([1e-9], dims="draw"), 22.0)
    assert np.allclose(factors, 1.0, atol=1e-5)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda c: zeta_factors_composition(c, ZETA, dose_electrons=0.0, seed=0), "dose_electrons=0.0"),
        (
            lambda c: zeta_factors_composition(c, ZETA, dose_electrons=1.0, elevation_deg=0.0, seed=0),
            "elevation_deg=0.0",
        ),
        (
            lambda c: absorbed_composition(c, ZETA, mass_thickness=-1.0, elevation_deg=20.0, seed=0),
            "mass_thickness=-1.0",
        ),
        (lambda c: zeta_factors_composition(c, {"O_Ka": 1.0, "Pt_La": 1.0}, dose_electrons=1.0, seed=0), "Pt_La"),
    ],
)
def test_bad_input(call, says: str) -> None:
    with pytest.raises(InputError) as caught:
        call(counts({"O": 0.3, "Fe": 0.7}, 5e-4))
    assert says in str(caught.value)


def test_a_film_chooses_the_method() -> None:
    absorbed = counts({"O": 0.3, "Fe": 0.7}, 2e-3, 20.0)
    given = {"elevation_deg": 20.0, "in_counts": True, "seed": 0}
    for film in (Film(mass_thickness=2e-3), Film(dose_electrons=DOSE)):
        table = film_composition(absorbed, ZETA, film, **given)
        assert np.allclose(table["weight_percent"].values, [[30, 70]], atol=0.05)
    plain = film_composition(absorbed, ZETA, None, **given)
    assert float(plain["weight_percent"].sel(element="O")[0]) < 29
    with pytest.raises(InputError, match="shares of the counts"):
        film_composition(absorbed, ZETA, Film(dose_electrons=DOSE), elevation_deg=20.0, in_counts=False, seed=0)
    with pytest.raises(InputError, match="one of them"):
        film_composition(absorbed, ZETA, Film(mass_thickness=2e-3, dose_electrons=DOSE), **given)
