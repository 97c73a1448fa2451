"""Principal components of an image, from counts to denoised rates with intervals."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.special import xlogy

import bayesspec as bs

ENERGY = 0.2 + 0.1 * np.arange(40)


def phantom(dose=150.0, side=16, seed=0):
    rng = np.random.default_rng(seed)
    lines = [np.exp(-0.5 * ((np.arange(40) - p) / 2.0) ** 2) + 0.05 for p in (8, 20, 31)]
    spectra = np.stack([line / line.sum() for line in lines])
    fields = np.stack([gaussian_filter(rng.normal(size=(side, side)), 2.0, mode="wrap") for _ in lines], axis=2)
    maps = np.maximum(fields / fields.std(axis=(0, 1)) + 0.3, 0) + 0.05
    rates = dose * maps / maps.sum(axis=2).mean() @ spectra
    return bs.SpectrumImage(rng.poisson(rates), energy=ENERGY), rates


@pytest.fixture(scope="module")
def fit():
    return bs.pca(phantom()[0], rank=3, link="linear", prob=0.9, draws=20)


def test_denoised_rates_are_close_and_their_intervals_cover(fit):
    found, rates = fit.denoised, phantom()[1]
    counts = phantom()[0].counts
    assert np.square(found["mean"].values - rates).mean() < 0.15 * np.square(counts - rates).mean()
    inside = (found["lower"].values <= rates) & (rates <= found["upper"].values)
    assert 0.83 < inside.mean() < 0.95
    assert found.attrs["prob"] == 0.9
    assert (found["lower"] <= found["mean"]).mean() > 0.9


def test_a_part_of_the_image_is_that_part_of_the_whole(fit):
    part = fit.denoise(y=slice(2, 5), x=slice(0, 4))
    np.testing.assert_allclose(part["mean"], fit.denoised["mean"][2:5, :4], rtol=1e-5)
    with pytest.raises(bs.InputError, match="a slice"):
        fit.denoise(y=3)


def test_unmix_knows_the_model_and_masks_leave_gaps():
    image, rates = phantom()
    mask = np.zeros(image.shape[:2], bool)
    mask[:3] = True
    fit = bs.unmix(image.with_mask(mask).with_mask(ENERGY > 3.9), rank=3, model="pca", draws=10)
    assert isinstance(fit, bs.PrincipalComponents)
    assert (fit.link, fit.rank, fit.converged) == ("log", 3, True)
    assert np.isnan(fit.scores["mean"].values[:3]).all()
    found = fit.denoised["mean"].values
    assert np.isnan(found[:3]).all()
    assert np.isnan(found[..., ENERGY > 3.9]).all()
    inner = np.ix_(np.arange(3, 16), np.arange(16), np.flatnonzero(ENERGY <= 3.9))
    assert np.corrcoef(found[inner].ravel(), rates[inner].ravel())[0, 1] > 0.95
    assert ((fit.reliability > 0) & (fit.reliability < 1)).all()


def test_saved_opened_and_handed_on(fit, tmp_path):
    again = bs.open(fit.save(tmp_path / "pca.nc"))
    assert isinstance(again, bs.PrincipalComponents)
    np.testing.assert_array_equal(again.denoised["mean"], fit.denoised["mean"])
    draws = fit.to_arviz()["posterior"]["components_draws"]
    assert draws.dims == ("chain", "draw", "component", "energy")
    sd = fit.components["sd"].values
    np.testing.assert_allclose(draws.values[0].std(axis=0).mean(), sd.mean(), rtol=0.15)


def test_components_without_information_are_named():
    fit = bs.pca(phantom(dose=4.0)[0], rank=3, draws=5)
    assert "not resolved pixel by pixel" in fit.verdict


def test_unknown_links_are_refused():
    with pytest.raises(bs.InputError, match="'cubic'"):
        bs.pca(phantom()[0], rank=2, link="cubic")


def test_compared_with_the_image_and_reported(fit, tmp_path):
    image, _ = phantom()
    rates = fit.denoised["mean"].values.astype(float)
    counts = image.counts.astype(float)
    floor = 1e-3 * counts.sum(axis=2, keepdims=True) * image.sum_spectrum() / counts.sum()
    rates = np.maximum(rates, floor)
    expected = 2 * np.mean(xlogy(counts, counts / rates) - counts + rates)
    score = bs.compare(image, [fit, bs.classical.svd(image, 3)]).components[0]
    assert score.deviance == pytest.approx(expected, rel=1e-5)
    page = bs.report(fit, tmp_path / "components.html").read_text()
    assert f"{100 * float(fit.reliability[0]):.1f}" in page
    assert "Principal components" in page
    figure = bs.plot.principal_components(fit)
    drawn = [line.get_ydata() for ax in figure.axes for line in ax.lines if len(line.get_ydata()) == len(ENERGY)]
    np.testing.assert_allclose(drawn[1], fit.components["mean"][1])


def test_two_halves_span_the_same_space_where_the_rank_is_right():
    image, _ = phantom(dose=600.0)
    methods = {str(n): lambda data, n=n: bs.pca(data, n, link="linear", draws=2) for n in (3, 5)}
    trials = {trial.name: trial for trial in bs.compare(image, methods).trials}
    assert trials["3"].stability < 0.5 * trials["5"].stability
    assert trials["3"].held_out < trials["5"].held_out
