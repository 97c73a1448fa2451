from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import bayesspec as bs
from bayesspec.simulate import bremsstrahlung, line_profile

AXIS = 0.15 + 0.01 * np.arange(790)
COMPONENTS = ({"O_Ka": 0.6, "Mg_Ka": 0.4}, {"O_Ka": 0.5, "Fe_Ka": 0.5})


def spectrum(lines: dict[str, float]) -> np.ndarray:
    peaks = sum(weight * line_profile(name, AXIS) for name, weight in lines.items())
    return 0.75 * peaks / peaks.sum() + 0.25 * bremsstrahlung(AXIS, 200.0)


@pytest.fixture(scope="module")
def image() -> bs.SpectrumImage:
    share = np.clip(np.linspace(-0.3, 1.2, 30), 0.02, 0.97)[None].repeat(24, axis=0)
    shares = np.stack([1 - share, share], axis=2)
    rate = 300 * shares @ np.stack([spectrum(c) for c in COMPONENTS])
    return bs.SpectrumImage(
        np.random.default_rng(0).poisson(rate),
        energy=AXIS,
        elements=("O", "Mg", "Fe"),
        acquisition=bs.Acquisition("EDS", 200.0, 130.0),
        truth={"shares": shares},
    )


@pytest.fixture(scope="module")
def fit(image: bs.SpectrumImage) -> bs.LineUnmixing:
    return bs.unmix(image, rank=2, elements=["O", "Mg", "Fe"])


def test_compositions_and_shares_are_found(fit: bs.LineUnmixing, image: bs.SpectrumImage) -> None:
    mean = fit.intensities_of(["O_Ka", "Mg_Ka", "Fe_Ka"]).mean.values
    mean = mean[np.argsort(mean[:, 2])]
    first, second = mean / mean.sum(axis=1, keepdims=True)
    assert np.allclose(first, [0.6, 0.4, 0.0], atol=0.03)
    assert np.allclose(second, [0.5, 0.0, 0.5], atol=0.03)
    abundances = fit.abundances["mean"].values
    assert np.allclose(abundances.sum(axis=2).mean(), 300, rtol=0.02)
    found = abundances / abundances.sum(axis=2, keepdims=True)
    error = min(np.abs(found - image.truth["shares"]).mean(), np.abs(found[..., ::-1] - image.truth["shares"]).mean())
    assert error < 0.05


def test_ranges_hold_the_truth_and_tell_what_is_open(fit: bs.LineUnmixing) -> None:
    lines = ["O_Ka", "Mg_Ka", "Fe_Ka"]
    found = fit.composition(dict.fromkeys(lines, 1.0))["weight_percent"]
    order = np.argsort(found.mean.sel(element="Fe").values)
    low, high = (end.values[order] for end in found.interval(0.9))
    truth = 100 * np.array([[c.get(line, 0.0) for line in lines] for c in COMPONENTS])
    assert (low <= truth + 0.01).all()
    assert (high >= truth - 0.01).all()
    assert 1.0 < (high - low).max() < 25.0
    assert found.interval(0.9)[0].attrs["prob"] == 0.95
    assert "joint likelihood range" in found.interval()[1].attrs["interval"]
    assert fit.converged
    share = fit.fractions.interval()
    assert (share[0] < fit.fractions.mean).all()
    assert str(found).startswith("component 0, element O: ")
    assert (fit.spectra["lower"] <= fit.spectra["upper"]).all()
    assert np.isnan(fit.abundances["sd"]).all()


def test_pixels_with_more_counts_weigh_more(image: bs.SpectrumImage) -> None:
    thick = np.where(np.arange(30) < 15, 2.0, 0.5)[None, :, None]
    shares = thick * image.truth["shares"]
    rate = 300 * shares @ np.stack([spectrum(c) for c in COMPONENTS])
    counts = np.random.default_rng(1).poisson(rate)
    fit = bs.unmix(replace(image, counts=counts.astype(np.uint16)), rank=2, elements=["O", "Mg", "Fe"])
    order = np.argsort(fit.line_counts.mean.sel(line="Fe_Ka").values)
    low, high = (end.values[order] for end in fit.line_counts.interval())
    lines = list(fit.lines)
    for k, component in enumerate(COMPONENTS):
        peaks = sum(weight * line_profile(name, AXIS).sum() for name, weight in component.items())
        for line, share in component.items():
            truth = 0.75 * share / peaks * 300 * float(shares[..., k].sum())
            assert low[k, lines.index(line)] < truth < high[k, lines.index(line)]
    low, high = (end.values[order] for end in fit.fractions.interval())
    parts = shares.sum(axis=(0, 1)) / shares.sum()
    assert (low < parts).all()
    assert (parts < high).all()
    assert (high - low < 0.2).all()


def test_uncertain_k_factors_widen_the_ranges(fit: bs.LineUnmixing) -> None:
    exact = fit.composition({"O_Ka": 1.0, "Fe_Ka": 1.0, "Mg_Ka": 1.0})["atomic_percent"]
    vague = fit.composition({"O_Ka": 1.0, "Fe_Ka": (1.0, 0.3), "Mg_Ka": 1.0})["atomic_percent"]
    assert np.array_equal(exact.mean, vague.mean)
    width = [float(np.subtract(*e.interval()[::-1]).sel(element="Fe").max()) for e in (exact, vague)]
    assert width[1] > 2 * width[0]
    assert float(vague.interval()[0].min()) >= 0


