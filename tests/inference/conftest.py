"""What holds for the tests of all engines."""

import pytest


@pytest.fixture(autouse=True)
def engines_are_strict(strict: None) -> None:
    """Strict rank and dtype promotion in every test."""
