"""The generative model of lines on an axis that is known within errors, and the workflows that are held to it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro import handlers
from numpyro.diagnostics import effective_sample_size
from numpyro.infer import MCMC, NUTS
from numpyro.infer.util import log_density
from scipy.special import gammaln, xlogy

import bayesspec as bs
from bayesspec.inference.linear_poisson.one_spectrum import fit_intensities
from bayesspec.models import calibrated_lines
from bayesspec.spectroscopy.shape_errors import REFINED, TABULATED, design_errors
from bayesspec.workflows.calibrate_energy import PRIOR_SD
from bayesspec.workflows.line_model import line_model

LINES = ["Fe_La", "O_Ka"]


@pytest.fixture(scope="module")
def spectrum():
    image = bs.simulate.iron_oxides(300, (16, 16), seed=0, blur=3.0).crop(energy=(0.4, 0.9))
    return image.rebin(y=16, x=16)


def options(image, design, sd=PRIOR_SD):
    """Arguments of the model: two families and two backgrounds, which are enough here."""
    energy, n = image.energy[design.channels], design.n_lines
    return {
        "energy": energy,
        "half": np.full(len(energy), (image.energy[1] - image.energy[0]) / 2),
        "lines": [(np.array(family.energies_kev), np.array(family.weights)) for family in design.families],
        "backgrounds": design.matrix[:, n:],
        "known": np.array([0.0, 1.0, 130.0, 2.5]),
        "known_sd": np.array(sd),
    }


def test_columns_are_those_of_the_workflow(spectrum):
    found = bs.calibrate_energy(spectrum, elements=[], lines=LINES)
    given, families = options(spectrum, found.design), found.design.n_lines
    with jax.enable_x64(True):
        columns = calibrated_lines.line_columns(
            given["energy"], given["half"], given["lines"], found.theta, np.zeros(families), np.zeros(families)
        )
    np.testing.assert_allclose(columns, found.design.matrix[:, :families], atol=1e-12)


def test_log_joint_is_that_of_the_model_and_the_calibration_its_mode(spectrum):
    found = bs.calibrate_energy(spectrum, elements=[], lines=LINES)
    assert found.converged
    assert found.model_error == 0
    given, counts = options(spectrum, found.design), spectrum.sum_spectrum()[found.design.channels]
    fit = fit_intensities(found.design.matrix, counts)
    perfect = (xlogy(counts, counts) - counts - gammaln(counts + 1)).sum()
    away = (found.theta - given["known"]) / given["known_sd"]
    ours = perfect - fit.deviance / 2 - 0.5 * (away**2).sum() - np.log(given["known_sd"] * np.sqrt(2 * np.pi)).sum()
    with jax.enable_x64(True):
        intensities = jnp.maximum(jnp.asarray(fit.intensities), 1e-9)

        def log_joint(theta):
            sites = {"calibration": theta, "intensities": intensities}
            return log_density(calibrated_lines.model, (counts,), given, sites)[0]

        theirs, slope = jax.value_and_grad(log_joint)(jnp.asarray(found.theta))
    theirs = float(theirs) - len(fit.intensities) * np.log(calibrated_lines.FLAT_RATE)
    assert ours == pytest.approx(theirs, abs=1e-3)
    assert (np.abs(slope) * np.sqrt(np.diag(found.covariance)) < 0.05).all()


@pytest.fixture(scope="module")
def everything(spectrum):
    """The workflow's fit, and the model with axis, widths and tables within errors about its mode."""
    found = line_model(spectrum, elements=[], lines=LINES)
    return found, ScaledModel(found, spectrum)


class ScaledModel:
    """Log density of all sites in units of about a standard deviation, and where it is largest."""

    names = ("calibration", "intensities", "shift", "widening", "errors")

    def __init__(self, found, spectrum):
        design, fit = found.design, found.found.fit
        used = fit.intensities > 0
        errors = design_errors(design, fit.intensities, found.image.energy, found.calibration.theta[2], TABULATED)
        self.given = options(spectrum, design, [5.0, 5e-4, 6.5, 0.4]) | {"family_sd": REFINED, "shape_errors": errors}
        self.given["backgrounds"] = self.given["backgrounds"][:, used[design.n_lines :]]  # the others are at zero
        self.counts = spectrum.sum_spectrum()[design.channels]
        zeros = np.zeros(design.n_lines)
        start = [self.given["known"], fit.intensities[used], zeros, zeros, np.zeros(errors.shape[1])]
        widths = [np.full(design.n_lines, sd) for sd in REFINED]
        scales = [self.given["known_sd"], np.sqrt(fit.intensities[used]), *widths, np.ones(errors.shape[1])]
        self.at, self.scale = np.concatenate(start), np.concatenate(scales)
        self.cut = np.cumsum([len(part) for part in start])[:-1]
        informed = [name != "intensities" for name, part in zip(self.names, start, strict=True) for _ in part]
        with jax.enable_x64(True):
            slope, curvature = jax.jit(jax.grad(self.loss)), jax.jit(jax.hessian(self.loss))
            self.mode = np.zeros(len(self.at))
            for _ in range(8):
                self.mode -= np.linalg.solve(np.asarray(curvature(self.mode)), np.asarray(slope(self.mode)))
            expected, slopes = np.asarray(self.rate(self.mode)), np.asarray(jax.jit(jax.jacfwd(self.rate))(self.mode))
        information = slopes.T @ (slopes / expected[:, None]) + np.diag(np.array(informed, float))
        self.covariance = np.linalg.inv(information)

    def sites(self, deviation):
        return dict(zip(self.names, jnp.split(self.at + self.scale * deviation, self.cut), strict=True))

    def loss(self, deviation):
        return -log_density(calibrated_lines.model, (self.counts,), self.given, self.sites(deviation))[0]

    def rate(self, deviation):
        run = handlers.substitute(handlers.seed(calibrated_lines.model, 0), self.sites(deviation))
        return handlers.trace(run).get_trace(self.counts, **self.given)["counts"]["fn"].mean


