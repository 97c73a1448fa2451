"""How many components: held-out counts of a coarser image, with the singular values beside them."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import numpy.typing as npt
import xarray as xr
from tqdm import tqdm

from bayesspec.errors import InputError
from bayesspec.inference.spectral_rank import tracy_widom_rank
from bayesspec.inference.thinning import rank_scores
from bayesspec.selection import held_out_table, limit_note, one_standard_error, with_verdicts
from bayesspec.spectrum_image import SpectrumImage

FITTED_SHARE = 0.8
BLOCK_COUNTS = 500
FEWEST_CHANNELS = 128
COARSE_TOLERANCE = 1e-4


def choose_rank(image: SpectrumImage, numbers: list[int], key: jax.Array) -> tuple[xr.Dataset, str, int]:
    """Score every rank on held-out counts of a coarser image, where there is a choice.

    Parameters
    ----------
    image : SpectrumImage
        Counts.
    numbers : list of int
        Ranks to choose from, increasing.
    key : jax.Array
        Random key of the division into fitted and held-out counts, and of the fits.

    Returns
    -------
    table : xarray.Dataset, dims (candidate,)
        ``score``, ``error`` and ``verdict`` of every rank.
    verdict : str
        The choice in words.
    chosen : int
        The smallest rank within one standard error of the best.

    Raises
    ------
    InputError
        When there are no counts.
    """
    if len(numbers) == 1:
        table = held_out_table(numbers, np.zeros((1, 2)))
        return with_verdicts(table, numbers[0]), f"{_components(numbers[0])}, as asked", numbers[0]
    counts = count_matrix_of(coarser(image))
    possible = [number for number in numbers if number <= min(counts.shape)]
    bar = tqdm(possible, desc="rank", disable=None, leave=False)
    scores = rank_scores(counts, bar, key=key, fraction=FITTED_SHARE, tolerance=COARSE_TOLERANCE)
    table = held_out_table(possible, scores)
    chosen = one_standard_error(table)
    return with_verdicts(table, chosen), _verdict(counts, numbers, chosen), chosen


def pixel_block(image: SpectrumImage) -> int:
    """How many pixels to sum along y and x so that their abundances are worth their noise.

    Maximum likelihood spends about half a nat of held-out likelihood per pixel and component; with few counts
    a pixel this hides components that the whole image shows clearly, and sampling every pixel costs time for nothing.

    Parameters
    ----------
    image : SpectrumImage
        Counts.

    Returns
    -------
    int
        Side of blocks with at least 500 counts on average, an eighth of the image at most, and such that no more
        than half the pixels are lost to excluded neighbours.
    """
    largest = max(1, min(image.shape[:2]) // 8)
    wanted = int(np.clip(np.ceil(np.sqrt(BLOCK_COUNTS / max(image.counts_per_pixel, 1e-9))), 1, largest))
    for size in range(wanted, 1, -1):
        if image.rebin(y=size, x=size, energy=image.shape[2]).valid.sum() * size**2 > 0.5 * image.valid.sum():
            return size
    return 1


def coarser(image: SpectrumImage) -> SpectrumImage:
    """Sum pixels and channels as far as choosing the rank asks for.

    Parameters
    ----------
    image : SpectrumImage
        Counts.

    Returns
    -------
    SpectrumImage
        Blocks of pixels as `pixel_block` says; up to four channels together.
    """
    block, channels = pixel_block(image), int(np.clip(image.shape[2] // FEWEST_CHANNELS, 1, 4))
    small = image.rebin(y=block, x=block, energy=channels)
    return small if small.valid_channels.any() else image.rebin(y=block, x=block)


def _components(number: int) -> str:
    return f"{number} component" if number == 1 else f"{number} components"


def _verdict(counts: npt.NDArray[Any], numbers: list[int], chosen: int) -> str:
    spectral = tracy_widom_rank(counts).rank
    text = f"{_components(chosen)}{limit_note(chosen, numbers, 'components')}"
    if spectral > chosen:
        text += (
            f"; the singular values show {spectral}: components that these counts cannot separate pixel by "
            "pixel, or counts that are not Poisson, or an energy axis that drifts"
        )
    return text


def count_matrix_of(image: SpectrumImage) -> npt.NDArray[Any]:
    """Return the counts of what is not excluded.

    Parameters
    ----------
    image : SpectrumImage
        Counts.

    Returns
    -------
    array, shape (pixel, channel), unsigned integer
        Counts of the pixels and channels that are kept.

    Raises
    ------
    InputError
        When there are none.
    """
    counts = image.counts.reshape(-1, image.shape[2])
    if image.mask is not None:
        counts = counts[image.valid.ravel()]
    if image.energy_mask is not None:
        counts = counts[:, image.valid_channels]
    if not counts.size or not counts.any():
        raise InputError(
            f"no counts in {counts.shape[0]} pixels x {counts.shape[1]} channels that are not excluded",
            "an image with counts",
            "another mask or crop(energy=...)",
        )
    return counts
