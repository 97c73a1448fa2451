"""Public names that scripts rely on: all still there, with the same parameters; what is new is optional.

``public_face.json`` holds the names, methods and parameters (a star before those that go by name alone) of version 0.1.
``intensities`` of an unmixing was a method; it is the same property on every result now, and ``intensities_of`` takes
some lines. ``model_maps`` and ``spectral_maps`` calibrate by default, as ``fit_lines`` does.
"""

import inspect
import json
from pathlib import Path
from typing import Any

import pytest

import bayesspec as bs

RECORDED: dict[str, list[str] | None] = json.loads(Path(__file__).with_name("public_face.json").read_text())


def found(name: str) -> Any:
    """The object of a dotted name, a property or method as it stands in its class."""
    at: Any = bs
    for part in name.split("."):
        at = inspect.getattr_static(at, part) if inspect.isclass(at) else getattr(at, part)
    return at.__func__ if isinstance(at, staticmethod | classmethod) else at


def parameters(function: Any) -> list[str]:
    """One entry a parameter: its name, what it is by default, and a star where it goes by name alone."""
    return [
        f"{'*' * (p.kind is p.KEYWORD_ONLY)}{p.name}{'' if p.default is p.empty else f'={p.default!r}'}"
        for p in inspect.signature(function).parameters.values()
        if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
    ]


def optional_now(entry: str, present: list[str]) -> bool:
    """Whether a parameter that had to be given can be left out now."""
    return "=" not in entry and any(other.startswith(f"{entry}=") for other in present)


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_name_is_still_there_with_its_parameters(name: str) -> None:
    recorded = RECORDED[name]
    now = found(name)
    if recorded is None:
        return
    present = parameters(now)
    missing = [entry for entry in recorded if entry not in present and not optional_now(entry, present)]
    assert not missing, f"{name} has {present}"
    required = [entry for entry in present if entry not in recorded and "=" not in entry]
    assert not required, f"{name} asks for {required}"
    order = [entry.split("=")[0] for entry in recorded if entry[0] != "*"]
    assert [entry.split("=")[0] for entry in present][: len(order)] == order


def test_every_public_name_can_be_had() -> None:
    assert all(getattr(bs, name) is not None for name in bs.__all__)
    assert len(set(bs.__all__)) == len(bs.__all__)
    assert set(bs.__all__) <= set(dir(bs))
