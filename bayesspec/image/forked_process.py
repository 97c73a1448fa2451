"""The one thing that no engine survives: a process forked from one that used JAX."""

from __future__ import annotations

import os
from typing import Any

from bayesspec.errors import InputError

_state = {"used": False, "forked": False}
"""Whether JAX has computed in this process, and whether it had in the one that this was forked from."""


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


def watch_use() -> None:
    """Notice every use of JAX in this process, also one that is not ours."""
    import jax.monitoring

    jax.monitoring.register_event_duration_secs_listener(_used)


def _after_fork() -> None:
    _state["forked"] = _state["forked"] or _state["used"]


def _used(*_: Any, **__: Any) -> None:
    _state["used"] = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
