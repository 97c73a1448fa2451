"""Matrix correction: k-ratios computed forward come back as the composition; what is alike drops out."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import bayesspec as bs
from bayesspec.results.dataset import attributes
from bayesspec.spectroscopy.formula import mass_fractions
from bayesspec.spectroscopy.matrix_correction import drawn_physics, emitted, standards_emission

GLASS = {"O": 0.428, "Mg": 0.117, "Al": 0.049, "Si": 0.212, "Ca": 0.109, "Fe": 0.078}
STANDARDS = {"O_Ka": "SiO2", "Mg_Ka": "MgO", "Al_Ka": "Al2O3", "Si_Ka": "SiO2", "Ca_Ka": "CaF2", "Fe_Ka": "Fe"}
ELEVATION = 35.0


def forward(composition: dict[str, float], standards: dict[str, str], noise: float = 0.0) -> bs.KRatios:
    """k-ratios of a material as the model has them, with a relative deviation in every draw."""
    lines, elements = list(standards), tuple(composition)
    compositions = [mass_fractions(standards[line])[0] for line in lines]
    absorbers = tuple(dict.fromkeys([*elements, *(e for one in compositions for e in one)]))
    rng = np.random.default_rng(0)
    physics = drawn_physics(absorbers, lines, 20.0, rng, 1, ())
    fractions = np.array([list(composition.values())])
    theirs = standards_emission(compositions, lines, [ELEVATION] * len(lines), physics, [{} for _ in lines])[0]
    own = [composition[line[:-3]] * emitted(fractions, elements, line, ELEVATION, physics)[0] for line in lines]
    n = 300
    deviations = np.zeros((4, n, len(lines)))
    deviations[0] = noise * rng.standard_normal((n, len(lines)))
    parts = np.zeros((3, len(lines), len(lines)))
    parts[0] = np.eye(len(lines))
    k = np.array(own) / theirs
    data = xr.Dataset(
        {
            "k_draws": (("draw", "line"), k * (1 + deviations[0])),
            "deviation_draws": (("source", "draw", "line"), deviations),
            "parts": (("part", "line", "other_line"), parts),
        },
        coords={
            "line": lines,
            "other_line": lines,
            "standard": ("line", list(standards.values())),
            "source": ["spectrum", "standards", "dose", "peak shapes"],
            "part": ["counts", "background", "overlap"],
        },
    )
    attrs = attributes(name="glass", method="k-ratios", status="", converged=True, settings={})
    described = {
        name: {"fractions": mass_fractions(name)[0], "sd": mass_fractions(name)[1], "elevation_deg": ELEVATION}
        for name in standards.values()
    }
    attrs |= {
        "verdict": f"{len(lines)} k-ratios",
        "absolute": 1,
        "acquisition": json.dumps({"beam_energy_kev": 20.0, "elevation_deg": ELEVATION}),
        "standards": json.dumps(described),
    }
    return bs.KRatios(data.assign_attrs(attrs))


@pytest.fixture(scope="module")
def glass() -> bs.KRatios:
    return forward(GLASS, STANDARDS, noise=0.005)


@pytest.fixture(scope="module")
def found(glass: bs.KRatios) -> bs.Quantification:
    return bs.quantify(glass)


def test_the_composition_comes_back(found: bs.Quantification) -> None:
    low, high = found.weight_percent.interval(0.9)
    for element, fraction in GLASS.items():
        assert float(found.weight_percent.mean.sel(element=element)) == pytest.approx(100 * fraction, rel=0.01)
        assert float(low.sel(element=element)) < 100 * fraction < float(high.sel(element=element))
    assert float(found.total.mean) == pytest.approx(99.3, abs=0.5)
    assert float(found.normalised.mean.sum()) == pytest.approx(100)
    assert float(found.atomic_percent.mean.sum()) == pytest.approx(100)
    assert found.converged


def test_the_correction_is_not_small(glass: bs.KRatios) -> None:
    k = glass.ratios.mean.sel(line="Al_Ka")
    assert float(k) * mass_fractions("Al2O3")[0]["Al"] < 0.8 * GLASS["Al"], "Al Ka is absorbed more than in alumina"


def test_budget_sums_to_one_and_follows_the_physics(found: bs.Quantification) -> None:
    budget = found.budget
    np.testing.assert_allclose(sum(budget.values()), 1.0)
    assert float(budget["absorption"].sel(element="O")) > 0.7, "oxygen is absorbed most"
    assert float(budget["absorption"].sel(element="Fe")) < 0.2
    assert float(budget["counts"].sel(element="Fe")) > float(budget["counts"].sel(element="O"))


def test_variances_of_the_parts_add_up_to_that_of_the_draws(found: bs.Quantification) -> None:
    parts = np.sqrt(found.data["variance_parts"].sum("part"))
    np.testing.assert_allclose(parts, found.weight_percent.sd, rtol=0.25)


def test_a_standard_like_the_sample_leaves_no_uncertainty_of_physics() -> None:
    alike = forward(mass_fractions("Mg2SiO4")[0], {"O_Ka": "Mg2SiO4", "Mg_Ka": "Mg2SiO4", "Si_Ka": "Mg2SiO4"})
    other = forward(mass_fractions("Mg2SiO4")[0], {"O_Ka": "Al2O3", "Mg_Ka": "MgO", "Si_Ka": "SiO2"})
    sd = [bs.quantify(one).weight_percent.sd.sel(element="O") for one in (alike, other)]
    assert float(sd[0]) < 1e-3 < 0.1 < float(sd[1])


def test_oxygen_by_stoichiometry(glass: bs.KRatios) -> None:
    without = bs.quantify(glass, oxygen="stoichiometry")
    expected = sum(GLASS[e] * ratio for e, ratio in (("Mg", 0.6583), ("Al", 0.8895), ("Si", 1.1393), ("Ca", 0.3992)))
    ferrous = expected + GLASS["Fe"] * 0.2865
    assert float(without.weight_percent.mean.sel(element="O")) == pytest.approx(100 * ferrous, rel=0.01)
    ferric = bs.quantify(glass, oxygen="stoichiometry", oxides={"Fe": "Fe2O3"})
    more = float(ferric.weight_percent.mean.sel(element="O") - without.weight_percent.mean.sel(element="O"))
    assert more == pytest.approx(100 * GLASS["Fe"] * 0.1432, rel=0.1)
    assert "oxygen by stoichiometry" in without.verdict


def test_an_unknown_dose_brings_the_sum_to_one_hundred(glass: bs.KRatios) -> None:
    scaled = bs.KRatios(glass.data.assign(k_draws=0.5 * glass.data["k_draws"]).assign_attrs(absolute=0))
    found = bs.quantify(scaled)
    assert float(found.total.mean) == pytest.approx(100)
    for element, fraction in GLASS.items():
        assert float(found.weight_percent.mean.sel(element=element)) == pytest.approx(100 * fraction / 0.993, rel=0.01)
    assert "brought to 100 %" in found.verdict


def test_saved_compositions_open_again(found: bs.Quantification, tmp_path) -> None:
    again = bs.open(found.save(tmp_path / "q.nc"))
    assert isinstance(again, bs.Quantification)
    xr.testing.assert_allclose(again.summary(0.9), found.summary(0.9))


def test_certified_glass(data: Path, tmp_path: Path) -> None:
    """NIST SRM 470, glass K412, from five standards: mass per cent of the certificate."""
    certificate = {"O": 42.758, "Mg": 11.657, "Al": 4.906, "Si": 21.198, "Ca": 10.899, "Fe": 7.774}

    def load(name: str) -> bs.SpectrumImage:
        text = (data / "nist_glass" / "K412" / name).read_text()
        copy = tmp_path / name
        copy.write_text(re.sub(r"#SPECTRUM *: *\n", "#SPECTRUM    : \n", text))
        return bs.load(copy)

    standards = {name: load(f"{name} std.msa") for name in ("SiO2", "MgO", "Al2O3", "CaF2", "Fe")}
    k = bs.k_ratios(load("III-E K412_2_4.msa"), standards, list(certificate), draws=400)
    published = {"Mg_Ka": 0.1473, "Al_Ka": 0.0668, "Si_Ka": 0.3506, "Ca_Ka": 0.1921, "Fe_Ka": 0.0669}
    for line, value in published.items():
        assert abs(float(k.ratio(line).mean) - value) < 2 * float(k.ratio(line).sd)
    found = bs.quantify(k)
    low, high = found.weight_percent.interval(0.9)
    held = 0
    for element, percent in certificate.items():
        assert float(found.weight_percent.mean.sel(element=element)) == pytest.approx(percent, rel=0.03)
        held += float(low.sel(element=element)) <= percent <= float(high.sel(element=element))
    assert held >= 5


def test_bad_input(glass: bs.KRatios) -> None:
    with pytest.raises(bs.InputError, match="'measured' or 'stoichiometry'"):
        bs.quantify(glass, oxygen="none")
    with pytest.raises(bs.InputError, match="one line an element"):
        bs.quantify(glass, lines=["Ti_Ka"])
    flat = bs.KRatios(glass.data.assign_attrs(acquisition='{"beam_energy_kev": 20.0, "elevation_deg": null}'))
    with pytest.raises(bs.InputError, match="elevation angle"):
        bs.quantify(flat)
    assert bs.quantify(flat, elevation_deg=35.0, lines=["Si_Ka", "Fe_Ka"]).elements == ("Si", "Fe")
