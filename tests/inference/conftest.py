"""What holds for the tests of all engines."""

from collections.abc import Iterator

import jax
import pytest


@pytest.fixture(autouse=True)
def strict() -> Iterator[None]:
    """Engines run with strict rank and dtype promotion."""
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        yield
