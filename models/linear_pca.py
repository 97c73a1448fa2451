"""Principal components that add up, with maps that know their neighbours.

The expected counts of a pixel are a sum of components, as the spectra of what a beam crosses are. The noise of a count
is that of a normal variable of the same variance, which a first look at the counts gives (the rates of the fit before,
not below a tenth of those of the mean spectrum). The maps of the components are combinations of independent random
fields whose power over the image falls with the spatial frequency; loadings may be anything:

    b[k]      = D'(sqrt(S[k]) g[k]),    g[k] ~ Normal(0, 1)    field k over the image, S[k] its power spectrum
    a[p, k]   = sum_l b[l, p] M[k, l]                          score of component k in pixel p
    h[k, c]   ~ flat                                           loadings
    x[p, c]   ~ Normal(sum_k a[p, k] h[k, c], sd = sqrt(r[p, c]))

with D' the inverse cosine transform. A field whose spectrum is the same at all frequencies is a number of its own in
every pixel. Spectra S and axes M are learned from the counts and then taken for known, as the variances r are.

Symbols
-------
x : (pixel, energy), counts. r : (pixel, energy), counts squared. S : (component, y, x), counts squared.
g : (component, y, x), dimensionless. a : (pixel, component), counts. h : (component, energy), dimensionless.

Sources
-------
Weights of Poisson counts: Keenan and Kotula (2004), doi:10.1002/sia.1657. A stationary field of known spectrum and
noise: Wiener (1949), Extrapolation, Interpolation, and Smoothing of Stationary Time Series.
"""

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax.scipy.fft import idctn

DIMS = {"fields": ("component", "y", "x"), "loadings": ("component", "energy"), "scores": ("pixel", "component")}
FLAT_SD = 1e3
"""Standard deviation of the flat prior of the loadings, whose squares sum to about one over the mean spectrum."""


def score_maps(fields, power, axes):
    """Scores of independent fields: (y, x, component)."""
    shaped = idctn(jnp.sqrt(power) * fields, axes=(1, 2), norm="ortho")
    return jnp.einsum("lyx,kl->yxk", shaped, axes)


def model(counts, *, variance, power, axes, used):
    """Counts whose expectation is a sum of components.

    Parameters
    ----------
    counts : array of int, (pixel, energy)
        Counts of the pixels in use, row by row.
    variance : array of float, (pixel, energy)
        Variances of the counts.
    power : array of float, (component, y, x)
        Power of the fields at the frequencies of the cosine transform.
    axes : array of float, (component, component)
        Scores that a unit of every field gives.
    used : array of bool, (y, x)
        Which pixels are in use.
    """
    counts, power, axes = jnp.asarray(counts), jnp.asarray(power), jnp.asarray(axes)
    fields = numpyro.sample("fields", dist.Normal(0.0, 1.0).expand(power.shape).to_event(3))
    flat = dist.Normal(0.0, FLAT_SD).expand([power.shape[0], counts.shape[1]]).to_event(2)
    loadings = numpyro.sample("loadings", flat)
    scores = numpyro.deterministic("scores", score_maps(fields, power, axes)[used])
    noise = jnp.sqrt(jnp.asarray(variance))
    numpyro.sample("counts", dist.Normal(scores @ loadings, noise).to_event(2), obs=counts)
