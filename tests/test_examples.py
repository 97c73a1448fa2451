"""Examples in the docstrings of public functions run, and every function has one."""

import doctest
import inspect
import sys
from pathlib import Path
from typing import Any

import pytest

import bayesspec as bs


def public_functions() -> dict[str, Any]:
    """Functions of ``bs.``, and the methods of its classes that have an example."""
    named = {name: getattr(bs, name) for name in bs.__all__}
    found = {name: value for name, value in named.items() if inspect.isfunction(value)}
    for name, value in named.items():
        if inspect.isclass(value):
            members = {f"{name}.{m}": inspect.getattr_static(value, m) for m in vars(value) if not m.startswith("_")}
            members = {m: getattr(f, "__func__", f) for m, f in members.items()}
            found |= {m: f for m, f in members.items() if inspect.isfunction(f) and ">>>" in (f.__doc__ or "")}
            found |= {name: value} if ">>>" in (value.__doc__ or "") else {}
    return found


FUNCTIONS = public_functions()


def test_every_public_function_has_an_example() -> None:
    without = [name for name, f in FUNCTIONS.items() if ">>>" not in (inspect.getdoc(f) or "")]
    assert not without


@pytest.mark.parametrize("name", FUNCTIONS)
def test_example_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    function = inspect.unwrap(FUNCTIONS[name])
    module = vars(sys.modules[function.__module__])
    tests = doctest.DocTestParser().get_doctest(function.__doc__ or "", dict(module), name, None, 0)
    told: list[str] = []
    failed, _ = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(tests, out=told.append)
    assert not failed, "".join(told)