def test_absent_elements_are_limits_and_present_ones_detections(fit: bs.LineUnmixing) -> None:
    found = fit.detections
    order = np.argsort(found["counts"].sel(line="Fe_Ka").values)
    detected = found["detected"].isel(component=order)
    for component, number in zip(COMPONENTS, (0, 1), strict=True):
        for line in ("O_Ka", "Mg_Ka", "Fe_Ka"):
            assert bool(detected.sel(line=line)[number]) == (line in component)
    absent = found["upper"].isel(component=order).sel(line="Fe_Ka")[0]
    assert 0 < float(absent) < 0.05 * float(found["counts"].sum())
    assert "element Fe: < " in str(fit.composition(dict.fromkeys(["O_Ka", "Mg_Ka", "Fe_Ka"], 1.0))["atomic_percent"])


def test_films_correct_absorption_and_tell_the_thickness(fit: bs.LineUnmixing) -> None:
    factors = {"O_Ka": 600.0, "Mg_Ka": 700.0, "Fe_Ka": 1500.0}
    thin = fit.composition(factors)["weight_percent"].mean
    thick = fit.composition(factors, film=bs.Film(2e-3, elevation_deg=20))["weight_percent"]
    assert (thick.mean.sel(element="O") > thin.sel(element="O") + 1).all()
    vague = fit.composition(factors, film=bs.Film((2e-3, 1e-3), elevation_deg=20))["weight_percent"]
    assert np.array_equal(vague.mean, thick.mean)
    widths = [np.subtract(*e.interval()[::-1]).sel(element="O") for e in (thick, vague)]
    assert (widths[1] > widths[0]).all()
    found = fit.composition(factors, film=bs.Film(dose_electrons=1e12))["mass_thickness"]
    counts = fit.intensities_of(list(factors)).draws.isel(draw=0).values
    assert np.allclose(found.mean, counts @ list(factors.values()) / 1e12)
    assert (found.interval()[0] < found.mean).all()
    with pytest.raises(bs.InputError, match="a mass thickness or a dose"):
        fit.composition(factors, film=bs.Film())
    with pytest.raises(bs.InputError, match="no take-off angle"):
        fit.composition(factors, film=bs.Film(2e-3))


def test_spectra_sum_to_one_and_results_open_again(fit: bs.LineUnmixing, tmp_path: Path) -> None:
    assert np.allclose(fit.spectra["mean"].sum("energy"), 1.0, atol=1e-4)
    again = bs.open(fit.save(tmp_path / "fit.nc"))
    assert np.array_equal(again.line_counts.draws, fit.line_counts.draws)


def test_bad_input(fit: bs.LineUnmixing, image: bs.SpectrumImage) -> None:
    with pytest.raises(bs.InputError, match="Ti_Ka"):
        fit.ratio("Ti_Ka", "O_Ka")
    with pytest.raises(bs.InputError, match="Xx"):
        bs.unmix(image, rank=2, elements=["Xx"])
    with pytest.raises(bs.InputError, match="no more components than pixels or lines"):
        bs.unmix(image, rank=9, elements=["O", "Mg"])
    with pytest.raises(bs.InputError, match="elements alone"):
        bs.unmix(image, rank=2, elements=["O", "Mg"], background="bremsstrahlung")


def test_the_table_says_what_components_are_made_of(fit: bs.LineUnmixing) -> None:
    table = fit.table("O_Ka")
    assert [row[0] for row in table.rows] == ["share of counts (%)", "Mg_Ka/O_Ka", "Fe_Ka/O_Ka"]
    iron = dict(zip(fit.ratio("Fe_Ka", "O_Ka").mean.values, table.rows[2][1:], strict=True))
    assert iron[min(iron)].startswith("< ")
    assert "[" in iron[max(iron)]
    assert "[" in fit.table().rows[0][1]


def test_ranges_reach_what_fits_as_well() -> None:
    """Where no pixel shows that a component ends there, its ratio is open to that side, and the truth is within."""
    image = bs.simulate.iron_oxides(2000, (48, 48), seed=0)
    image = image.crop(energy=(0.2, float(image.energy[-1]))).rebin(energy=2)
    fit = bs.unmix(image, 2, elements=["Fe", "O"], seed=0)
    low, high = (end.values for end in fit.ratio("Fe_Ka", "O_Ka").interval(0.95))
    poor, rich = np.argsort(low + np.minimum(high, 1e3))
    assert high[poor] < 0.74 < low[rich], "the counts tell both apart"
    assert low[poor] < 0.698 < high[poor]
    assert low[rich] < 0.783 < high[rich]
    low, high = (end.values for end in fit.fractions.interval(0.95))
    assert ((low < 0.4) & (high > 0.6)).all(), "each may hold all that the other holds but at one point"
