"""Compositions of pixels: the truth within the intervals, at the sd that propagation of errors gives."""

import numpy as np
import pytest
import xarray as xr

import bayesspec as bs
from bayesspec.results.dataset import attributes

K = {"Fe_Ka": 1.45, "Pt_La": 5.08}
COUNTS = {"Fe_Ka": 300.0, "Pt_La": 400.0}


def maps_of(seed: int = 0, shape: tuple[int, int] = (20, 30)) -> bs.IntensityMaps:
    rng = np.random.default_rng(seed)
    mean = np.array(list(COUNTS.values()))
    values = rng.poisson(mean, (*shape, 2)).astype(np.float32)
    data = xr.Dataset(
        {"intensities": (("y", "x", "line"), values), "sd": (("y", "x", "line"), np.sqrt(values))},
        coords={"line": list(COUNTS)},
    )
    attrs = attributes(name="film", method="test", status="", converged=True, settings={})
    return bs.IntensityMaps(data.assign_attrs(attrs))


def true_weight_percent() -> float:
    fe, pt = (K[line] * n for line, n in COUNTS.items())
    return 100 * fe / (fe + pt)


def test_intervals_of_pixels_hold_the_truth() -> None:
    found = bs.composition_maps(maps_of(), K, prob=0.9)
    fe = found.sel(element="Fe")
    truth = true_weight_percent()
    inside = (fe["weight_percent_lower"] <= truth) & (truth <= fe["weight_percent_upper"])
    assert 0.85 < float(inside.mean()) < 0.95
    expected = truth * (1 - truth / 100) * np.sqrt(1 / 300 + 1 / 400)
    assert float(fe["weight_percent_sd"].mean()) == pytest.approx(expected, rel=0.05)
    np.testing.assert_allclose(found["atomic_percent"].sum("element"), 100, rtol=1e-5)


def test_covariance_counts() -> None:
    maps = maps_of(1, (4, 4))
    sd = maps.data["sd"].values
    together = 0.9 * sd[..., :, None] * sd[..., None, :] + 0.1 * np.eye(2) * (sd**2)[..., :, None]
    joint = bs.IntensityMaps(maps.data.assign(covariance=(("y", "x", "line", "other_line"), together)))
    alone, both = (bs.composition_maps(one, K, draws=2000)["weight_percent_sd"].mean() for one in (maps, joint))
    assert float(both / alone) == pytest.approx(np.sqrt(1 - 0.9), rel=0.15)


def test_excluded_pixels_stay_out_and_a_dose_gives_thickness() -> None:
    maps = maps_of(2, (3, 4))
    maps.data["intensities"][0, 0] = np.nan
    film = bs.Film(dose_electrons=1e9)
    found = bs.composition_maps(maps, {"Fe_Ka": 600.0, "Pt_La": 1500.0}, film=film)
    assert np.isnan(found["weight_percent"].values[0, 0]).all()
    assert np.isfinite(found["weight_percent"].values[1:]).all()
    expected = (600 * 300 + 1500 * 400) / 1e9
    assert float(found["mass_thickness"].mean()) == pytest.approx(expected, rel=0.05)


def test_bad_input() -> None:
    with pytest.raises(bs.InputError, match="O_Ka"):
        bs.composition_maps(maps_of(), {"O_Ka": 1.0, "Fe_Ka": 1.0})
    with pytest.raises(bs.InputError, match="from 2 to"):
        bs.composition_maps(maps_of(), K, draws=1)
