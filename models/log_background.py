"""Spectrum on a background whose logarithm is smooth: core-loss edges on a power law.

Counts y[c] of a summed spectrum are Poisson. The background is the exponential of a few terms (a constant, the
logarithm of the energy, its square), and on it lie columns of either sign, such as the cross section of an edge and the
parts of its fine structure. Normal priors about zero keep what no count determines small; a precision of zero is flat:

    b[i]      ~ Normal(0, 1 / sqrt(precision[i]))              coefficients of the background
    w[j]      ~ Normal(0, 1 / sqrt(precision[j]))              intensities of the columns
    y[c]      ~ Poisson(exp(sum_i t[c, i] b[i]) + sum_j d[c, j] w[j])

Symbols
-------
y : (channel,), counts. t : (channel, term), dimensionless. d : (channel, column), counts per unit of intensity.

Sources
-------
Fine structure as free parts next to the onset: Verbeeck, Van Aert and Bertoni (2006),
doi:10.1016/j.ultramic.2006.05.006.
"""

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist

DIMS = {"background": ("term",), "intensities": ("column",), "counts": ("channel",)}
LEAST_RATE = 1e-3
"""Least expected counts of a channel: columns of either sign can take them below zero."""
FLAT_SD = 1e6
"""Standard deviation of a flat prior, in units of a coefficient of order one, or of intensities of a million."""


def model(counts, *, terms, design, precision):
    """Counts on a background whose logarithm is linear in its coefficients.

    Parameters
    ----------
    counts : array of int, (channel,)
        Counts.
    terms : array of float, (channel, term)
        Terms of the logarithm of the background; the first is constant.
    design : array of float, (channel, column)
        Expected counts per unit of intensity.
    precision : array of float, (term + column,)
        Precisions of the priors about zero; 0 for a flat one.
    """
    counts, terms, design = jnp.asarray(counts), jnp.asarray(terms), jnp.asarray(design)
    precision = jnp.asarray(precision)
    sd = jnp.where(precision > 0, 1.0 / jnp.sqrt(jnp.where(precision > 0, precision, 1.0)), FLAT_SD)
    background = numpyro.sample("background", dist.Normal(0.0, sd[: terms.shape[1]]).to_event(1))
    intensities = numpyro.sample("intensities", dist.Normal(0.0, sd[terms.shape[1] :]).to_event(1))
    rate = jnp.maximum(jnp.exp(terms @ background) + design @ intensities, LEAST_RATE)
    numpyro.sample("counts", dist.Poisson(rate).to_event(1), obs=counts)
