"""Spectrum of known shapes: Poisson counts around a sum of columns, none of them negative.

Counts y[n, c] of pixel n in channel c (one pixel is one spectrum) are Poisson. Every column of the design, a family of
lines, an edge or a background, holds the counts per channel of one unit of its intensity:

    w[n, j]   ~ flat over w >= 0                               intensity of column j in pixel n
    y[n, c]   ~ Poisson(sum_j d[c, j] w[n, j])

Where the shapes of the columns are known within errors only, the expected counts may change along given directions,
each by a standard normal number of its standard deviations (in one spectrum; a pixel alone cannot show them):

    e[i]      ~ Normal(0, 1)                                   errors of the shapes, in their standard deviations
    y[n, c]   ~ Poisson(sum_j d[c, j] w[n, j] + sum_i g[c, i] e[i])

Symbols
-------
y : (pixel, channel), counts. d : (channel, column), counts per unit of intensity. w : (pixel, column), counts.
g : (channel, error), counts. e : (error,), dimensionless.

Sources
-------
Poisson counts of known shapes: Shepp and Vardi (1982), doi:10.1109/TMI.1982.4307558. Shapes known within errors:
Lee et al. (2011), doi:10.1088/0004-637X/731/2/126.
"""

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist

DIMS = {"intensities": ("pixel", "column"), "errors": ("error",)}
FLAT_RATE = 1e-9
"""Rate of the flat prior of the intensities, in 1 / counts: no intensity is ever near its inverse."""
FLOOR = 1e-10
"""Least expected counts of a channel, so that their logarithm exists; errors of shapes can take them below zero."""


def model(counts, design, *, shape_errors=None):
    """Counts around non-negative amounts of known shapes.

    Parameters
    ----------
    counts : array of int, (pixel, channel)
        Counts.
    design : array of float, (channel, column)
        Expected counts per unit of intensity, not negative.
    shape_errors : array of float, (channel, error), optional
        Changes of the expected counts that the shapes leave open, one standard deviation each and independent.
    """
    counts, design = jnp.asarray(counts), jnp.asarray(design)
    pixels, columns = counts.shape[0], design.shape[1]
    flat = dist.Exponential(FLAT_RATE).expand([pixels, columns]).to_event(2)
    rate = numpyro.sample("intensities", flat) @ design.T
    if shape_errors is not None:
        shape_errors = jnp.asarray(shape_errors)
        sizes = dist.Normal(0.0, 1.0).expand([shape_errors.shape[1]]).to_event(1)
        rate = rate + shape_errors @ numpyro.sample("errors", sizes)
    numpyro.sample("counts", dist.Poisson(jnp.maximum(rate, FLOOR)).to_event(2), obs=counts)
