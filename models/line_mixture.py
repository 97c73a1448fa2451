"""Mixture of lines: components are made of given columns, and pixels hold them in shares of any distribution.

A pixel n receives counts y[n, c] in bins c of the energy axis. A component k is made of the columns b[j, :] of a design
(line families and continuum, each a probability over the bins) in proportions w[k, j], and the pixel holds the
components in shares. Of the distribution of the shares nothing is assumed: it is a few points f[m, :] with
probabilities p[m], as the most likely distribution always is. The thickness drops out given the total N[n] of a pixel:

    w[k, :]   ~ Dirichlet(1, ..., 1)                          part of every column in component k
    f[m, :]   ~ Dirichlet(1, ..., 1)                          shares of the components at point m
    p         ~ Dirichlet(1, ..., 1)                          how frequent the points are
    z[n]      ~ Categorical(p)                                point of pixel n
    y[n, :]   ~ Multinomial(N[n], sum_k f[z[n], k] sum_j w[k, j] b[j, :])

The points z are summed out. All priors are flat, so that the mode is the most likely value, and the likelihood depends
on w and f through their products alone: where no pixel is pure, it is flat along other components that hold the same
points. Components and points are exchangeable.

Symbols
-------
y : (pixel, bin), counts. N : (pixel,), counts. b : (column, bin), probability. w : (component, column), fraction of the
counts. f : (point, component), fraction of the counts. p : (point,), dimensionless.

Sources
-------
The most likely mixing distribution has few points: Lindsay (1983), doi:10.1214/aos/1176346059. Poisson counts given
their total: Baker (1994), doi:10.2307/2348134.
"""

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist

DIMS = {
    "weights": ("component", "column"),
    "shares": ("point", "component"),
    "probabilities": ("point",),
}
FLOOR = 1e-12
"""Added to the probability of every bin, so that its logarithm exists."""


def model(counts, design, *, components, points):
    """Counts of pixels that hold components made of given columns, given the total of each pixel.

    Parameters
    ----------
    counts : array of int, (pixel, bin)
        Counts.
    design : array of float, (bin, column)
        Shape of every column, not negative; each is taken to sum to one.
    components : int
        Number of components.
    points : int
        Number of points of the distribution of the shares.
    """
    counts, design = jnp.asarray(counts), jnp.asarray(design)
    columns = design / design.sum(axis=0)

    def even(length):
        return dist.Dirichlet(jnp.ones(length))

    weights = numpyro.sample("weights", even(columns.shape[1]).expand([components]).to_event(1))
    shares = numpyro.sample("shares", even(components).expand([points]).to_event(1))
    probabilities = numpyro.sample("probabilities", even(points))
    rates = shares @ weights @ columns.T + FLOOR
    totals = counts.sum(axis=1)
    of_point = [dist.MultinomialLogits(jnp.log(rate), total_count=totals) for rate in rates]
    with numpyro.plate("pixel", counts.shape[0]):
        numpyro.sample("counts", dist.MixtureGeneral(dist.Categorical(probabilities), of_point), obs=counts)
