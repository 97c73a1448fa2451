"""Any NumPyro model, fitted by what suits it, and labelled."""

import warnings
from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from jax import monitoring
from scipy.stats import poisson

import bayesspec as bs
from bayesspec.models import composition_mixture, poisson_nmf, poisson_pca
from bayesspec.workflows import fit as fitting


def program(counts: np.ndarray, *, scale: float = 10.0) -> None:
    rate = numpyro.sample("rate", dist.Gamma(1.0, 1.0 / scale).expand([counts.shape[1]]).to_event(1))
    numpyro.sample("counts", dist.Poisson(jnp.broadcast_to(rate, counts.shape)).to_event(2), obs=counts)


RATES = SimpleNamespace(DIMS={"rate": ("line",)}, model=program)
COUNTS = np.random.default_rng(0).poisson([20.0, 50.0], (40, 2))


@pytest.mark.parametrize("inference", ["auto", "svi", "laplace"])
def test_conjugate_model_is_recovered_with_its_dims(inference: str) -> None:
    fit = bs.fit(RATES, COUNTS, inference=inference, seed=0, scale=30.0, starts=1)
    rate = fit["rate"]
    shape, inverse_scale = 1 + COUNTS.sum(axis=0), 1 / 30 + len(COUNTS)
    assert rate.mean.dims == ("line",)
    np.testing.assert_allclose(rate.mean, shape / inverse_scale, rtol=0.02)
    np.testing.assert_allclose(rate.sd, np.sqrt(shape) / inverse_scale, rtol=0.2)
    assert fit.converged
    assert fit.method == ("NUTS" if inference == "auto" else fitting.METHODS[inference])
    assert "rate, line 1" in fit.table().to_text() or "rate" in fit.table().to_text()


@pytest.mark.parametrize("inference", ["full-rank", "flow", "laplace", "nuts"])
def test_a_second_fit_of_the_same_shapes_compiles_nothing(inference: str) -> None:
    compiled: list[str] = []

    def note(event: str, seconds: float, **about: Any) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(str(about.get("fun_name", "unknown")))

    def with_total(counts: Any, *, scale: float) -> None:
        rate = numpyro.sample("rate", dist.Gamma(1.0, 1.0 / scale).expand([counts.shape[1]]).to_event(1))
        numpyro.deterministic("total", rate.sum())
        numpyro.sample("counts", dist.Poisson(jnp.broadcast_to(rate, counts.shape)).to_event(2), obs=counts)

    model = SimpleNamespace(DIMS={"rate": ("line",)}, model=with_total)
    options: dict[str, Any] = {"inference": inference, "draws": 8, "max_steps": 250, "starts": 1, "scale": 30.0}
    bs.fit(model, COUNTS, seed=0, **options)
    monitoring.register_event_duration_secs_listener(note)
    bs.fit(model, COUNTS + 1, seed=1, **options)
    assert not compiled


class TwoImages:
    """Rates of lines in pixels that share a mean, as a hierarchical model has them."""

    DIMS = {"mean": ("energy",), "rate": ("pixel", "energy")}

    @staticmethod
    def model(counts: Any, *, pooled: bool = False) -> None:
        mean = numpyro.sample("mean", dist.LogNormal(1.0, 1.0).expand([counts.shape[1]]).to_event(1))
        rate = jnp.broadcast_to(mean, counts.shape)
        if not pooled:
            rate = numpyro.sample("rate", dist.Gamma(5.0, 5.0 / rate).to_event(2))
        numpyro.sample("counts", dist.Poisson(rate).to_event(2), obs=counts)


@pytest.fixture(scope="module")
def two_fits() -> dict[str, Any]:
    rates = 4 * np.random.default_rng(0).gamma(5.0, 0.2, (3, 4, 2))
    si = bs.SpectrumImage(np.random.default_rng(1).poisson(rates), energy=[1.0, 2.0], name="pixels")
    return {name: bs.fit(TwoImages, si, seed=0, draws=400, pooled=name == "pooled") for name in ("free", "pooled")}


