"""Spectrum of X-ray lines on an energy axis that is known within errors.

Counts y[c] of a summed spectrum are Poisson. A family f of lines has transitions t of energies E[t] (keV) and weights
u[t]; the detector spreads a transition over the channels as a Gaussian, and its intensity counts w[f]. Where the
channels lie and how wide the detector is are known within errors, and so are energies and widths of every family:

    (o, a, r, q)  ~ Normal(those of the file, their sds)       offset (eV), gain, resolution at Mn Ka (eV), slope (eV)
    s[f], v[f]    ~ Normal(0, family_sd)                       shift (eV) and relative width of a family
    w[j]          ~ flat over w >= 0                           intensity of a family or of a background
    e[i]          ~ Normal(0, 1)                               other errors of the shapes, in standard deviations
    E'[t]         = E[t] + s[f] / 1000
    fwhm[t]       = (1 + v[f]) sqrt(r^2 + q (1000 E'[t] - 5895)),    in eV, about
    x[c]          = o / 1000 + a x_file[c]                     centre of channel c, in keV
    y[c]          ~ Poisson(sum_f w[f] sum_t u[t] P(x[c] +- half a channel; E'[t], fwhm[t]) + background + errors)

The width of a family multiplies resolution and slope; a floor of 30 eV stands for the electronic noise. The smooth
backgrounds stay where they are.

Symbols
-------
y : (channel,), counts. w : (column,), counts, families first. x : (channel,), keV. e : (error,), dimensionless.

Sources
-------
Width of a detector: Fiori and Newbury (1978), Scanning Electron Microscopy 1, 401.
"""

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax.scipy.special import ndtr

DIMS = {
    "calibration": ("parameter",),
    "shift": ("family",),
    "widening": ("family",),
    "intensities": ("column",),
    "errors": ("error",),
    "counts": ("channel",),
}
FLAT_RATE = 1e-9
"""Rate of the flat prior of the intensities, in 1 / counts: no intensity is ever near its inverse."""
FLOOR = 1e-10
"""Least expected counts of a channel, so that their logarithm exists."""
NARROWEST_EV = 30.0
"""Width of electronic noise alone, in eV."""


def line_columns(energy, half, lines, calibration, shift, widening):
    """Shares of the families in the channels: (channel, family)."""
    centre, half = calibration[0] / 1e3 + calibration[1] * energy, calibration[1] * half
    columns = []
    for family, (energies, weights) in enumerate(lines):
        at, wider = jnp.asarray(energies) + shift[family] / 1e3, 1.0 + widening[family]
        squared = (calibration[2] * wider) ** 2 + calibration[3] * wider**2 * (1e3 * at - 5895.0)
        sigma = jnp.sqrt(jnp.maximum(squared, NARROWEST_EV**2)) / 1e3 / (2.0 * jnp.sqrt(2.0 * jnp.log(2.0)))
        low, high = ((centre[:, None] + sign * half[:, None] - at) / sigma for sign in (-1.0, 1.0))
        columns.append((ndtr(high) - ndtr(low)) @ jnp.asarray(weights))
    return jnp.stack(columns, axis=1)


def model(counts, *, energy, half, lines, backgrounds, known, known_sd, family_sd=(0.0, 0.0), shape_errors=None):
    """Counts around lines whose places and widths are known within errors, and smooth backgrounds.

    Parameters
    ----------
    counts : array of int, (channel,)
        Counts.
    energy : array of float, (channel,)
        Centres of the channels as the file has them, keV.
    half : array of float, (channel,)
        Half of their widths, keV.
    lines : sequence of (energies, weights)
        For every family energies (transition,) in keV and weights (transition,).
    backgrounds : array of float, (channel, background)
        Counts per channel of one count in every background.
    known, known_sd : array of float, (4,)
        Offset (eV), gain, resolution (eV) and slope (eV) of the file, and their standard deviations.
    family_sd : pair of float
        Standard deviations of the shift (eV) and of the relative width of a family; 0 for none.
    shape_errors : array of float, (channel, error), optional
        Changes of the expected counts that tables leave open, one standard deviation each and independent.
    """
    counts, backgrounds = jnp.asarray(counts), jnp.asarray(backgrounds)
    families = len(lines)
    calibration = numpyro.sample("calibration", dist.Normal(jnp.asarray(known), jnp.asarray(known_sd)).to_event(1))
    own = [jnp.zeros(families), jnp.zeros(families)]
    for i, (name, sd) in enumerate(zip(("shift", "widening"), family_sd, strict=True)):
        if sd > 0:
            own[i] = numpyro.sample(name, dist.Normal(0.0, sd).expand([families]).to_event(1))
    flat = dist.Exponential(FLAT_RATE).expand([families + backgrounds.shape[1]]).to_event(1)
    intensities = numpyro.sample("intensities", flat)
    rate = line_columns(jnp.asarray(energy), jnp.asarray(half), lines, calibration, *own) @ intensities[:families]
    rate = rate + backgrounds @ intensities[families:]
    if shape_errors is not None:
        shape_errors = jnp.asarray(shape_errors)
        sizes = dist.Normal(0.0, 1.0).expand([shape_errors.shape[1]]).to_event(1)
        rate = rate + shape_errors @ numpyro.sample("errors", sizes)
    numpyro.sample("counts", dist.Poisson(jnp.maximum(rate, FLOOR)).to_event(1), obs=counts)
