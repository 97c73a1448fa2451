"""Random keys from seeds, others for other data."""

from __future__ import annotations

import hashlib
from typing import Any

import jax

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
