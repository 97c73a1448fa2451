"""A compilation that Ctrl-C interrupts goes on in a thread of the compiler: Python waits for it before it ends.

Python that ends meanwhile takes away what the thread works on, which ends in a segmentation fault.
"""

from __future__ import annotations

import atexit
import contextlib
import signal
import sys
import threading
import time

import jax.monitoring

LONGEST_S = 120.0
"""Seconds after which the wait is given up."""
_LOOK_S = 1.0
"""Seconds between two looks at whether the compiler still works."""
_BUSY = 0.02
"""Share of a processor's time in a look from which on something is taken to work."""
_abandoned = threading.Event()


def watch() -> None:
    """Notice compilations that are interrupted, and wait at the end of Python for the last of them."""
    jax.monitoring.register_event_duration_secs_listener(_after)
    atexit.register(_wait)  # after JAX has registered what takes its client away, and so before that is done


def _after(event: str, duration_secs: float, **_: str | int) -> None:
    """Hear that a compilation ended; JAX tells so from a context that an exception is passing through."""
    if event.endswith("backend_compile_duration") and isinstance(sys.exc_info()[1], KeyboardInterrupt):
        _abandoned.set()


def _wait() -> None:
    if not _abandoned.is_set():
        return
    with contextlib.suppress(ValueError):  # a second Ctrl-C ends the wait, and the process
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    end = time.monotonic() + LONGEST_S
    while time.monotonic() < end:
        before = time.process_time()
        time.sleep(_LOOK_S)
        if time.process_time() - before < _BUSY * _LOOK_S:
            return
