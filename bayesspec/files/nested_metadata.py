"""Metadata as HyperSpy and the readers of rosettasciio keep it: nested dictionaries with dotted paths."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_UNDEFINED = {"", "none", "undefined", "<undefined>", "t.undefined"}


def dig(tree: Any, path: str) -> Any:
    """Look a value up in nested dictionaries; other characters than letters and digits count as ``_``.

    Parameters
    ----------
    tree : mapping
        Nested dictionaries.
    path : str
        Keys, joined by dots.

    Returns
    -------
    object
        The value, or None where it is missing.
    """
    for wanted in path.split("."):
        if not isinstance(tree, Mapping):
            return None
        key = next((key for key in tree if key == wanted or _slug(key) == _slug(wanted)), None)
        if key is None:
            return None
        tree = tree[key]
    return tree


def text(value: Any) -> str:
    """Return a name or unit as text, empty where HyperSpy or a reader left it undefined.

    Parameters
    ----------
    value : object
        A string, None, or an undefined trait.

    Returns
    -------
    str
        The text.
    """
    return value.strip() if isinstance(value, str) and value.strip().lower() not in _UNDEFINED else ""


def nested(tree: Any) -> Mapping[str, Any]:
    """Return a tree of HyperSpy as nested dictionaries.

    Parameters
    ----------
    tree : DictionaryTreeBrowser or mapping
        The tree.

    Returns
    -------
    mapping
        The same; empty where it is neither.
    """
    dictionary = tree.as_dictionary() if hasattr(tree, "as_dictionary") else tree
    return dictionary if isinstance(dictionary, Mapping) else {}


def mapped(mapping: Mapping[str, Any], original: Mapping[str, Any]) -> dict[str, Any]:
    """Compute the metadata that a reader leaves to be computed from the manufacturer's.

    Parameters
    ----------
    mapping : mapping
        From a path in `original` to a path in the metadata and a function of the value.
    original : mapping
        The manufacturer's metadata.

    Returns
    -------
    dict
        From path in the metadata to value; fields that are missing or of another form are left out.
    """
    found = {}
    for path, target in mapping.items():
        value = dig(original, path)
        if value is None or isinstance(value, Mapping):
            continue
        for name, convert in target if isinstance(target, list) else [target]:
            try:
                found[name] = convert(value) if callable(convert) else value
            except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
                continue
    return found


def put(tree: dict[str, Any], path: str, value: Any) -> None:
    """Put a value into nested dictionaries, which are copied along the path.

    Parameters
    ----------
    tree : dict
        Changed in place.
    path : str
        Keys, joined by dots.
    value : object
        The value.
    """
    *parents, last = path.split(".")
    for key in parents:
        branch = tree.get(key)
        tree[key] = dict(branch) if isinstance(branch, Mapping) else {}
        tree = tree[key]
    tree[last] = value


def _slug(key: Any) -> str:
    return re.sub(r"[^0-9A-Za-z]", "_", str(key))
