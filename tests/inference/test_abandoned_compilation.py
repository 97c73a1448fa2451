"""Ctrl-C in the middle of a compilation ends the script, and not Python by a segmentation fault."""

import subprocess
import sys

import pytest

SCRIPT = """
import os, signal, threading
import jax, jax.numpy as jnp
import bayesspec.inference.programs
signal.signal(signal.SIGINT, signal.default_int_handler)

def slow(x):
    for i in range(80):
        x = jnp.sin(x) @ x + jnp.linalg.solve(x + i * jnp.eye(3), x)
    return x

lowered = jax.jit(slow).lower(jnp.ones((3, 3)))
threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
try:
    lowered.compile()
except KeyboardInterrupt:
    print("interrupted", flush=True)
    %s
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal there")
@pytest.mark.parametrize(("then", "code"), [("pass", 0), ("raise SystemExit(3)", 3), ("raise", -2)])
def test_an_interrupted_compilation_ends_as_the_script_does(then: str, code: int) -> None:
    ended = subprocess.run([sys.executable, "-c", SCRIPT % then], capture_output=True, text=True)
    assert ended.stdout == "interrupted\n", ended.stderr
    assert ended.returncode == code