def test_arviz_has_chains_and_all_groups(two_fits: dict[str, Any], tmp_path: Any) -> None:
    handed = two_fits["free"].to_arviz()
    sizes = {name: dict(handed[name][variable].sizes) for name, variable in GROUPS.items()}
    assert sizes["posterior"] == sizes["prior"] == {"chain": 4, "draw": 100, "energy": 2}
    assert sizes["posterior_predictive"] == {"chain": 4, "draw": 100, "pixel": 12, "energy": 2}
    assert sizes["log_likelihood"] == {"chain": 4, "draw": 100, "pixel": 12}
    assert sizes["observed_data"] == {"pixel": 12, "energy": 2}
    assert sizes["sample_stats"] == {"chain": 4, "draw": 100}
    opened = bs.open(two_fits["free"].save(tmp_path / "fit.nc"))
    assert opened.to_arviz()["posterior"]["mean"].sizes["chain"] == 4
    with pytest.raises(bs.InputError, match="no group 'prior'"):
        opened.to_arviz(["prior"])


GROUPS = {
    "posterior": "mean",
    "prior": "mean",
    "posterior_predictive": "counts",
    "log_likelihood": "counts",
    "observed_data": "counts",
    "sample_stats": "diverging",
}


def test_likelihoods_and_predictions_are_those_of_the_model(two_fits: dict[str, Any]) -> None:
    handed = two_fits["pooled"].to_arviz()
    mean, counts = handed["posterior"]["mean"].values, handed["observed_data"]["counts"].values
    expected = poisson.logpmf(counts, mean[:, :, None]).sum(axis=-1)
    np.testing.assert_allclose(handed["log_likelihood"]["counts"].values, expected, rtol=1e-4)
    predicted = handed["posterior_predictive"]["counts"].values
    np.testing.assert_allclose(predicted.mean(axis=(0, 1, 2)), mean.mean(axis=(0, 1)), rtol=0.03)
    np.testing.assert_allclose(np.log(handed["prior"]["mean"].values).std(), 1.0, rtol=0.1)


