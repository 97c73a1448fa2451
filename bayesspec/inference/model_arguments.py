"""Arguments of a model divided into arrays, which programs take as data, and the rest, which they are compiled for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

import bayesspec.inference.programs  # noqa: F401

VALUES_ASKED = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
    jax.errors.NonConcreteBooleanIndexError,
)
"""What JAX raises where a program asks for the values of an array, and not for its shape alone."""
_ARRAY = object()
Arrays = tuple[Any, ...]


@dataclass(frozen=True)
class Arguments:
    """Arguments of a model without the values of the arrays among them; 1 is not 1.0.

    Parameters
    ----------
    tree : jax.tree_util.PyTreeDef
        How positional and named arguments are put together.
    fixed : tuple
        All leaves, a place holder where an array is.
    kinds : tuple of type
        Types of the leaves.
    """

    tree: Any
    fixed: tuple[Any, ...]
    kinds: tuple[type, ...]

    def joined(self, arrays: Arrays) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Put arrays in their places.

        Parameters
        ----------
        arrays : tuple of array
            Those that were taken out, or others of their shapes.

        Returns
        -------
        tuple, dict
            Positional and named arguments.
        """
        left = iter(arrays)
        return jax.tree.unflatten(self.tree, [next(left) if leaf is _ARRAY else leaf for leaf in self.fixed])

    def with_values(self, arrays: Arrays) -> Arguments:
        """Fix the values of the arrays as well, for a model that asks for them.

        Parameters
        ----------
        arrays : tuple of array
            Those that were taken out.

        Returns
        -------
        Arguments
            Which `joined` puts together without any.
        """
        left = iter(arrays)
        return replace(self, fixed=tuple(next(left) if leaf is _ARRAY else leaf for leaf in self.fixed))

    @property
    def hashable(self) -> bool:
        """Whether programs can be kept by them, bool."""
        try:
            hash(self)
        except TypeError:
            return False
        return True


def divided(args: tuple[Any, ...], kwargs: Mapping[str, Any] | None) -> tuple[Arguments, Arrays]:
    """Take the arrays out of the arguments of a model.

    Parameters
    ----------
    args, kwargs : tuple, mapping or None
        The arguments.

    Returns
    -------
    Arguments, tuple of array
        The rest, and the arrays in order.
    """
    leaves, tree = jax.tree.flatten((args, dict(kwargs or {})))
    arrays = tuple(leaf for leaf in leaves if _is_array(leaf))
    fixed = tuple(_ARRAY if _is_array(leaf) else leaf for leaf in leaves)
    return Arguments(tree, fixed, tuple(type(leaf) for leaf in leaves)), arrays


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, np.ndarray | jax.Array)
