"""Compiled programs are kept on disk, so that only the first process of all waits for the compiler."""

from __future__ import annotations

import hashlib
import os
import platform
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import platformdirs

VARIABLE = "BAYESSPEC_CACHE"
"""Environment variable: a folder for the programs, or one of `OFF`."""
OFF = ("off", "0", "no", "false")


@dataclass(frozen=True)
class CompilationCache:
    """Where compiled programs are kept.

    Parameters
    ----------
    folder : pathlib.Path or None
        The folder; None where nothing is kept.
    reason : str
        Who chose it, or why nothing is kept.
    """

    folder: Path | None
    reason: str

    def __str__(self) -> str:
        if self.folder is None:
            return f"compiled programs are not kept: {self.reason}"
        files = [path for path in self.folder.glob("*-cache") if path.is_file()]
        size = sum(path.stat().st_size for path in files) / 1e6
        return f"{len(files)} compiled programs, {size:.1f} MB, in {self.folder} ({self.reason})"


@cache
def keep_programs() -> CompilationCache:
    """Let JAX keep compiled programs on disk, unless the user has a folder of his own or wants none.

    Returns
    -------
    CompilationCache
        The folder in use. Nothing is kept, and nothing fails, where no folder can be written.
    """
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    chosen = getattr(jax.config, "jax_compilation_cache_dir", None)
    if chosen:
        return CompilationCache(Path(chosen), "chosen in JAX's own configuration")
    wanted = os.environ.get(VARIABLE, "").strip()
    if wanted.lower() in OFF:
        return CompilationCache(None, f"{VARIABLE}={wanted}")
    # with ~ and without a home folder there is no path to expand
    root = Path(os.path.expanduser(wanted)) if wanted else platformdirs.user_cache_path("bayesspec") / "programs"
    folder = root / _machine(jax.__version__)
    if not _writable(folder):
        return CompilationCache(None, f"{folder} cannot be written; {VARIABLE} names another folder")
    jax.config.update("jax_compilation_cache_dir", str(folder))
    # most programs here are small and many: together they take longer than the few large ones
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    compilation_cache.reset_cache()  # what was compiled before this line has fixed that there is no cache
    return CompilationCache(folder, f"named by {VARIABLE}" if wanted else f"{VARIABLE}=off keeps none")


def _machine(version: str) -> str:
    """Name of a folder for programs that run on this processor: those of another one may not."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    features = sorted({line for line in lines if line.startswith(("flags", "Features", "model name"))})
    text = "\n".join([platform.machine(), platform.processor(), *features])
    return f"jax-{version}-{platform.machine()}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
