import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import bayesspec as bs
from bayesspec.inference.linear_poisson.one_spectrum import fit_intensities
from bayesspec.simulate import bremsstrahlung, line_profile
from bayesspec.spectroscopy.bremsstrahlung import background_basis

AXIS = 0.05 + 0.01 * np.arange(1000)
LINES = {"C_Ka": 4e3, "O_Ka": 5e4, "Mg_Ka": 2e4, "Cr_Ka": 5e3, "Mn_Ka": 3e3, "Fe_Ka": 3e4}
ELEMENTS = ["C", "O", "Mg", "Cr", "Mn", "Fe"]


def expected(offset_ev: float = 0.0, gain: float = 1.0, resolution: float = 130.0) -> np.ndarray:
    true = offset_ev / 1e3 + gain * AXIS
    lines = sum(n * line_profile(name, true, resolution) for name, n in LINES.items())
    return lines + 2e5 * bremsstrahlung(true, 200.0)


def spectrum(rate: np.ndarray, seed: int, resolution: float | None = 130.0) -> bs.SpectrumImage:
    acquisition = bs.Acquisition("EDS", beam_energy_kev=200.0, resolution_mn_ka_ev=resolution, live_time_s=10.0)
    counts = np.random.default_rng(seed).poisson(rate)
    return bs.SpectrumImage(counts, energy=AXIS, acquisition=acquisition, elements=tuple(ELEMENTS))


def test_calibration_is_recovered() -> None:
    found = bs.calibrate_energy(spectrum(4 * expected(8.0, 1.003, 137.0), 0, resolution=None))
    assert found.converged
    for (value, sd), truth, target in (
        (found.offset_ev, 8.0, 1.0),
        (found.gain, 1.003, 2e-4),
        (found.resolution_mn_ka_ev, 137.0, 1.37),
    ):
        assert abs(value - truth) < target
        assert abs(value - truth) < 3.5 * sd
        assert sd < target
    assert found.image.acquisition.resolution_mn_ka_ev == found.resolution_mn_ka_ev[0]
    assert np.allclose(found.image.energy, 0.008 + 1.003 * AXIS, atol=2e-3)


def test_ratios_under_an_overlap_are_right_where_window_sums_are_not() -> None:
    fit = bs.fit_lines(spectrum(expected(), 1), calibrate=False)
    ratio = fit.ratio("Mn_Ka", "Fe_Ka")
    low, high = (float(end) for end in ratio.interval(0.99))
    assert low < 0.1 < high
    assert float(ratio.sd) < 0.01
    assert fit.misfit == pytest.approx(1.0, abs=0.15)
    assert fit.converged
    assert "nobody" not in fit.verdict


def test_the_table_sets_the_lines_against_the_strongest() -> None:
    fit = bs.fit_lines(spectrum(expected(), 1), calibrate=False, draws=50)
    assert fit.table().columns[3] == "ratio to O_Ka"
    assert fit.table("Fe_Ka").columns[3] == "ratio to Fe_Ka"


def test_the_budget_adds_up_to_the_variance_of_the_composition() -> None:
    fit = bs.fit_lines(spectrum(expected(), 1), calibrate=False)
    factors = {"Fe_Ka": (1.4, 0.01), "Mn_Ka": 1.3, "O_Ka": (2.0, 0.2)}
    budget = fit.budget(factors)
    np.testing.assert_allclose(sum(budget[name] for name in budget.data_vars if name != "sd"), 1.0)
    np.testing.assert_allclose(budget["sd"], fit.composition(factors)["weight_percent"].sd, rtol=0.1)
    assert float(budget["k_factors"].sel(element="O")) > 0.8, "a factor with 10 % against one with 1 %"
    pair = fit.budget({line: k for line, k in factors.items() if line != "O_Ka"})
    assert float(pair["counts"].min()) > 2 * float(pair["k_factors"].max()), "1.8 % of Mn against 0.7 % of the factor"
    with pytest.raises(bs.InputError, match="two or more measured lines"):
        fit.budget({})


def test_intervals_cover_over_replicates() -> None:
    rate, inside, n = expected(), 0, 30
    for seed in range(n):
        fit = bs.fit_lines(spectrum(rate, 100 + seed), calibrate=False, draws=200)
        low, high = fit.ratio("Mn_Ka", "Fe_Ka").interval(0.9)
        inside += float(low) <= 0.1 <= float(high)
    assert 0.78 <= inside / n <= 0.98, inside


def test_a_line_that_nobody_named_is_reported() -> None:
    rate = expected() + 3000 * line_profile("Ti_Ka", AXIS)
    with pytest.warns(UserWarning, match="Ti_Ka"):
        fit = bs.fit_lines(spectrum(rate, 2), calibrate=False)
    assert "4.5" in fit.verdict


def test_a_line_that_nobody_named_bends_nothing() -> None:
    copper = 6e4 * line_profile("Cu_Ka", AXIS) + 2e3 * line_profile("Ni_Ka", AXIS)
    with pytest.warns(UserWarning, match="Cu_Ka"):
        fit = bs.fit_lines(spectrum(expected() + copper, 12), ["O", "Fe"])
    assert {"Cu_Ka", "Mg_Ka", "Cr_Ka"} <= {one["columns"][0] for one in fit.unnamed}
    low, high = (float(end) for end in fit.ratio("Fe_Ka", "O_Ka").interval(0.99))
    assert low < 0.6 < high
    assert high - low < 0.05