def test_arviz_summarises_compares_and_draws(two_fits: dict[str, Any]) -> None:
    import arviz as az

    old = az.__version__.startswith("0.")
    handed = {name: fit.to_arviz() for name, fit in two_fits.items()}
    summary = az.summary(handed["pooled"], var_names=["mean"])
    assert (summary["r_hat"].astype(float) < 1.05).all()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what ArviZ says of high Pareto-k
        loo = az.loo(handed["pooled"])
        table = az.compare(handed)
    assert np.isfinite(loo.elpd_loo if old else loo.elpd)
    assert set(table.index) == {"free", "pooled"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the figures' own
        az.plot_trace(handed["pooled"], var_names=["mean"])
        az.plot_rank(handed["pooled"], var_names=["mean"])
        (az.plot_ppc if old else az.plot_ppc_dist)(handed["pooled"])
    plt.close("all")


class SmoothNmf:
    """Poisson factorisation with broad priors of its own."""

    DIMS = {"spectra": ("component", "energy"), "abundances": ("pixel", "component"), "total": ("component",)}

    @staticmethod
    def model(counts: Any, *, rank: int) -> None:
        pixels, channels = counts.shape
        spectra = numpyro.sample("spectra", dist.Dirichlet(jnp.ones((rank, channels))).to_event(1))
        abundances = numpyro.sample("abundances", dist.Gamma(jnp.ones((pixels, rank)), 1e-2).to_event(2))
        numpyro.deterministic("total", abundances.sum(axis=0))
        numpyro.sample("counts", dist.Poisson(abundances @ spectra + 1e-10).to_event(2), obs=counts)


def image(**options: Any) -> bs.SpectrumImage:
    return bs.simulate.iron_oxides(300, (8, 9), seed=0, **options).rebin(energy=16)


def test_a_factorisation_of_an_image_comes_back_as_an_unmixing_that_can_be_checked_and_saved(tmp_path: Any) -> None:
    si = image().with_mask(np.arange(72).reshape(8, 9) == 3)
    fit = bs.fit(SmoothNmf, si, inference="svi", rank=1, seed=0, draws=100, max_steps=2000, starts=1)
    assert isinstance(fit, bs.Unmixing)
    expected = si.counts[si.valid].sum(axis=0) / si.counts[si.valid].sum()
    assert float(np.abs(fit.spectra["mean"].values[0] - expected).max()) < 0.01
    assert np.isnan(fit.abundances["mean"].values[0, 3]).all()
    assert fit.ratio("Fe_Ka", "O_Ka").mean.dims == ("component",)
    assert "agree" in bs.check(fit, si).attrs["verdict"]
    assert bs.compare(si, [fit, bs.classical.svd(si, 1)]).components
    assert isinstance(bs.open(fit.save(tmp_path / "fit.nc")), bs.Unmixing)
    assert fit.provenance["Pareto-k"] > 0


class Drift:
    """Counts of an image whose dose falls from row to row."""

    DIMS = {"counts": ("y", "x", "energy"), "dose": ("y",), "spectrum": ("energy",)}

    @staticmethod
    def model(counts: Any) -> None:
        dose = numpyro.sample("dose", dist.LogNormal(jnp.zeros(counts.shape[0]), 1.0).to_event(1))
        spectrum = numpyro.sample("spectrum", dist.LogNormal(jnp.zeros(counts.shape[2]), 3.0).to_event(1))
        rate = jnp.broadcast_to(dose[:, None, None] * spectrum, counts.shape)
        numpyro.sample("counts", dist.Poisson(rate + 1e-10).to_event(3), obs=counts)


def test_sites_of_an_image_have_its_coordinates() -> None:
    si = image()
    fit = bs.fit(Drift, si, inference="svi", seed=0, draws=20, max_steps=500, starts=1)
    np.testing.assert_array_equal(fit["spectrum"].mean["energy"], si.energy)
    assert fit["spectrum"].mean["energy"].attrs["units"] == "keV"
    assert fit["dose"].mean.sizes == {"y": 8}
    assert fit.name == si.name
    assert fit.data_checksum == si.checksum
    with pytest.raises(bs.InputError, match="excluded pixels"):
        bs.fit(Drift, si.with_mask(np.arange(72).reshape(8, 9) == 3))


def test_pixels_have_their_places_and_deterministic_sites_their_draws() -> None:
    maps = bs.element_maps(image(), ["Fe_Ka", "O_Ka"])

    def model(counts: Any) -> None:
        dose = numpyro.sample("dose", dist.Gamma(jnp.ones(len(counts)), 1e-2).to_event(1))
        numpyro.deterministic("twice", 2 * dose)
        numpyro.sample(
            "counts", dist.Poisson(dose[:, None] / counts.shape[1]).expand(counts.shape).to_event(2), obs=counts
        )

    found = bs.fit(SimpleNamespace(DIMS={"dose": ("pixel",), "twice": ("pixel",)}, model=model), maps, draws=200)
    assert found["dose"].mean["y"].dims == ("pixel",)
    np.testing.assert_allclose(found.data["twice"], 2 * found.data["dose"], rtol=1e-6)
    np.testing.assert_allclose(found["dose"].mean, maps.window_counts().sum(axis=2).ravel() + 1, rtol=0.1)


@pytest.mark.parametrize(
    ("model", "given", "kind"),
    [
        (poisson_nmf, {"rank": 1}, bs.Unmixing),
        (composition_mixture, {"phases": 2}, bs.Segmentation),
        (poisson_pca, {"rank": 1}, bs.PrincipalComponents),
    ],
)
def test_built_in_models_are_fitted_by_their_engines(model: Any, given: dict[str, int], kind: type) -> None:
    data: Any = bs.simulate.iron_oxide_lines(400, (12, 12), seed=0) if kind is bs.Segmentation else image()
    assert type(bs.fit(model, data, draws=20, **given)) is kind


def test_a_family_that_does_not_fit_is_flagged() -> None:
    def sum_alone_is_known(counts: Any) -> None:
        parts = numpyro.sample("parts", dist.Normal(jnp.zeros(6), 1.0).to_event(1))
        numpyro.sample("counts", dist.Normal(parts.sum(), 0.02).expand(counts.shape).to_event(1), obs=counts)

    module = SimpleNamespace(DIMS={"parts": ("part",)}, model=sum_alone_is_known)
    fit = bs.fit(module, np.ones(3), inference="svi", seed=0, starts=1)
    assert fit.pareto_k > 0.7
    assert "does not fit the posterior" in fit.status
    assert not fit.converged
    assert any("Pareto-k" in warning for warning in fit.warnings())


def latent_label(counts: Any) -> None:
    numpyro.sample("label", dist.Bernoulli(0.5))
    numpyro.sample("counts", dist.Poisson(1.0).expand(counts.shape).to_event(2), obs=counts)


def negative(counts: Any) -> None:
    rate = numpyro.sample("rate", dist.LogNormal(0.0, 1.0))
    numpyro.sample("counts", dist.Poisson(rate).expand(counts.shape).to_event(2), obs=counts - 5.0)


def impossible(counts: Any) -> None:
    rate = numpyro.sample("rate", dist.LogNormal(0.0, 1.0))
    numpyro.sample("counts", dist.Poisson(0.0 * rate).expand(counts.shape).to_event(2), obs=counts)


def bare(counts: Any) -> None:
    numpyro.sample("rate", dist.LogNormal(0.0, 1.0))


def plate(counts: Any) -> None:
    with numpyro.plate("pixel", len(counts) + 1):
        numpyro.sample("counts", dist.Poisson(3.0).expand([len(counts)]), obs=counts[:, 0])


BAD = {
    "no DIMS": (SimpleNamespace(model=program), "without DIMS"),
    "no dims of a site": (SimpleNamespace(DIMS={}, model=program), "one name in DIMS for every dimension"),
    "a dim of another length": (SimpleNamespace(DIMS={"rate": ("pixel",)}, model=program), "dims as long as those"),
    "a discrete site": (SimpleNamespace(DIMS={"label": ()}, model=latent_label), "discrete site 'label'"),
    "data outside the support": (SimpleNamespace(DIMS={"rate": ()}, model=negative), "outside the support"),
    "no probability": (SimpleNamespace(DIMS={"rate": ()}, model=impossible), "no finite probability of the site"),
    "nothing observed": (SimpleNamespace(DIMS={"rate": ()}, model=bare), "no observed site"),
    "a plate of another size": (SimpleNamespace(DIMS={}, model=plate), "which raised"),
    "a model that raises": (SimpleNamespace(DIMS={}, model=lambda counts: 1 / 0), "ZeroDivisionError"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_models_are_refused_by_name(name: str) -> None:
    model, said = BAD[name]
    maps = bs.simulate.iron_oxide_lines(3, (4, 4), seed=0)
    with pytest.raises(bs.InputError, match=said):
        bs.fit(model, maps, max_steps=500)


def test_draws_that_do_not_fit_into_the_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "MEMORY_SHARE", 1e-9)
    with pytest.raises(bs.InputError, match="GiB"):
        bs.fit(RATES, COUNTS)


def test_wrong_names_of_inference_are_refused() -> None:
    with pytest.raises(bs.InputError, match="one of auto, engine"):
        bs.fit(RATES, COUNTS, inference="hmc")
    with pytest.raises(bs.InputError, match="a built-in model"):
        bs.fit(RATES, COUNTS, inference="engine")


def test_strict_raises_what_the_status_says() -> None:
    counts = np.full((4, 2), 100_000)
    with pytest.raises(bs.FitError, match="step limit"):
        bs.fit(RATES, counts, inference="svi", starts=1, max_steps=250, strict=True)


def in_plate(counts: Any, *, weights: Any = None) -> None:
    share = numpyro.sample("share", dist.Dirichlet(jnp.ones(counts.shape[1])))
    with numpyro.plate("pixel", len(counts)):
        amount = numpyro.sample("amount", dist.Gamma(1.0, 0.01))
        known = 1.0 if weights is None else weights
        numpyro.sample("counts", dist.Poisson((known * amount)[:, None] * share).to_event(1), obs=counts)


IN_PLATE = SimpleNamespace(DIMS={"share": ("line",), "amount": ("pixel",)}, model=in_plate)


def test_batches_of_pixels_give_every_pixel_its_draws() -> None:
    fit = bs.fit(IN_PLATE, COUNTS, batch_size=10, draws=50, starts=1, seed=0)
    assert fit["amount"].draws.sizes == {"draw": 50, "pixel": 40}
    np.testing.assert_allclose(fit["share"].mean, COUNTS.sum(axis=0) / COUNTS.sum(), rtol=0.05)
    np.testing.assert_allclose(fit["amount"].mean, (1 + COUNTS.sum(axis=1)) / 1.01, rtol=0.1)
    assert fit.provenance["inference"] == "svi: 10 pixels at a time"
    assert np.isnan(fit.pareto_k)


@pytest.mark.parametrize(
    ("model", "options", "found"),
    [
        (RATES, {}, "without a plate 'pixel' of its 40 pixels"),
        (IN_PLATE, {"weights": np.ones(40)}, "does not run on 10 of its 40 pixels"),
        (IN_PLATE, {"inference": "nuts"}, "with inference='nuts'"),
        (IN_PLATE, {"batch_size": 0}, "batch_size=0"),
    ],
)
def test_models_that_cannot_be_divided_are_refused(model: Any, options: dict[str, Any], found: str) -> None:
    with pytest.raises(bs.InputError, match=found):
        bs.fit(model, COUNTS, **{"batch_size": 10, **options})
