"""Minibatches of pixels for any NumPyro model with a plate over its pixels."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpyro.primitives import Messenger

PLATE = "pixel"
"""Name of the plate that is divided."""


class Minibatch(Messenger):
    """Context in which a model and its guide see some of the pixels.

    NumPyro scales the log densities inside the plate by pixels / batch, so that bounds and gradients are on average
    those of all pixels, and a guide keeps the parameters of every pixel. What is observed inside the plate is cut here;
    its first dim is the pixel.

    Parameters
    ----------
    indices : array (batch,), int
        Numbers of the pixels, each at most once.

    Notes
    -----
    Source: Hoffman, Blei, Wang & Paisley (2013), J. Mach. Learn. Res. 14, 1303.
    """

    def __init__(self, indices: Any) -> None:
        super().__init__(None)
        self.indices = indices

    def process_message(self, msg: Any) -> None:
        """Put the batch in the place of the plate and of what is observed in it."""
        if msg["type"] == "plate" and msg["name"] == PLATE:
            msg["args"], msg["value"] = (msg["args"][0], len(self.indices)), self.indices
        elif msg["type"] == "sample" and msg["is_observed"] and in_plate(msg):
            whole = jnp.shape(msg["value"])
            if whole and whole[0] != len(self.indices):
                msg["value"] = jnp.take(msg["value"], self.indices, axis=0)


def in_plate(site: Any) -> bool:
    """Whether a site lies inside the plate over the pixels."""
    return any(frame.name == PLATE for frame in site["cond_indep_stack"])


def batch_at(start: Any, pixels: int, size: int) -> jax.Array:
    """Numbers of the pixels of a batch, strewn over the image in an order that is always the same.

    Parameters
    ----------
    start : int array ()
        Place of the first in that order: from one drawn evenly every pixel is as likely to be in the batch, and
        batches from 0, 1, ... pixels / size - 1 hold all pixels once.
    pixels, size : int
        Pixels of the image and of the batch.

    Returns
    -------
    array (size,), int32
        Numbers from 0, none twice.
    """
    order = jnp.asarray(np.random.default_rng(0).permutation(pixels), jnp.int32)
    places = jnp.asarray(np.arange(size) * pixels // size, jnp.int32)
    return order[(start + places) % pixels]
