"""k-ratios of simulated spectra: the truth within the intervals; times, currents and lines that are missing."""

from dataclasses import replace

import numpy as np
import pytest

import bayesspec as bs
from bayesspec.simulate import bremsstrahlung, line_profile

AXIS = 0.1 + 0.01 * np.arange(900)
ACQUISITION = bs.Acquisition(
    "EDS", 20.0, 130.0, live_time_s=100.0, elevation_deg=35.0, real_time_s=120.0, beam_current_na=1.0
)
CONTINUUM = 2e5
TRUE = {"O_Ka": 0.6, "Si_Ka": 0.35, "Fe_Ka": 0.07}


def spectrum(lines: dict[str, float], seed: int, acquisition: bs.Acquisition = ACQUISITION) -> bs.SpectrumImage:
    rate = sum(n * line_profile(name, AXIS) for name, n in lines.items()) + CONTINUUM * bremsstrahlung(AXIS, 20.0)
    return bs.SpectrumImage(np.random.default_rng(seed).poisson(rate), energy=AXIS, acquisition=acquisition)


@pytest.fixture(scope="module")
def standards() -> dict[str, bs.SpectrumImage]:
    longer = replace(ACQUISITION, live_time_s=500.0)
    return {
        "SiO2": spectrum({"O_Ka": 5 * 2e5, "Si_Ka": 5 * 6e5}, 1, longer),
        "Fe": spectrum({"Fe_Ka": 5 * 4e5}, 2, longer),
    }


def sample(seed: int, acquisition: bs.Acquisition = ACQUISITION) -> bs.SpectrumImage:
    return spectrum({"O_Ka": 0.6 * 2e5, "Si_Ka": 0.35 * 6e5, "Fe_Ka": 0.07 * 4e5}, seed, acquisition)


def measured(seed: int, standards: dict[str, bs.SpectrumImage], **options) -> bs.KRatios:
    return bs.k_ratios(sample(seed), standards, ["O", "Si", "Fe"], coating=None, **options)


@pytest.fixture(scope="module")
def k(standards: dict[str, bs.SpectrumImage]) -> bs.KRatios:
    return measured(10, standards)


def test_the_truth_is_found(k: bs.KRatios) -> None:
    for line, true in TRUE.items():
        found = k.ratio(line)
        assert float(found.mean) == pytest.approx(true, rel=0.02)
        low, high = found.interval(0.99)
        assert float(low) < true < float(high)
    assert k.misfit == pytest.approx(1.0, abs=0.15)
    assert dict(zip(k.lines, k.data["standard"].values, strict=True))["O_Ka"] == "SiO2"


def test_shot_noise_is_what_replicates_show(standards: dict[str, bs.SpectrumImage], k: bs.KRatios) -> None:
    ratios = np.array(
        [[float(measured(s, standards, draws=50).ratio(line).mean) for line in TRUE] for s in range(20, 32)]
    )
    table = k.uncertainties().sel(line=list(TRUE))
    claimed = np.sqrt(table["counts"] ** 2 + table["background"] ** 2 + table["overlap"] ** 2).values
    observed = ratios.std(axis=0, ddof=1) / ratios.mean(axis=0)
    chi_square = 11 * (observed / claimed) ** 2
    assert (chi_square > 2).all(), "not too wide: 0.1 % of a chi-square of 11"
    assert (chi_square < 33).all()
    assert (table["total"] > claimed).all()


def test_dose_scales(standards: dict[str, bs.SpectrumImage], k: bs.KRatios) -> None:
    brighter = replace(sample(10), acquisition=replace(ACQUISITION, beam_current_na=2.0))
    halved = bs.k_ratios(brighter, standards, ["O", "Si", "Fe"], coating=None)
    np.testing.assert_allclose(halved.ratios.mean, 0.5 * k.ratios.mean, rtol=2e-3)


