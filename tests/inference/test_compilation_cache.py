"""Programs outlive their process; nothing fails where they cannot."""

import os
import subprocess
import sys
from pathlib import Path

COUNT = """
import jax, jax.monitoring
done = []
jax.monitoring.register_event_listener(lambda name, **_: done.append(name))
{before}
import bayesspec.inference.programs
import jax.numpy as jnp
assert float(jax.jit(lambda x: jnp.sin(x).sum())(jnp.arange(5.0))) < 2
print(done.count('/jax/compilation_cache/cache_hits'), done.count('/jax/compilation_cache/cache_misses'))
print(bayesspec.inference.compilation_cache.keep_programs())
"""


def run(before: str = "", **variables: str) -> tuple[int, int, str]:
    """Compile in a process of its own: programs found, programs compiled, and what is said of the folder."""
    own = {key: value for key, value in os.environ.items() if not key.startswith(("BAYESSPEC_CACHE", "JAX_"))}
    command = [sys.executable, "-W", "error", "-c", COUNT.format(before=before)]
    printed = subprocess.run(command, capture_output=True, text=True, env=own | variables, check=True).stdout
    counts, said = printed.splitlines()
    hits, misses = counts.split()
    return int(hits), int(misses), said


def test_a_second_process_compiles_nothing(tmp_path: Path) -> None:
    _, compiled, _ = run(BAYESSPEC_CACHE=str(tmp_path))
    found, again, said = run(BAYESSPEC_CACHE=str(tmp_path))
    assert compiled > 0
    assert (found, again) == (compiled, 0)
    assert said.startswith(f"{compiled} compiled programs")
    assert str(tmp_path) in said


def test_what_was_compiled_before_the_import_does_not_switch_it_off(tmp_path: Path) -> None:
    before = "jax.jit(lambda x: x + 1)(1.0)"
    _, compiled, _ = run(before, BAYESSPEC_CACHE=str(tmp_path))
    assert compiled > 0
    assert any(tmp_path.rglob("*-cache"))


def test_it_can_be_switched_off(tmp_path: Path) -> None:
    assert run(BAYESSPEC_CACHE="off", XDG_CACHE_HOME=str(tmp_path)) == (
        0,
        0,
        "compiled programs are not kept: BAYESSPEC_CACHE=off",
    )
    assert not any(tmp_path.iterdir())


def test_the_default_is_the_users_cache_folder(tmp_path: Path) -> None:
    said = run(XDG_CACHE_HOME=str(tmp_path))[2]
    if sys.platform == "linux":
        assert str(tmp_path / "bayesspec" / "programs") in said


def test_a_folder_of_the_users_own_stays(tmp_path: Path) -> None:
    own, other = tmp_path / "own", tmp_path / "other"
    assert str(own) in run(JAX_COMPILATION_CACHE_DIR=str(own), BAYESSPEC_CACHE=str(other))[2]
    assert str(own) in run(f"jax.config.update('jax_compilation_cache_dir', {str(own)!r})")[2]
    assert not other.exists()


def test_a_folder_that_cannot_be_written_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "cannot be written" in run(BAYESSPEC_CACHE=str(tmp_path / "file" / "below"))[2]
