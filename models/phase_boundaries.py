"""Phase boundaries: a pixel holds one of a few phases, or two in shares that the edge between them leaves it.

Counts y[n, :] are multinomial given their total N[n], so that the thickness drops out, as in `composition_mixture`.
What pixel n holds is decided by utilities of the phases, which follow what is known of the pixel apart from how its
own counts divide over the channels, such as what the pixels around are:

    s[k, :]   ~ Dirichlet(1, ..., 1)                          composition of phase k
    a[k]      ~ Normal(0, weight_scale)                       intercepts
    b[j]      ~ Normal(0, weight_scale)                       slopes, which the phases share
    w         ~ LogNormal(log 0.4, 0.7)                       width of a boundary
    c         ~ LogNormal(log 0.5, 0.7)                       its tail
    v[n, k]   = a[k] + sum_j b[j] x[n, j, k] + g[n, k],       g[n, k] ~ Gumbel(0, 1)
    d[n]      = v[n, first] - v[n, second]                    of the two largest utilities

    t(f)      = w [6 (f - 1/2) + c (q(f) / q(2/3) - 6 (f - 1/2))]        q the normal quantile
    f[n]      = the share in (1/2, 0.994) at which t(f) = d[n]; 1 where d[n] > t(0.994)
    y[n, :]   ~ Multinomial(N[n], f[n] s[first, :] + (1 - f[n]) s[second, :])

An edge that crosses the pixel leaves it a share linear in the distance from the edge (c = 0), a probe of Gaussian shape
one whose normal quantile is (c = 1). A pixel far from other phases holds one: two are allowed with given log odds, else
the pixel is of the first phase.

Differences of Gumbel variables are logistic, so that the order of the first two and an interval of d have a closed
probability. With pi = softmax(a + b x), o[k] = log pi[k] / (1 - pi[k]) and the logistic function l,

    P(k first, m second, t1 < d < t2) = pi[m] / (1 - pi[k]) (l(o[k] - t1) - l(o[k] - t2)).

Shares are summed out over `bins` intervals, even in q, each at its middle.

Symbols
-------
y : (pixel, channel), counts. N : (pixel,), counts. x : (pixel, covariate, phase), dimensionless. s : (phase, channel),
fraction of the counts. a, v, d, w : log odds. b, c, f : dimensionless.

Sources
-------
Gumbel variables and the logit: McFadden (1974), in Zarembka (ed.), Frontiers in Econometrics, 105. Poisson counts given
their total: Baker (1994), doi:10.2307/2348134.
"""

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax.scipy.special import logsumexp, ndtr, ndtri

DIMS = {
    "composition": ("phase", "channel"),
    "intercepts": ("phase",),
    "slopes": ("covariate",),
    "width": (),
    "tail": (),
}
LARGEST = 2.5  # normal quantile of the largest share of a pixel that holds two phases, 0.994


def log_weights(utilities, allowed, width, tail, bins):
    """Log probability of every phase alone, then of every bin of shares of every ordered pair: (pixel, component)."""
    phases = utilities.shape[1]
    quantiles = jnp.linspace(0.0, LARGEST, bins + 1)
    linear = 6.0 * (ndtr(quantiles) - 0.5)
    at = width * (linear + tail * (quantiles / ndtri(2.0 / 3.0) - linear))
    log_pi = jax.nn.log_softmax(utilities, axis=1)
    log_narrow = jnp.log(-jnp.expm1(at[:-1] - at[1:]))
    alone, two = [], []
    for first in range(phases):
        others = [k for k in range(phases) if k != first]
        rest = logsumexp(log_pi[:, jnp.array(others)], axis=1)
        ahead = (log_pi[:, first] - rest)[:, None] - at
        above, below = jax.nn.log_sigmoid(ahead), jax.nn.log_sigmoid(-ahead)
        inside = above[:, :-1] + below[:, 1:] + log_narrow  # first, and t1 < d < t2
        alone.append(jnp.logaddexp(above[:, -1], logsumexp(inside, axis=1) + jax.nn.log_sigmoid(-allowed)))
        two += [inside + (log_pi[:, k] - rest + jax.nn.log_sigmoid(allowed))[:, None] for k in others]
    return jnp.concatenate([jnp.stack(alone, axis=1), *two], axis=1)


def mixtures(composition, bins):
    """Composition of every component, in the order of `log_weights`: (component, channel)."""
    ends = ndtr(jnp.linspace(0.0, LARGEST, bins + 1))
    share = 0.5 * (ends[1:] + ends[:-1])[:, None]
    pairs = [(k, m) for k in range(len(composition)) for m in range(len(composition)) if k != m]
    between = [share * composition[k] + (1.0 - share) * composition[m] for k, m in pairs]
    return jnp.concatenate([composition, *between])


def model(counts, *, phases, covariates, allowed, bins=20, weight_scale=3.0):
    """Counts of pixels that hold one phase or two, given the total of each pixel.

    Parameters
    ----------
    counts : array of int, (pixel, channel)
        Counts.
    phases : int
        Number of phases, two or more.
    covariates : array of float, (pixel, covariate, phase)
        What is known of the phases of a pixel apart from its own counts, dimensionless.
    allowed : array of float, (pixel,)
        Log odds of two phases being allowed.
    bins : int
        Intervals that the shares are summed over.
    weight_scale : float
        Prior standard deviation of intercepts and slopes.
    """
    counts, covariates = jnp.asarray(counts), jnp.asarray(covariates)
    composition = numpyro.sample("composition", dist.Dirichlet(jnp.ones(counts.shape[1])).expand([phases]).to_event(1))
    intercepts = numpyro.sample("intercepts", dist.Normal(0.0, weight_scale).expand([phases]).to_event(1))
    slopes = numpyro.sample("slopes", dist.Normal(0.0, weight_scale).expand([covariates.shape[1]]).to_event(1))
    width = numpyro.sample("width", dist.LogNormal(jnp.log(0.4), 0.7))
    tail = numpyro.sample("tail", dist.LogNormal(jnp.log(0.5), 0.7))
    utilities = intercepts + jnp.einsum("j,njk->nk", slopes, covariates)
    component = dist.CategoricalLogits(log_weights(utilities, jnp.asarray(allowed), width, tail, bins))
    totals = counts.sum(axis=1)
    of_component = [dist.MultinomialProbs(share, total_count=totals) for share in mixtures(composition, bins)]
    with numpyro.plate("pixel", counts.shape[0]):
        numpyro.sample("counts", dist.MixtureGeneral(component, of_component), obs=counts)
