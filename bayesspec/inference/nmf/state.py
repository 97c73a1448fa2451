"""What the sampler carries from sweep to sweep, what it sees, and what is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax

from bayesspec.inference.blocks import Runs
from bayesspec.inference.nmf.background_moves import Shapes
from bayesspec.inference.nmf.mixing_moves import Noise
from bayesspec.inference.nmf.prior import Prior


class State(NamedTuple):
    """Where the chain is.

    Parameters
    ----------
    log_w : jax.Array (block, row, component), float32
        Log abundances, log counts.
    spectra : jax.Array (component, channel), float32
        Spectra, each summing to one; free components first.
    shape, rate : jax.Array (component,), float64
        Gamma prior of the abundances; dimensionless, 1 / counts.
    log_likelihood : jax.Array (), float64
        Log likelihood, nats.
    """

    log_w: jax.Array
    spectra: jax.Array
    shape: jax.Array
    rate: jax.Array
    log_likelihood: jax.Array


class Summary(NamedTuple):
    """What is kept of a sweep.

    Parameters
    ----------
    spectra : jax.Array (component, channel), float32
        Spectra.
    totals : jax.Array (component,), float64
        Abundances added over the pixels, counts.
    fractions : jax.Array (component,), float64
        Share of the component in a pixel, mean over the pixels.
    shape, rate : jax.Array (component,), float64
        Gamma prior of the abundances.
    log_joint : jax.Array (), float64
        Log density of counts and unknowns, nats.
    accepted : jax.Array (4,), float64
        Share of the pixels and of the channels that moved, then as `coupling_moves` returns it.
    """

    spectra: jax.Array
    totals: jax.Array
    fractions: jax.Array
    shape: jax.Array
    rate: jax.Array
    log_joint: jax.Array
    accepted: jax.Array


class Data(NamedTuple):
    """What a sweep sees.

    Parameters
    ----------
    counts, merged : jax.Array (block, row, channel), unsigned integer
        Counts, and the same with runs of channels added.
    valid : jax.Array (block, row, 1), float32
        One, and zero in the filling of the last block.
    pixels : jax.Array (), float64
        Number of pixels without the filling.
    noise : Noise
        Noise of both factors, for the coupling moves.
    prior : Prior
        Constants of the prior.
    shapes : Shapes, optional
        Those that the last spectrum is a mixture of, where its weights are not known.
    """

    counts: jax.Array
    merged: jax.Array
    valid: jax.Array
    pixels: jax.Array
    noise: Noise
    prior: Prior
    shapes: Shapes | None = None


@dataclass(frozen=True)
class Plan:
    """What a sweep is compiled for: what decides the shapes of its arrays and the length of its loops.

    Parameters
    ----------
    free : int
        Number of components with a free spectrum.
    runs : Runs
        What is merged where only the information is computed, and for the coupling moves.
    moves : int
        Coupling moves in a sweep.
    """

    free: int
    runs: Runs
    moves: int
