"""Poisson non-negative matrix factorisation of a spectrum image.

The counts in pixel p and energy channel c are Poisson with a mean that is linear in K components,

    x[p, c] ~ Poisson(sum_k w[p, k] h[k, c]),

where the spectrum h[k, :] of a component is its probability of a count per energy channel (it sums to one) and the
abundance w[p, k] is the number of counts that the component is expected to give in the pixel. A spectrum has a
symmetric Dirichlet prior, whose concentration of one half lets channels be empty. The abundances of a component
are Gamma distributed over the pixels with a shape and a rate that are learned: a small shape is a component that
is absent from most pixels, a large one a component that is everywhere. Both have log-uniform priors; that of the
rate is scale free, so the unit of the abundances carries no information. Components whose spectrum is known (a
background) enter with their spectrum fixed and an abundance of their own; that of a background which is nowhere
absent may have a flat prior, under which counts can pass between it and the components. A background whose shape is not
known is one more component, its spectrum a mixture of given shapes whose weights have a flat prior.

Symbols
-------
counts x     (pixel, energy), counts
abundances w (pixel, component), expected counts; the free components first, then those of fixed spectrum
spectra h    (free_component, energy), probability per channel
weights      (background_shape,), share of each given shape in the background; they sum to one
shape        (component,), dimensionless
rate         (component,), 1 / counts

Sources: Lee & Seung (1999) doi:10.1038/44565 (the factorisation); Cemgil (2009) doi:10.1155/2009/785152 (the Poisson
model with Gamma priors); Gopalan, Hofman & Blei (2015) arXiv:1311.1704 (learned rates).
"""

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist

DIMS = {
    "shape": ("component",),
    "rate": ("component",),
    "spectra": ("free_component", "energy"),
    "abundances": ("pixel", "component"),
    "weights": ("background_shape",),
}

CONCENTRATION = 0.5
"""Dirichlet concentration of a spectrum, per channel."""
SHAPE_RANGE = (0.05, 100.0)
"""Support of the shape; smaller shapes underflow in single precision."""
RATE_RANGE = (1e-12, 1e6)
"""Support of the rate in 1 / counts, wide enough never to matter."""
FLAT_RATE = 1e-9
"""Rate of a flat prior, in 1 / counts: no abundance is ever near its inverse."""
RATE_FLOOR = 1e-10
"""Counts added to every mean, so that the gradient at a mean of zero is finite."""


def model(
    counts,
    *,
    rank,
    concentration=CONCENTRATION,
    shape_range=SHAPE_RANGE,
    rate_range=RATE_RANGE,
    fixed_spectra=None,
    flat=0,
    shapes=None,
):
    """Describe how the counts arise, as a NumPyro program.

    Parameters
    ----------
    counts : array (pixel, energy), integer
        Counts.
    rank : int
        Number of components whose spectrum is free.
    concentration : float or array (rank, energy)
        Dirichlet concentration of the spectra, at least 0.05; counts known to be of one component alone add to it.
    shape_range, rate_range : tuple of two floats
        Support of the log-uniform priors of shape (dimensionless) and rate (1 / counts).
    fixed_spectra : array (fixed_component, energy), float, optional
        Known spectra, each summing to one.
    flat : int
        Number of components, the last, whose abundances have a flat prior.
    shapes : array (background_shape, energy), float, optional
        Each sums to one; a mixture of them is the spectrum of one more component, the last.
    """
    pixels, channels = counts.shape
    others = jnp.zeros((0, channels)) if fixed_spectra is None else fixed_spectra
    if shapes is not None:
        weights = numpyro.sample("weights", dist.Dirichlet(jnp.ones(shapes.shape[0])))
        others = jnp.concatenate([others, (weights @ shapes)[None]])
    n_fixed = others.shape[0]
    with numpyro.plate("component", rank + n_fixed):
        shape = numpyro.sample("shape", dist.LogUniform(*shape_range))
        rate = numpyro.sample("rate", dist.LogUniform(*rate_range))
    with numpyro.plate("free_component", rank):
        spectra = numpyro.sample("spectra", dist.Dirichlet(jnp.broadcast_to(concentration, (rank, channels))))
    learned = jnp.arange(rank + n_fixed) < rank + n_fixed - flat
    shape, rate = jnp.where(learned, shape, 1.0), jnp.where(learned, rate, FLAT_RATE)
    known = jnp.concatenate([spectra, others])
    with numpyro.plate("pixel", pixels):
        abundances = numpyro.sample("abundances", dist.Gamma(shape, rate).to_event(1))
        mean = abundances @ known + RATE_FLOOR
        numpyro.sample("counts", dist.Poisson(mean).to_event(1), obs=counts)
