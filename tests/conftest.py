"""Fixtures shared by all tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import jax
import matplotlib as mpl
import pytest

mpl.use("Agg")
DATA = Path(os.environ.get("BAYESSPEC_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture
def strict() -> Iterator[None]:
    """Engines run with strict rank and dtype promotion."""
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        yield


@pytest.fixture(scope="session")
def data() -> Path:
    """Folder of the measured spectrum images; skips where it is absent."""
    if not DATA.is_dir():
        pytest.skip(f"no measured data at {DATA}: set BAYESSPEC_DATA to the folder that holds them")
    return DATA
