"""Composition mixture: each pixel belongs to one of a few phases, and each phase has one composition.

A pixel n receives counts y[n, c] in the channels c (line windows, or bins of a spectrum). They are Poisson,
with a rate t[n] s[k, c]: a local thickness or dose t[n] > 0 (counts) times the composition s[k, :] of the
phase k = z[n] that the pixel belongs to (dimensionless, sums to one). Nothing is assumed about t[n]. Under the
prior 1/t the total N[n] = sum_c y[n, c] says nothing about the phase, and given its total the pixel is
multinomial, so the thickness drops out exactly:

    s[k, :]   ~ Dirichlet(1, ..., 1)                          composition of phase k
    a[k, j]   ~ Normal(0, weight_scale)                       intercept (j = 0) and slopes of the log weights
    pi[n, :]  = softmax_k(a[k, 0] + sum_j a[k, j] x[n, j])    weights of the phases in pixel n
    z[n]      ~ Categorical(pi[n, :])                         phase of pixel n
    y[n, :]   ~ Multinomial(N[n], s[z[n], :])                 its counts, given their total

The covariates x[n, j] (dimensionless, standardised) are whatever is known of the pixel apart from how its own
counts divide over the channels, for example which step its local dose falls on: where phases and
thickness are both smooth they are correlated by accident, and weights that ignore it spoil the intervals of the
compositions. Only differences of a between phases matter; the Normal prior fixes the rest.

Where the composition also scatters within a phase, each pixel has a position along a direction of its phase:

    l[k, :]   ~ Normal(0, scatter_scale)                      standard deviations of the log shares, signed
    t[n]      ~ Normal(0, 1)                                  position of pixel n
    y[n, :]   ~ Multinomial(N[n], softmax(log s[z[n], :] + l[z[n], :] t[n]))

With l = 0 this is the model above. The labels z are summed out, so that gradient samplers apply. Phases are
exchangeable: `canonical` orders them. Pixels that hold two phases are in `phase_boundaries`.

Symbols
-------
y : (pixel, channel), counts. N : (pixel,), counts. x : (pixel, covariate), dimensionless.
s : (phase, channel), fraction of the counts. l : (phase, channel), log ratio. t : (pixel,),
dimensionless. a : (phase, 1 + covariate), log odds. pi : (pixel, phase).

Sources
-------
Mixtures and their weights: McLachlan and Peel (2000), doi:10.1002/0471721182. Poisson counts given their total:
Baker (1994), doi:10.2307/2348134.
"""

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist

DIMS = {
    "composition": ("phase", "channel"),
    "weights": ("phase", "coefficient"),
    "scatter": ("phase", "channel"),
    "position": ("pixel",),
}


def design_matrix(counts, covariates=None):
    """Column of ones beside the covariates: (pixel, 1 + covariate), floating."""
    ones = jnp.ones((counts.shape[0], 1))
    return ones if covariates is None else jnp.concatenate([ones, jnp.asarray(covariates)], axis=1)


def model(counts, *, phases, covariates=None, weight_scale=3.0, scatter_scale=0.0):
    """Counts of pixels that each belong to one phase, given the total of each pixel.

    Parameters
    ----------
    counts : array of int, (pixel, channel)
        Counts.
    phases : int
        Number of phases.
    covariates : array of float, (pixel, covariate), optional
        Standardised covariates of the weights, dimensionless.
    weight_scale : float
        Prior standard deviation of the intercepts and slopes of the log weights.
    scatter_scale : float
        Prior standard deviation of the scatter within phases, log ratio; 0 for none.
    """
    counts = jnp.asarray(counts)
    design = design_matrix(counts, covariates)
    composition = numpyro.sample("composition", dist.Dirichlet(jnp.ones(counts.shape[1])).expand([phases]).to_event(1))
    weights = numpyro.sample("weights", dist.Normal(0.0, weight_scale).expand([phases, design.shape[1]]).to_event(2))
    label = dist.CategoricalLogits(design @ weights.T)
    logits = jnp.log(composition)[:, None]
    if scatter_scale > 0:
        prior = dist.Normal(0.0, scatter_scale).expand([phases, counts.shape[1]]).to_event(2)
        scatter = numpyro.sample("scatter", prior)
        with numpyro.plate("pixel", counts.shape[0]):
            position = numpyro.sample("position", dist.Normal(0.0, 1.0))
        logits = logits + scatter[:, None] * position[None, :, None]
    totals = counts.sum(axis=1)
    of_phase = [dist.MultinomialLogits(logits[k], total_count=totals) for k in range(phases)]
    with numpyro.plate("pixel", counts.shape[0]):
        numpyro.sample("counts", dist.MixtureGeneral(label, of_phase), obs=counts)


def initial(counts, *, phases, covariates=None, key):
    """Starting values: the pooled composition, each phase shifted a little at random; even weights."""
    counts = jnp.asarray(counts)
    pooled = (counts.sum(axis=0) + 1.0) / (counts.sum() + counts.shape[1])
    shift = 0.1 * jax.random.normal(key, (phases, counts.shape[1]))
    coefficients = design_matrix(counts, covariates).shape[1]
    return {
        "composition": jax.nn.softmax(jnp.log(pooled)[None] + shift, axis=1),
        "weights": jnp.zeros((phases, coefficients)),
    }


def canonical(draws):
    """Order the phases of each draw by the share of their first channel, largest first."""
    order = jnp.argsort(-draws["composition"][..., 0], axis=-1)[..., None]
    return {
        name: jnp.take_along_axis(values, order, axis=-2) if DIMS[name][0] == "phase" else values
        for name, values in draws.items()
    }
