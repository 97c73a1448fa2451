"""Random keys from seeds, and the one thing that no engine survives: a process forked from one that used JAX."""

from __future__ import annotations

import hashlib
import os
from typing import Any

import jax
import jax.monitoring

from bayesspec.errors import InputError
from bayesspec.image.arguments import checked_seed

_state = {"used": False, "forked": False}
"""Whether JAX has computed in this process, and whether it had in the one that this was forked from."""


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


def refuse_forked_process() -> None:
    """Refuse to compute in a process that was forked from one that used JAX: the threads of JAX were not.

    Raises
    ------
    InputError
        When it was.
    """
    if _state["forked"]:
        raise InputError(
            "a process that was forked from one that has computed already, where it would wait for ever",
            "a process that starts anew",
            "multiprocessing.get_context('spawn').Pool(), or joblib.Parallel(n_jobs=2)",
        )
    _state["used"] = True


def _after_fork() -> None:
    _state["forked"] = _state["forked"] or _state["used"]


def _used(*_: Any, **__: Any) -> None:
    _state["used"] = True


jax.monitoring.register_event_duration_secs_listener(_used)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
