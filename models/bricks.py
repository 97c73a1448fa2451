"""Parts that models of counts are built from: plain functions to be called inside a NumPyro program of your own.

    def model(counts, *, energy, lines):
        response = bricks.line_response(energy, lines)                                     # (line, energy)
        intensity = bricks.lognormal_abundances("intensity", len(counts), len(lines), median=10.0)
        numpyro.sample("counts", dist.Poisson(intensity @ response + 1e-10).to_event(2), obs=counts)

Those with a ``name`` hold unknown sites of that name: give them their dims in DIMS. The others compute.
"""

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax.scipy.fft import idct
from jax.scipy.special import erf

FANO = 0.115
"""Fano factor of silicon."""
PAIR_KEV = 3.65e-3
"""Energy of an electron-hole pair in silicon, keV."""
SIGMAS_IN_FWHM = 2.3548
"""Full width at half maximum of a Gaussian over its standard deviation."""


def line_response(energy, lines, *, noise_fwhm_kev=0.06):
    """Detector response: the share of each line's counts that a channel records.

    Parameters
    ----------
    energy : array (energy,), float
        Centres of evenly spaced channels, keV.
    lines : array (line,), float
        Energies of the lines, keV.
    noise_fwhm_kev : float
        Width of the electronic noise, keV.

    Returns
    -------
    array (line, energy), float
        Gaussians of FWHM^2 = noise^2 + 2.3548^2 F e E, summed over channels; 1 for a line inside the axis.

    Notes
    -----
    Source: Goldstein et al. (2018), doi:10.1007/978-1-4939-6676-9, eq. 16.2.
    """
    lines, step = jnp.asarray(lines), energy[1] - energy[0]
    sd = jnp.sqrt((noise_fwhm_kev / SIGMAS_IN_FWHM) ** 2 + FANO * PAIR_KEV * lines)[:, None]
    edges = jnp.append(energy - step / 2, energy[-1] + step / 2)
    below = 0.5 * (1 + erf((edges - lines[:, None]) / (sd * jnp.sqrt(2.0))))
    return jnp.diff(below, axis=1)


def continuum(energy, *, beam_energy_kev, absorption_kev3=(0.0, 0.03, 0.3)):
    """Bremsstrahlung by Kramers, with several absorptions to mix.

    Parameters
    ----------
    energy : array (energy,), float
        Channels, keV, positive.
    beam_energy_kev : float
        Energy of the beam, keV.
    absorption_kev3 : sequence of float
        Absorptions chi: each shape is multiplied by exp(-chi / E^3).

    Returns
    -------
    array (shape, energy), float
        Shapes, each summing to 1.

    Notes
    -----
    Source: Kramers (1923), doi:10.1080/14786442308565244.
    """
    kramers = jnp.maximum(beam_energy_kev - energy, 0.0) / energy
    shapes = kramers * jnp.exp(-jnp.asarray(absorption_kev3)[:, None] / energy**3)
    return shapes / shapes.sum(axis=1, keepdims=True)


def gamma_abundances(name, pixels, components, *, mean, concentration=1.0):
    """Abundances (pixel, component), Gamma: float, mean `mean` counts, relative variance 1 / `concentration`."""
    shape = jnp.full((pixels, components), concentration * 1.0)
    return numpyro.sample(name, dist.Gamma(shape, concentration / mean).to_event(2))


def lognormal_abundances(name, pixels, components, *, median, spread=1.0):
    """Abundances (pixel, component), log-normal: float, `median` in counts, `spread` the sd of the logarithm."""
    location = jnp.full((pixels, components), jnp.log(median))
    return numpyro.sample(name, dist.LogNormal(location, spread).to_event(2))


def sparse_abundances(name, pixels, components, *, mean, concentration=0.2):
    """Abundances (pixel, component) of which few are large: shares ``name_share``, Dirichlet, of a total, Gamma.

    `mean` is the mean total of a pixel in counts, ``name_total`` (pixel,); the smaller `concentration`, the fewer.
    """
    total = numpyro.sample(f"{name}_total", dist.Gamma(jnp.ones(pixels), 1.0 / mean).to_event(1))
    share = numpyro.sample(f"{name}_share", dist.Dirichlet(jnp.full((pixels, components), concentration)).to_event(1))
    return numpyro.deterministic(name, total[:, None] * share)


