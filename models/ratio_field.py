"""Ratio of two lines that varies from pixel to pixel.

Given the counts of both lines together, those of the first are binomial: thickness, dose and everything else that
scales both lines drop out. The log ratio is a logistic Gaussian field,

    above[y, x] ~ Binomial(total[y, x], 1 / (1 + exp(-r[y, x]))),
    r = mean + sum_s rows_s u_s columns_s',      u_s[i, j] ~ Normal(0, sd_s),

a sum of cubic splines of spacings h_s = 1, 2, 4, ... pixels. How much of the variance (amplitude squared) lies at which
spacing is that of a Matern field of a width and a smoothness that are learned,

    sd_s^2 proportional to h^(2 nu) / (1 + h^2)^(nu + 1),   h = h_s / width,   summing to amplitude^2.

A field with sharp edges is one of small smoothness: narrow splines keep part of the variance.

Symbols
-------
above, total        (y, x), counts of the first line, and of both
r, mean             (y, x), (); log ratio of the expected counts
u                   (row node, column node) for every spacing, log ratio
amplitude           (), standard deviation of the log ratio over the image
width               (), pixels
smoothness nu       (), dimensionless

Sources: Lindgren, Rue & Lindstrom (2011) doi:10.1111/j.1467-9868.2011.00777.x (the spectral density of Matern fields);
Lang & Brezger (2004) doi:10.1198/1061860043010 (Bayesian splines in two dimensions).
"""

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax.scipy.special import logsumexp

MOST_LEVELS = 16
"""Spacings that `DIMS` names: images of up to 32,768 pixels along a side."""
DIMS = {"mean": (), "amplitude": (), "width": (), "smoothness": ()} | {
    f"u{s}": (f"row_node_{s}", f"column_node_{s}") for s in range(MOST_LEVELS)
}

MEAN_SD = 5.0
"""Standard deviation of the prior of the mean log ratio, about zero."""
AMPLITUDE = (0.1, 1.0)
"""Median and logarithmic standard deviation of the prior of the amplitude: 10 % of the ratio, give or take a factor."""
SMOOTHNESS = (0.5, 0.4)
"""Median and logarithmic standard deviation of the prior of the smoothness."""


def level_log_sd(log_amplitude, log_width, log_smoothness, log_spacing):
    """Log standard deviation of the coefficients of every spacing."""
    nu, h = jnp.exp(log_smoothness), log_spacing - log_width
    log_variance = 2 * nu * h - (nu + 1) * jnp.logaddexp(0.0, 2 * h)
    return log_amplitude + 0.5 * (log_variance - logsumexp(log_variance))


def model(above, total, *, levels, log_spacing):
    """Describe how the counts arise, as a NumPyro program.

    Parameters
    ----------
    above, total : array (y, x), integer
        Counts of the first line, and of both; 0 in excluded pixels.
    levels : sequence of (rows, columns)
        For every spacing the splines (y, row node) and (x, column node).
    log_spacing : array (level,), float
        Logarithms of the spacings in pixels.
    """
    amplitude = numpyro.sample("amplitude", dist.LogNormal(jnp.log(AMPLITUDE[0]), AMPLITUDE[1]))
    width = numpyro.sample("width", dist.LogUniform(1.0, 2.0 * jnp.exp(log_spacing[-1])))
    smoothness = numpyro.sample("smoothness", dist.LogNormal(jnp.log(SMOOTHNESS[0]), SMOOTHNESS[1]))
    sds = jnp.exp(level_log_sd(jnp.log(amplitude), jnp.log(width), jnp.log(smoothness), log_spacing))
    ratio = numpyro.sample("mean", dist.Normal(0.0, MEAN_SD)) * jnp.ones(total.shape)
    for s, (rows, columns) in enumerate(levels):
        u = numpyro.sample(f"u{s}", dist.Normal(0.0, sds[s]).expand([rows.shape[1], columns.shape[1]]).to_event(2))
        ratio += rows @ u @ columns.T
    numpyro.sample("above", dist.Binomial(total, logits=ratio).to_event(2), obs=above)
