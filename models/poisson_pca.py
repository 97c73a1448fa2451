"""Probabilistic principal components of a spectrum image of Poisson counts.

The spectrum of a pixel is a low-rank Gaussian vector, seen through a link and counted. With the log link (the Poisson
log-normal model) the counts in pixel p and energy channel c are

    x[p, c] ~ Poisson(exp(m[c] + sum_k z[p, k] v[k, c])),    z[p, k] ~ Normal(0, 1),

so that rates are positive and components act as factors: thickness, absorption, composition. With the linear link
components add up, as the spectra of the phases that a beam crosses do, and the noise of every count is taken from
the product of its pixel's and its channel's totals (the weights of a Poisson-weighted decomposition),

    x[p, c] ~ Normal(w[p, c] sum_k z[p, k] v[k, c], sd = sqrt(w[p, c])),   w[p, c] = total[p] total[c] / total.

The loadings v of a component have a Normal prior whose standard deviation, the relevance of the component, is
learned: that of a component which the data do not need falls to zero and takes the component with it.
Components that add up and whose maps know their neighbours are in `linear_pca`.

Symbols
-------
counts x      (pixel, energy), counts
mean_log m    (energy,), log counts; log link only
relevance     (component,), standard deviation of the loadings, log counts (log link) or dimensionless (linear)
loadings v    (component, energy), as the relevance
scores z      (pixel, component), dimensionless

Sources: Aitchison & Ho (1989) doi:10.1093/biomet/76.4.643 (the Poisson log-normal); Tipping & Bishop (1999)
doi:10.1111/1467-9868.00196 (probabilistic principal components); Chiquet, Mariadassou & Robin (2018)
doi:10.1214/18-AOAS1177 (low rank in the Poisson log-normal).
"""

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist

DIMS = {
    "mean_log": ("energy",),
    "relevance": ("component",),
    "loadings": ("component", "energy"),
    "scores": ("pixel", "component"),
}

MEAN_SD = 10.0
"""Standard deviation of the prior of the mean log counts, about zero."""
RELEVANCE_RANGE = (1e-3, 1e3)
"""Support of the relevance, log-uniform."""


def model(counts, *, rank, link="log", mean_sd=MEAN_SD, relevance_range=RELEVANCE_RANGE):
    """Describe how the counts arise, as a NumPyro program.

    Parameters
    ----------
    counts : array (pixel, energy), integer
        Counts; with the linear link no pixel and no channel may be empty.
    rank : int
        Number of components; with the log link beside the mean, with the linear link the mean is one of them.
    link : {"log", "linear"}
        How components combine: factors of the counts, or parts of them.
    mean_sd : float
        Standard deviation of the prior of the mean log counts.
    relevance_range : tuple of two floats
        Support of the log-uniform prior of the relevance.
    """
    pixels, channels = counts.shape
    with numpyro.plate("component", rank):
        relevance = numpyro.sample("relevance", dist.LogUniform(*relevance_range))
        loadings = numpyro.sample("loadings", dist.Normal(0.0, relevance[:, None]).expand([rank, channels]).to_event(1))
    if link == "log":
        mean_log = numpyro.sample("mean_log", dist.Normal(0.0, mean_sd).expand([channels]).to_event(1))
    with numpyro.plate("pixel", pixels):
        scores = numpyro.sample("scores", dist.Normal(0.0, 1.0).expand([pixels, rank]).to_event(1))
        if link == "log":
            seen = dist.Poisson(jnp.exp(mean_log + scores @ loadings))
        else:
            weight = counts.sum(axis=1, keepdims=True) * (counts.sum(axis=0) / counts.sum())
            seen = dist.Normal(weight * (scores @ loadings), jnp.sqrt(weight))
        numpyro.sample("counts", seen.to_event(1), obs=counts)
