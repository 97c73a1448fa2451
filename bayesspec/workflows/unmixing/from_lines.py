"""Unmixing with the physics of the spectra: components are line families and continuum, nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesspec.condensed_design import CondensedDesign, condensed_design
from bayesspec.errors import InputError
from bayesspec.inference.line_maps import fit_pixels
from bayesspec.inference.profile_ranges import profile_ends
from bayesspec.inference.share_points import fit_points
from bayesspec.inference.share_problem import ShareProblem
from bayesspec.line_components import LineUnmixing
from bayesspec.line_unmixing_result import line_shares, line_unmixing_result
from bayesspec.spectrum_image import SpectrumImage

Floats = npt.NDArray[np.float64]
MOST_PIXELS = 1600
MOST_PLACES = 2000
COUNTS_OF_PLACE = 2000
STARTS = 2


def unmix_lines(
    image: SpectrumImage,
    rank: int,
    elements: Sequence[str],
    *,
    seed: int,
    verdict: str,
    prob: float,
    progress: Callable[[int, int], None] | None = None,
) -> LineUnmixing:
    """Find components made of the lines of given elements.

    Parameters
    ----------
    image : SpectrumImage
        An EDS or EELS image.
    rank : int
        Number of components.
    elements : sequence of str
        Elements of the sample.
    seed : int
        Seed of the starts.
    verdict : str
        How the number of components was chosen, in words.
    prob : float
        Probability of the ranges.
    progress : callable (done, total), optional
        Called after each step.

    Returns
    -------
    LineUnmixing
        Components, largest first, with likelihood ranges; ``verdict`` names what the counts leave open.

    Raises
    ------
    InputError
        When an element is not known or not recorded, or there are fewer pixels than components.
    """
    condensed = condensed_design(image, elements, continua=2)
    rng = np.random.default_rng(seed)
    whole = condensed.counts()
    summed, block = _summed(whole, image)
    if not 1 <= rank <= min(len(summed), condensed.design.n_lines):
        raise InputError(
            f"rank={rank} for {len(summed)} pixels and {condensed.design.n_lines} lines",
            "no more components than pixels or lines",
            "bs.unmix(si, rank=3, elements=[...])",
        )
    problem = ShareProblem(summed, condensed.matrix)
    fits = [fit_points(problem, start, progress=progress) for start in _starts(whole, condensed, rank, rng)]
    best, ends = profile_ends(
        problem,
        max(fits, key=lambda fit: fit.log_likelihood),
        line_shares(rank, condensed.design.families, condensed.matrix.shape[1]),
        prob,
        progress=progress,
    )
    return line_unmixing_result(
        image, condensed, summed, best, ends, verdict, {"seed": seed, "prob": prob, "block": block}
    )


def _summed(counts: npt.NDArray[Any], image: SpectrumImage, most: int = MOST_PIXELS) -> tuple[Floats, int]:
    """Counts of blocks of pixels, few enough to be fast; excluded pixels leave out their block."""
    block = max(int(np.ceil(np.sqrt(image.valid.sum() / max(most, 50)))), 1)
    ny, nx = (n // block for n in image.shape[:2])
    cut = counts[: ny * block, : nx * block].reshape(ny, block, nx, block, -1).sum(axis=(1, 3))
    valid = image.valid[: ny * block, : nx * block].reshape(ny, block, nx, block).all(axis=(1, 3))
    return cut[valid].astype(np.float64), block


def _starts(whole: npt.NDArray[Any], condensed: CondensedDesign, rank: int, rng: np.random.Generator) -> list[Floats]:
    """Spectra of places that lie far apart: the successive projections, and two draws of places far from each other."""
    counts = _summed(whole, condensed.image, most=min(MOST_PLACES, int(whole.sum() / COUNTS_OF_PLACE)))[0]
    intensities = np.asarray(fit_pixels(counts, condensed.matrix)[0], np.float64)
    totals = intensities.sum(axis=1, keepdims=True)
    kept = intensities[totals[:, 0] > np.quantile(totals, 0.3)]
    shares = kept / kept.sum(axis=1, keepdims=True)
    spread = shares / np.sqrt(shares.mean(axis=0) + 1e-3)
    starts = []
    for attempt in range(STARTS):
        chosen, left = [], spread - spread.mean(axis=0)
        for _ in range(rank):
            size = np.square(left).sum(axis=1)
            best = int(size.argmax()) if attempt == 0 else int(rng.choice(len(size), p=size**2 / (size**2).sum()))
            near = np.argsort(np.square(spread - spread[best]).sum(axis=1))[: max(len(spread) // 12, 2)]
            chosen.append(shares[near].mean(axis=0))
            axis = left[best] / max(float(np.linalg.norm(left[best])), 1e-12)
            left = left - np.outer(left @ axis, axis)
        mixed = 0.7 * np.stack(chosen) + 0.3 * shares.mean(axis=0)
        starts.append(mixed * totals.mean() / rank)
    return starts