def test_what_is_missing_is_assumed_and_said(standards: dict[str, bs.SpectrumImage], k: bs.KRatios) -> None:
    blind = replace(ACQUISITION, live_time_s=None)
    with pytest.warns(UserWarning, match="no live time of the sample: 15% of the real time"):
        guessed = bs.k_ratios(sample(10, blind), standards, ["O", "Si", "Fe"], coating=None)
    assert float(guessed.ratio("Si_Ka").sd) > 5 * float(k.ratio("Si_Ka").sd)
    assert "15% of the real time" in guessed.verdict
    timeless = replace(ACQUISITION, live_time_s=None, real_time_s=None)
    with pytest.warns(UserWarning, match="only ratios of its k-ratios"):
        relative = bs.k_ratios(sample(10, timeless), standards, ["O", "Si", "Fe"], coating=None)
    assert not relative.absolute
    ratio = float(relative.ratio("O_Ka").mean / relative.ratio("Si_Ka").mean)
    assert ratio == pytest.approx(0.6 / 0.35, rel=0.02)
    without = {
        name: replace(one, acquisition=replace(one.acquisition, beam_current_na=None))
        for name, one in standards.items()
    }
    same = bs.k_ratios(sample(10), without, ["O", "Si", "Fe"], coating=None)
    assert "taken as the same, within 2%" in same.verdict
    assert float(same.ratio("Si_Ka").mean) == pytest.approx(0.35, rel=0.02)


def test_a_line_cropped_away_is_named_and_the_others_go_on(standards: dict[str, bs.SpectrumImage]) -> None:
    short = sample(10).crop(energy=(1.0, 5.0))
    with pytest.warns(UserWarning, match="no line of Fe between 1 and"):
        found = bs.k_ratios(short, {"SiO2": standards["SiO2"]}, ["Si", "Fe"], coating=None)
    assert "no line of Fe" in found.verdict
    assert found.lines == ("Si_Ka",)
    assert float(found.ratio("Si_Ka").mean) == pytest.approx(0.35, rel=0.02)


def test_an_element_without_a_standard_is_fitted_and_named(standards: dict[str, bs.SpectrumImage]) -> None:
    found = bs.k_ratios(sample(10), {"SiO2": standards["SiO2"]}, ["O", "Si", "Fe"], coating=None)
    assert "no standard of Fe" in found.verdict
    assert found.lines == ("O_Ka", "Si_Ka")


def test_a_certified_material_is_a_standard_too(standards: dict[str, bs.SpectrumImage], k: bs.KRatios) -> None:
    quartz = bs.Standard(standards["SiO2"], {"Si": (46.743, 0.9), "O": 53.257})
    glass = bs.k_ratios(sample(10), {"quartz": quartz, "Fe": standards["Fe"]}, ["O", "Si", "Fe"], coating=None)
    np.testing.assert_allclose(glass.ratios.mean, k.ratios.mean, rtol=1e-3)
    by_formula, certified = bs.quantify(k), bs.quantify(glass)
    assert float(certified.weight_percent.mean.sel(element="Si")) == pytest.approx(
        float(by_formula.weight_percent.mean.sel(element="Si")), rel=5e-3
    )
    share = [float(one.budget["standards"].sel(element="Si")) for one in (by_formula, certified)]
    assert share[0] < 0.05 < 0.3 < share[1], "2 % of the certificate"


def test_saved_ratios_open_again(k: bs.KRatios, tmp_path) -> None:
    again = bs.open(k.save(tmp_path / "k.nc"))
    assert isinstance(again, bs.KRatios)
    assert float(again.ratio("Fe_Ka").mean) == float(k.ratio("Fe_Ka").mean)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"beam_energy_kev": None}, "no beam energy of the standard SiO2"),
        ({"beam_energy_kev": 15.0}, "20 keV for the sample and 15 keV for the standard SiO2"),
        ({"live_time_s": None, "real_time_s": None}, "neither live time nor real time of the standard SiO2"),
    ],
)
def test_standards_that_do_not_fit_are_refused(standards: dict[str, bs.SpectrumImage], change, said: str) -> None:
    one = standards["SiO2"]
    other = {"SiO2": replace(one, acquisition=replace(one.acquisition, **change))}
    with pytest.raises(bs.InputError, match=said):
        bs.k_ratios(sample(10), other, ["O", "Si"], coating=None)


def test_bad_input(standards: dict[str, bs.SpectrumImage], k: bs.KRatios) -> None:
    with pytest.raises(bs.InputError, match="no elements"):
        bs.k_ratios(sample(10), standards)
    with pytest.raises(bs.InputError, match="a standard that holds one of the elements"):
        bs.k_ratios(sample(10), {"Fe": standards["Fe"]}, ["O", "Si"])
    with pytest.raises(bs.InputError, match="standard_of"):
        measured(10, standards, standard_of={"O_Ka": "MgO"})
    with pytest.raises(bs.InputError, match="'Ca_Ka'"):
        k.ratio("Ca_Ka")
