"""k-factors of a standard bring its own composition back, and carry its noise."""

import numpy as np
import pytest

import bayesspec as bs
from bayesspec.simulate import bremsstrahlung, line_profile

AXIS = 0.1 + 0.01 * np.arange(1000)
STRENGTHS = {"O_Ka": 40.0, "Ti_Ka": 30.0, "Fe_Ka": 50.0}


def fitted(seed: int, dose: float = 1000.0, **strengths: float) -> bs.LineFit:
    lines = STRENGTHS | strengths
    rate = sum(n * line_profile(name, AXIS) for name, n in lines.items()) + 300 * bremsstrahlung(AXIS, 200.0)
    counts = np.random.default_rng(seed).poisson(dose * rate)
    acquisition = bs.Acquisition("EDS", 200.0, 130.0, live_time_s=10.0, elevation_deg=20.0)
    image = bs.SpectrumImage(counts, energy=AXIS, elements=("O", "Ti", "Fe"), acquisition=acquisition)
    return bs.fit_lines(image, calibrate=False, draws=400)


@pytest.fixture(scope="module")
def standard() -> bs.LineFit:
    return fitted(0)


def test_the_standard_comes_back(standard: bs.LineFit) -> None:
    weight = {"O": 31.6, "Ti": 31.6, "Fe": 36.8}
    k = bs.k_factors_from(standard, weight, lines=["O_Ka", "Ti_Ka", "Fe_Ka"], reference="Fe_Ka")
    assert k["Fe_Ka"] == (1.0, 0.0)
    found = standard.composition(k)["weight_percent"]
    for element, percent in weight.items():
        assert float(found.mean.sel(element=element)) == pytest.approx(percent, rel=5e-3)


def test_another_sample_with_half_the_iron(standard: bs.LineFit) -> None:
    k = bs.k_factors_from(standard, "FeTiO3", lines=["O_Ka", "Ti_Ka", "Fe_Ka"])
    sample = fitted(1, Fe_Ka=25.0)
    found = sample.composition(k)["atomic_percent"]
    low, high = found.interval(0.99)
    iron = 100 * 0.5 / 4.5
    assert float(low.sel(element="Fe")) < iron < float(high.sel(element="Fe"))


def test_noise_and_composition_of_the_standard_count(standard: bs.LineFit) -> None:
    exact = bs.k_factors_from(standard, {"O": 31.6, "Fe": 36.8}, lines=["O_Ka", "Fe_Ka"])
    vague = bs.k_factors_from(standard, {"O": (31.6, 3.16), "Fe": 36.8}, lines=["O_Ka", "Fe_Ka"])
    poor = bs.k_factors_from(fitted(2, dose=10.0), {"O": 31.6, "Fe": 36.8}, lines=["O_Ka", "Fe_Ka"])
    relative = [k["Fe_Ka"][1] / k["Fe_Ka"][0] for k in (exact, vague, poor)]
    assert relative[1] == pytest.approx(0.1, rel=0.2)
    assert relative[2] > 5 * relative[0]


def test_absorption_in_the_standard_is_undone(standard: bs.LineFit) -> None:
    thin, thick = (
        bs.k_factors_from(standard, "FeTiO3", lines=["Fe_Ka", "O_Ka"], film=film)
        for film in (None, bs.Film(mass_thickness=(1e-3, 1e-4)))
    )
    assert thick["O_Ka"][0] < 0.95 * thin["O_Ka"][0]
    assert thick["O_Ka"][1] > thin["O_Ka"][1]


def test_bad_input(standard: bs.LineFit) -> None:
    with pytest.raises(bs.InputError, match="two or more elements"):
        bs.k_factors_from(standard, "SiO2")
    with pytest.raises(bs.InputError, match="reference='Si_Ka'"):
        bs.k_factors_from(standard, "FeTiO3", lines=["O_Ka", "Fe_Ka"], reference="Si_Ka")
    with pytest.raises(bs.InputError, match="both"):
        bs.k_factors_from(standard, "FeTiO3", lines=["O_Ka", "Fe_Ka"], film=bs.Film())


def test_theory_stands_in_and_the_budget_tells_what_matters(standard: bs.LineFit) -> None:
    found = standard.composition(lines=["O_Ka", "Ti_Ka", "Fe_Ka"])
    assert float(found["weight_percent"].mean.sum()) == pytest.approx(100)
    exact = standard.budget({"O_Ka": 1.5, "Ti_Ka": 1.3, "Fe_Ka": 1.45})
    assert float(exact["k_factors"].max()) < 1e-12
    np.testing.assert_allclose(sum(exact[name] for name in exact.data_vars if name != "sd"), 1.0, rtol=1e-6)
    vague = standard.budget({"O_Ka": (1.5, 0.15), "Ti_Ka": 1.3, "Fe_Ka": 1.45})
    assert float(vague["k_factors"].min()) > 0.9
    draws = standard.composition({"O_Ka": 1.5, "Ti_Ka": 1.3, "Fe_Ka": 1.45})["weight_percent"].draws
    np.testing.assert_allclose(exact["sd"], draws.std("draw"), rtol=0.15)
    blind = bs.LineFit(standard.data.assign_attrs(acquisition='{"beam_energy_kev": null}'))
    with pytest.raises(bs.InputError, match="k-factors, or the beam energy"):
        blind.composition()
