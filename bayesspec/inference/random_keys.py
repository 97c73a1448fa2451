"""Random keys from seeds, others for other data."""

from __future__ import annotations

import hashlib
from typing import Any

import jax
import numpy as np

import bayesspec.inference.programs  # noqa: F401
from bayesspec.image.arguments import checked_seed
from bayesspec.image.forked_process import refuse_forked_process


def random_key(seed: Any) -> jax.Array:
    """Make a random key.

    Parameters
    ----------
    seed : int
        What the user gave.

    Returns
    -------
    jax.Array
        The key.

    Raises
    ------
    InputError
        When the seed is no whole number from 0 to 2**32 - 1, or the process was forked from one that used JAX.
    """
    refuse_forked_process()
    return jax.random.key(checked_seed(seed))


def generator(key: jax.Array | int) -> np.random.Generator:
    """Make a generator of NumPy's, which compiles nothing, of a key.

    Parameters
    ----------
    key : jax.Array or int
        Random key, or the seed of one: both give the same generator.

    Returns
    -------
    numpy.random.Generator
        The generator.

    Raises
    ------
    InputError
        As `random_key`.
    """
    if isinstance(key, int):
        refuse_forked_process()
        return np.random.default_rng([0, checked_seed(key)])
    words = np.asarray(jax.random.key_data(key), np.uint32).ravel()
    return np.random.default_rng([int(word) for word in words])


def seed_for(seed: int, checksum: str) -> int:
    """Make a seed that is another one for other data, so that results at equal seeds share no random numbers.

    Parameters
    ----------
    seed : int
        What the user gave, 0 to 2**32 - 1.
    checksum : str
        Checksum of the data.

    Returns
    -------
    int
        From 0 to 2**32 - 1.

    Raises
    ------
    InputError
        When the seed is no whole number from 0 to 2**32 - 1.
    """
    text = f"{checked_seed(seed)} {checksum}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=4).digest(), "little")
