"""Counts of an image as a matrix (pixel, channel), whole and weighted for Poisson noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from bayesspec.errors import InputError
from bayesspec.image.counts import Counts
from bayesspec.image.spectrum_image import SpectrumImage

_SPARSE_BELOW = 0.25
"""Share of entries that are not zero below which the matrix is kept sparse: memory."""


@dataclass(frozen=True)
class CountMatrix:
    """Counts as a matrix: of the pixels and channels that are in use and hold counts.

    Parameters
    ----------
    matrix : array or scipy.sparse.csr_matrix, shape (pixel, channel), float
        Counts.
    pixels : array, shape (y, x), bool
        Which pixels the rows are.
    channels : array, shape (energy,), bool
        Which channels the columns are.
    filled : float
        Share of the entries of the image that hold counts.
    """

    matrix: Any
    pixels: npt.NDArray[np.bool_]
    channels: npt.NDArray[np.bool_]
    filled: float

    def spread(
        self, spectra: npt.NDArray[np.float64], abundances: npt.NDArray[np.float64], image: SpectrumImage
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Scale the spectra to 1 and put both factors back in their places in the image.

        Parameters
        ----------
        spectra : array, shape (component, channel), float64
            Spectra in any scale and sign.
        abundances : array, shape (pixel, component), float64
            Abundances; their product with the spectra stays the same.
        image : SpectrumImage
            The image that the matrix was made of.

        Returns
        -------
        spectra : array, shape (component, energy), float64
            Absolute values summing to 1, the largest excursion up, 0 in channels that are not in use.
        abundances : array, shape (y, x, component), float64
            In counts; 0 in pixels without counts, NaN in excluded ones.
        """
        scale = np.abs(spectra).sum(axis=1)
        scale = np.where(scale > 0, scale, 1.0) * np.sign(spectra[np.arange(len(spectra)), _peak(spectra)])
        scale = np.where(scale == 0, 1.0, scale)
        wide = np.zeros((len(spectra), image.shape[2]))
        wide[:, self.channels] = spectra / scale[:, None]
        full = np.where(image.valid[..., None], 0.0, np.nan) * np.ones(len(spectra))
        full[self.pixels] = abundances * scale
        return wide, full


def _peak(spectra: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    return np.abs(spectra).argmax(axis=1)


def counts_of(image: SpectrumImage) -> Counts:
    """Return the counts of what is not excluded.

    Parameters
    ----------
    image : SpectrumImage
        Counts.

    Returns
    -------
    Counts
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
    return Counts(counts, image.valid, image.valid_channels)


def counts_matrix(image: SpectrumImage, rank: int, dtype: type[np.floating[Any]]) -> CountMatrix:
    """Make a matrix of the counts of an image: sparse where most of them are 0.

    Parameters
    ----------
    image : SpectrumImage
        Counts.
    rank : int
        Number of components that will be asked for.
    dtype : numpy.float32 or numpy.float64
        Type of the entries.

    Returns
    -------
    CountMatrix
        The matrix, and where its rows and columns belong.

    Raises
    ------
    InputError
        When the matrix cannot have that rank.
    """
    pixels = image.valid & (image.intensity() > 0)
    channels = image.sum_spectrum() > 0
    most = min(int(pixels.sum()), int(channels.sum())) - 1
    if not isinstance(rank, int | np.integer) or isinstance(rank, bool) or not 1 <= rank <= most:
        raise InputError(
            f"rank={rank!r}",
            f"an integer from 1 to {most}, below the numbers of pixels and of channels with counts",
            f"bs.classical.svd(si, {max(1, min(4, most))})",
        )
    counts = image.counts
    share = np.count_nonzero(counts) / counts.size
    if share >= _SPARSE_BELOW:
        return CountMatrix(counts[pixels][:, channels].astype(dtype), pixels, channels, share)
    rows = [sp.csr_matrix(block[keep][:, channels].astype(dtype)) for block, keep in zip(counts, pixels, strict=True)]
    return CountMatrix(sp.vstack(rows, format="csr"), pixels, channels, share)


def weighted_svd(
    seen: CountMatrix, rank: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Decompose the matrix, every entry in units of its Poisson noise.

    Parameters
    ----------
    seen : CountMatrix
        Counts, float64.
    rank : int
        Number of components.

    Returns
    -------
    spectra : array, shape (component, channel), float64
        Spectra, up to scale and sign.
    abundances : array, shape (pixel, component), float64
        Their product with the spectra approximates the counts.
    singular_values : array, shape (component,), float64
        In units of the noise.

    Notes
    -----
    Source: Keenan and Kotula, Surf. Interface Anal. 36 (2004) 203, doi:10.1002/sia.1657.
    """
    from sklearn.decomposition import TruncatedSVD

    pixel, channel = (np.asarray(seen.matrix.sum(axis=a), np.float64).ravel() for a in (1, 0))
    down, across = np.sqrt(pixel), np.sqrt(channel / channel.sum())
    weighted = sp.diags_array(1 / down) @ seen.matrix @ sp.diags_array(1 / across)
    # the start vector of the iteration does not matter: it runs to machine precision
    solver = TruncatedSVD(rank, algorithm="arpack", random_state=0)
    scores = solver.fit_transform(weighted)
    return solver.components_ * across, scores * down[:, None], solver.singular_values_