def test_calibrated_fit_is_the_normal_approximation_of_the_model(everything):
    """Axis, widths of the families and tables within errors, all integrated out."""
    model, scaled = everything
    fit = model.found.fit
    mode, sd = scaled.at + scaled.scale * scaled.mode, scaled.scale * np.sqrt(np.diag(scaled.covariance))
    used = fit.intensities > 0
    covariance = np.linalg.inv(fit.information[np.ix_(used, used)])
    for place, value, own in (
        (0, *model.calibration.offset_ev),
        (2, *model.calibration.resolution_mn_ka_ev),
        (4, fit.intensities[0], np.sqrt(covariance[0, 0])),
        (5, fit.intensities[1], np.sqrt(covariance[1, 1])),
    ):
        assert abs(mode[place] - value) < 0.25 * own
        assert sd[place] == pytest.approx(own, rel=0.2)


def test_intervals_of_the_fit_are_those_of_nuts(spectrum, everything):
    """Started at the mode, in coordinates that are independent there: the axis is nearly told by the lines alone."""
    _, scaled = everything
    with jax.enable_x64(True):
        root = jnp.linalg.cholesky(jnp.asarray(scaled.covariance))

        def potential(white):
            deviation = scaled.mode + root @ white
            possible = (scaled.sites(deviation)["intensities"] >= 0).all()
            return jnp.where(possible, scaled.loss(deviation), jnp.inf)

        kernel = NUTS(potential_fn=potential, adapt_mass_matrix=False, target_accept_prob=0.95)
        sampler = MCMC(kernel, num_warmup=100, num_samples=1000, progress_bar=False)
        sampler.run(jax.random.PRNGKey(0), init_params=jnp.zeros(len(scaled.mode)), extra_fields=("diverging",))
        assert np.asarray(sampler.get_extra_fields()["diverging"]).mean() < 0.01
        white = np.asarray(sampler.get_samples())
        assert effective_sample_size(white[None]).min() > 300
    sampled = scaled.at + scaled.scale * (scaled.mode + white @ np.asarray(root).T)
    drawn = bs.fit_lines(spectrum, elements=[], lines=LINES, draws=4000).data["intensity_draws"].values
    for ours, theirs in (
        (drawn[:, 0], sampled[:, 4]),
        (drawn[:, 1], sampled[:, 5]),
        (np.log(drawn[:, 0] / drawn[:, 1]), np.log(sampled[:, 4] / sampled[:, 5])),
    ):
        ends = (np.quantile(values, [0.05, 0.5, 0.95]) for values in (ours, theirs))
        np.testing.assert_allclose(*ends, atol=0.35 * theirs.std(), rtol=0)
        assert ours.std() == pytest.approx(theirs.std(), rel=0.15)


def test_dims_name_every_axis_of_every_latent_site(spectrum):
    design = bs.calibrate_energy(spectrum, elements=[], lines=LINES).design
    counts = spectrum.sum_spectrum()[design.channels]
    given = options(spectrum, design) | {"family_sd": (1.0, 0.01), "shape_errors": design.matrix[:, :3]}
    with jax.enable_x64(True):
        trace = handlers.trace(handlers.seed(calibrated_lines.model, 0)).get_trace(counts, **given)
    latent = {name: site["value"].shape for name, site in trace.items() if not site.get("is_observed", True)}
    assert latent == {
        "calibration": (4,),
        "shift": (2,),
        "widening": (2,),
        "intensities": (design.matrix.shape[1],),
        "errors": (3,),
    }
    dims = {name: len(dims) for name, dims in calibrated_lines.DIMS.items() if name != "counts"}
    assert dims == {name: len(shape) for name, shape in latent.items()}
