from pathlib import Path

import numpy as np
import pytest

import bayesspec as bs
from bayesspec.spectroscopy.core_edges import chosen_edges, edges_in_range
from bayesspec.spectroscopy.edge_design import in_window

ELEMENTS = ["C", "Ti", "Sr", "O"]


def true_counts(image: bs.SpectrumImage, names: tuple[str, ...]) -> np.ndarray:
    """Expected counts of each edge in its window, in every pixel (y, x, edge)."""
    truth, onsets = image.truth, chosen_edges(image, ELEMENTS)
    columns = []
    for name in names:
        k = truth["components"].index(name)
        columns.append(truth["abundances"][..., k] * truth["edges"][k][in_window(image.energy, onsets[name])].sum())
    return np.stack(columns, axis=2)


@pytest.fixture(scope="module")
def image() -> bs.SpectrumImage:
    return bs.simulate.eels_edges(2000, 32, seed=0)


@pytest.fixture(scope="module")
def fit(image: bs.SpectrumImage) -> bs.EdgeFit:
    return bs.fit_edges(image, ELEMENTS, draws=40)


def test_counts_of_the_edges_are_found(fit: bs.EdgeFit, image: bs.SpectrumImage) -> None:
    assert fit.lines == ("C_K", "Ti_L", "O_K", "Sr_L")
    truth = true_counts(image, fit.lines).sum(axis=(0, 1))
    found = fit.intensities
    assert np.allclose(found.mean, truth, rtol=0.06)
    assert (np.abs(found.mean - truth) < 4 * found.sd).all()
    assert float(fit.ratio("Ti_L", "Sr_L").mean) == pytest.approx(truth[1] / truth[3], rel=0.05)
    assert fit.misfit < 2


def test_maps_follow_the_sample(image: bs.SpectrumImage) -> None:
    maps = bs.model_maps(image, ELEMENTS)
    truth = true_counts(image, maps.lines)
    found = maps.intensities.mean.values
    z = (found - truth) / maps.sd.values
    for i in range(4):
        assert np.corrcoef(found[..., i].ravel(), truth[..., i].ravel())[0, 1] > 0.97
        assert found[..., i].mean() == pytest.approx(truth[..., i].mean(), rel=0.07)
        assert 0.6 < z[..., i].std() < 1.3


def test_edges_serve_segmentation_and_unmixing_as_lines_do(image: bs.SpectrumImage) -> None:
    small = image.crop(y=(0, 24), x=(0, 24))
    truth = true_counts(image, ("C_K", "Ti_L", "O_K", "Sr_L"))[:24, :24]
    maps = bs.spectral_maps(small, ELEMENTS)
    assert np.allclose(maps.net().sum(axis=(0, 1)), truth.sum(axis=(0, 1)), rtol=0.08)
    fit = bs.unmix(small, rank=4, elements=ELEMENTS, prob=0.9)
    counts = fit.line_counts
    low, high = (end.values for end in counts.interval())
    for line, total in zip(counts.mean["line"].values, truth.sum(axis=(0, 1)), strict=True):
        k = int(counts.mean.sel(line=line).argmax("component"))
        column = list(counts.mean["line"].values).index(line)
        assert float(counts.mean[:, column].sum()) == pytest.approx(total, rel=0.08)
        assert low[k, column] < total < high[k, column]
        found = fit.abundances["mean"].values[..., k].ravel()
        assert np.corrcoef(found, truth[..., column].ravel())[0, 1] > 0.97


def test_the_gain_of_a_camera_is_named_and_divided(image: bs.SpectrumImage, fit: bs.EdgeFit) -> None:
    camera = bs.SpectrumImage(
        7 * image.counts, energy=image.energy, energy_unit="eV", acquisition=bs.Acquisition("EELS", 200.0)
    )
    with pytest.warns(UserWarning, match="a gain of"):
        found = bs.fit_edges(camera, ELEMENTS, draws=5)
    assert np.allclose(found.intensities.mean, fit.intensities.mean, rtol=0.25)


def test_saved_fits_open_again(fit: bs.EdgeFit, tmp_path: Path) -> None:
    again = bs.open(fit.save(tmp_path / "fit.nc"))
    assert isinstance(again, bs.EdgeFit)
    assert np.array_equal(again.intensities.draws, fit.intensities.draws)


def test_onsets_are_those_of_the_table() -> None:
    assert set(edges_in_range("Ti", 200.0, 2000.0)) == {"Ti_L"}
    assert edges_in_range("La", 350.0, 850.0) == {}
    assert edges_in_range("La", 350.0, 900.0)["La_M"] == pytest.approx(836.0, abs=5)


def test_bad_input(image: bs.SpectrumImage, fit: bs.EdgeFit) -> None:
    with pytest.raises(bs.InputError, match="Fe_Kz"):
        bs.fit_edges(image, edges=["Fe_Kz"])
    with pytest.raises(bs.InputError, match="B has no edge"):
        bs.fit_edges(image, ["B"])
    with pytest.raises(bs.InputError, match="Qq"):
        bs.fit_edges(image, ["Qq"])
    with pytest.raises(bs.InputError, match="EELS image in eV"):
        bs.fit_edges(_eds(), ["C"])
    with pytest.raises(bs.InputError, match="cross sections"):
        fit.composition({"C_K": 1.0})


def _eds() -> bs.SpectrumImage:
    return bs.SpectrumImage(
        np.ones((2, 2, 100), int), energy=0.1 + 0.01 * np.arange(100), acquisition=bs.Acquisition("EDS", 200.0, 130.0)
    )