def smooth_map(name, shape, *, amplitude, width, smoothness=1.0):
    """Gaussian map whose neighbouring pixels are alike; nothing wraps around the edges of the image.

    Parameters
    ----------
    name : str
        The unknown coefficients are the site ``name_coefficients``, (y, x), standard normal.
    shape : tuple of int
        Pixels (y, x).
    amplitude : float
        Standard deviation of the map, averaged over the image.
    width : float
        Pixels over which it varies.
    smoothness : float
        0 is a first-order Markov field (sparse precision), 1 a Matern field as smooth as those of order 1.

    Returns
    -------
    array (y, x), float
        The map, of mean 0; its precision is (L + 1 / width^2)^(smoothness + 1), L the Laplacian of the grid.

    Notes
    -----
    Source: Lindgren, Rue & Lindstrom (2011), doi:10.1111/j.1467-9868.2011.00777.x; the discrete cosine transform has
    the eigenvectors of L with free edges.
    """
    rows, columns = (4 * jnp.sin(jnp.pi * jnp.arange(n) / (2 * n)) ** 2 for n in shape)
    variance = (rows[:, None] + columns + width**-2.0) ** -(smoothness + 1.0)
    scale = amplitude * jnp.sqrt(variance * variance.size / variance.sum())
    z = numpyro.sample(f"{name}_coefficients", dist.Normal(0.0, 1.0).expand(list(shape)).to_event(2))
    return numpyro.deterministic(name, idct(idct(scale * z, axis=0, norm="ortho"), axis=1, norm="ortho"))


def shifted(spectra, shift):
    """Spectra moved along the energy axis, such as by a drift: linear between channels, 0 from beyond the ends.

    Parameters
    ----------
    spectra : array (pixel, energy), float
        Rates.
    shift : array (pixel,), float
        Channels, positive to higher energies.

    Returns
    -------
    array (pixel, energy), float
        Rates of the moved spectra.
    """
    channel = jnp.arange(spectra.shape[1])

    def move(spectrum, by):
        return jnp.interp(channel - by, channel, spectrum, left=0.0, right=0.0)

    return jax.vmap(move)(spectra, shift)


def scaled_poisson(name, rate, gain, *, obs=None):
    """Values that are a known integer `gain` times Poisson events; `rate` (pixel, energy) in values, obs multiples."""
    events = dist.Poisson(rate / gain).to_event(jnp.ndim(rate))
    return gain * numpyro.sample(name, events, obs=None if obs is None else obs / gain)


def gained_counts(name, rate, gain, *, obs=None):
    """Counts of mean `rate` (pixel, energy) and variance `gain` times it, `gain` above 1: negative binomial."""
    return numpyro.sample(name, dist.NegativeBinomial2(rate, rate / (gain - 1.0)).to_event(jnp.ndim(rate)), obs=obs)


def dispersed_counts(name, rate, concentration, *, obs=None):
    """Counts of mean `rate` (pixel, energy) and variance rate + rate^2 / concentration: negative binomial."""
    return numpyro.sample(name, dist.NegativeBinomial2(rate, concentration).to_event(jnp.ndim(rate)), obs=obs)


def recorded_rate(rate, dead_time_s, *, extending=False):
    """Events per second that a detector records of those that arrive.

    Parameters
    ----------
    rate : array, any shape, float
        Events per second that arrive, all energies together.
    dead_time_s : float
        Time for which an event closes the detector, s.
    extending : bool
        Whether events in that time prolong it.

    Returns
    -------
    array, same shape, float
        rate / (1 + rate dead_time), or rate exp(-rate dead_time) where it is prolonged.

    Notes
    -----
    Source: Knoll, Radiation Detection and Measurement (2010), section 4.VII.
    """
    closed = rate * dead_time_s
    return rate * jnp.exp(-closed) if extending else rate / (1.0 + closed)