def test_a_detector_broader_than_its_file_says() -> None:
    wrong = spectrum(expected(5.0, 1.0, 137.0), 13)
    fit = bs.fit_lines(wrong)
    low, high = (float(end) for end in fit.ratio("Fe_Ka", "O_Ka").interval(0.99))
    assert low < 0.6 < high
    off = bs.fit_lines(wrong, calibrate=False).ratio("Fe_Ka", "O_Ka")
    assert abs(float(off.mean) - 0.6) > 3 * float(off.sd)
    parts = fit.data["variance_parts"].sel(part="calibration", line="O_Ka", other_line="O_Ka")
    assert float(parts) > 0


def test_weak_lines_leave_the_file_its_calibration_with_an_uncertainty() -> None:
    fit = bs.fit_lines(spectrum(1e-3 * expected(), 14), draws=50)
    assert re.search(r"offset_ev -?[\d.]+\([45]\), .* resolution_mn_ka_ev 1[23]\d\(", fit.provenance["calibration"])
    assert np.isfinite(fit.intensities.draws).all()


def test_an_absent_element_gets_an_upper_limit() -> None:
    fit = bs.fit_lines(spectrum(expected(), 3), [*ELEMENTS, "Ni"], calibrate=False)
    counts = fit.intensities.draws.sel(line="Ni_Ka")
    assert 0 <= float(counts.quantile(0.05)) < 150
    assert float(counts.quantile(0.95)) < 800


def test_k_ratio_counts_live_time_and_saves(tmp_path: Path) -> None:
    image = spectrum(expected(), 4)
    fit = bs.fit_lines(image, calibrate=False)
    standard = bs.fit_lines(spectrum(2 * expected(), 5), calibrate=False)
    assert float(fit.k_ratio("Fe_Ka", standard).mean) == pytest.approx(0.5, rel=0.03)
    again = bs.open(fit.save(tmp_path / "fit.nc"))
    assert float(again.ratio("Fe_Ka", "O_Ka").mean) == float(fit.ratio("Fe_Ka", "O_Ka").mean)
    timeless = replace(image, acquisition=replace(image.acquisition, live_time_s=None))
    with pytest.raises(bs.InputError, match="live time"):
        bs.fit_lines(timeless, calibrate=False, draws=10).k_ratio("Fe_Ka", standard)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda si: bs.fit_lines(si, lines=["Fe_Kz"]), "Fe_Ka, Fe_Kb"),
        (lambda si: bs.fit_lines(si, ["Xq"]), "Xq"),
        (lambda si: bs.fit_lines(si, lines=["Pt_La", "Zr_Ka"]), "Zr_Ka"),
        (lambda si: bs.fit_lines(replace(si, elements=())), "identify_lines"),
        (lambda si: bs.fit_lines(replace(si, acquisition=bs.Acquisition("EELS"))), "EDS"),
        (lambda si: bs.fit_lines(si, calibrate=False, draws=10).ratio("Fe_Ka", "Pt_La"), "Pt_La"),
        (lambda si: bs.calibrate_energy(si.crop(energy=(4.0, 4.6)), ["Ca"]), "500 or more"),
    ],
)
def test_bad_input(call, says: str) -> None:
    with pytest.raises(bs.InputError) as caught:
        call(spectrum(expected(), 6))
    assert says in str(caught.value)


def test_unknown_resolution_is_assumed_and_said() -> None:
    with pytest.warns(UserWarning, match="130 eV at Mn Ka is assumed"):
        bs.fit_lines(spectrum(expected(), 7, resolution=None), calibrate=False, draws=10)


def test_the_continuum_is_followed() -> None:
    axis = 0.2 + 0.01 * np.arange(1800)
    basis, names = background_basis(axis, 200.0)
    assert len(names) == basis.shape[1] < 20
    target = 1e6 * bremsstrahlung(axis, 200.0) * (1 - np.exp(-((12 / axis) ** 3)))
    assert fit_intensities(basis, target).deviance < 0.1 * len(axis)


def test_composition_needs_every_k_factor_asked_for() -> None:
    fit = bs.fit_lines(spectrum(expected(), 8), calibrate=False, draws=50)
    factors = {"O_Ka": 2.0, "Fe_Ka": (1.4, 0.05)}
    with pytest.raises(bs.InputError, match="no k-factor of Mg_Ka"):
        fit.composition(factors, lines=["O_Ka", "Mg_Ka"])
    with pytest.raises(bs.InputError, match="take-off angle"):
        fit.composition(factors, film=bs.Film(1e-3))
    plain = fit.composition(factors)["weight_percent"].mean.sel(element="O")
    thick = fit.composition(factors, film=bs.Film(1e-3, elevation_deg=20))["weight_percent"].mean.sel(element="O")
    assert float(thick) > float(plain) + 0.5
