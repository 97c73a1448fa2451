"""Errors and notes of the library in the words of the command line: options in place of Python."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

from bayesspec.cli.options import OPTIONS

ARGUMENTS = {name: f"--{name.replace('_', '-')}" for name in OPTIONS} | {
    "resolution_mn_ka_ev": "--resolution",
    "shape": "--size",
}
"""Arguments of the library, and the options that stand for them."""
_SPECIAL = {
    "load": "bayesspec info FILE",
    "signals": "bayesspec info FILE",
    "crop": "--energy LOW,HIGH",
    "rebin": "--rebin N",
    "calibrate_energy": "bayesspec calibrate FILE",
    "fit_edges": "bayesspec edges FILE",
    "fit_lines": "bayesspec lines FILE",
    "identify_lines": "bayesspec lines FILE",
    "pca": "bayesspec pca FILE",
    "plan_dose": "bayesspec plan",
    "poisson_check": "bayesspec check FILE",
    "ratio_map": "bayesspec ratio FILE LINE LINE",
    "segment": "bayesspec segment FILE",
    "unmix": "bayesspec unmix FILE",
}
_PYTHON = {
    "SpectrumImage": "bayesspec.SpectrumImage in Python",
    "LineMaps": "bayesspec.LineMaps in Python",
    "divide_gain": "the Python interface for a camera's gain: bayesspec.divide_gain",
}
"""What no command does."""
_CALL = re.compile(r"\b(?:bs|si|fit|seg|maps|plan|np|s)\.(?:\w+\.)*\w+\(|\b(?:crop|rebin|plan_dose|load|save|report)\(")
_ARGUMENT = re.compile(rf"\b({'|'.join(ARGUMENTS)})=")
_NAME = re.compile(r"\bbs\.(\w+)\b(?!\.?\w|\()")
_HELP = "bayesspec COMMAND --help"


def in_options(text: str) -> str:
    """Say with options what a message says with Python.

    Parameters
    ----------
    text : str
        Part of a message.

    Returns
    -------
    str
        The same with options of the command line.
    """
    parts, place = [], 0
    for start, end, words in _python_in(text):
        parts += [text[place:start], words]
        place = end
    return _NAME.sub(lambda name: _SPECIAL.get(name[1], name[0]), "".join([*parts, text[place:]]))


def _python_in(text: str) -> Iterator[tuple[int, int, str]]:
    """Where Python stands in a text, and what takes its place."""
    place = 0
    while place < len(text):
        call = _CALL.search(text, place)
        argument = _ARGUMENT.search(text, place)
        first = min((m for m in (call, argument) if m is not None), key=lambda m: m.start(), default=None)
        if first is None:
            return
        if first is call:
            end = _closed(text, first.end())
            yield first.start(), end, _call_words(text[first.start() : end])
        else:
            end = _value_end(text, first.end())
            yield first.start(), end, _option(first[1], _literal(text[first.end() : end]))
        place = end


def _closed(text: str, place: int) -> int:
    """Where the bracket that is open at a place is closed."""
    depth, quote = 1, ""
    while place < len(text) and depth:
        character = text[place]
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        else:
            depth += (character in "([{") - (character in ")]}")
        place += 1
    return place


def _value_end(text: str, place: int) -> int:
    """Where the value that begins at a place ends."""
    word = re.compile(r"'[^']*'|\"[^\"]*\"|[\w.+-]*").match(text, place)
    end = place if word is None else word.end()
    while end < len(text) and text[end] in "([{":
        end = _closed(text, end + 1)
    return end


def _call_words(code: str) -> str:
    """Options that do what a call does."""
    try:
        call: Any = ast.parse(code, mode="eval").body
        keywords = [keyword for keyword in call.keywords if keyword.arg in ARGUMENTS]
        name = call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id
        first = _value(call.args[0]) if call.args else None
    except (SyntaxError, AttributeError, ValueError):
        return _HELP
    options = [_option(str(keyword.arg), _value(keyword.value)) for keyword in keywords]
    if name == "rebin":
        steps = [_value(keyword.value) for keyword in call.keywords if keyword.arg in ("y", "x")]
        return f"--rebin {steps[0]}" if steps else _SPECIAL["rebin"]
    if name in _PYTHON:
        return _PYTHON[name]
    if name in ("load", "open") and isinstance(first, str):
        return f"'{first}'"  # the name of a file that is there
    return " ".join(options) or _SPECIAL.get(name, _HELP)


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "range":
        return range(*(ast.literal_eval(end) for end in node.args))
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ...


def _literal(code: str) -> Any:
    try:
        return _value(ast.parse(code, mode="eval").body)
    except (SyntaxError, ValueError):
        return ...


def _option(name: str, value: Any) -> str:
    """An option and its value, as they are typed."""
    option = ARGUMENTS[name]
    if name == "overwrite":
        return option
    if isinstance(value, range) and len(value) > 1:
        return f"{option} {value[0]}-{value[-1]}"
    if name == "shape" and isinstance(value, tuple):
        value = value[0]
    if isinstance(value, list | tuple | range):
        values = [item for item in value if item is not ...]
        return f"{option} {','.join(map(str, values))}" if values else option
    return option if value is ... or value is None else f"{option} {value}"
