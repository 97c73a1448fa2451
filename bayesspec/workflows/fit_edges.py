"""Core-loss edges of one energy-loss spectrum, or of an image's summed spectrum: counts and ratios with intervals."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from bayesspec.errors import InputError
from bayesspec.files.public_arguments import checked_arguments
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.inference.linear_poisson.one_spectrum import PoissonLineFit, fit_intensities
from bayesspec.results.dataset import attributes
from bayesspec.results.estimate import Estimate
from bayesspec.results.line_fit import LineFit
from bayesspec.spectroscopy.edge_design import WINDOW_EV, chosen_edges, edge_design
from bayesspec.workflows.divide_gain import poisson_counts

MISFIT = 2.0
Floats = npt.NDArray[np.float64]
PRIOR = "None: edges and background are not negative; draws are refits of counts drawn from the fit, about the fit."


class EdgeFit(LineFit):
    """Edges fitted to one spectrum: draws of their counts in the 100 eV above each onset, and the fitted curve.

    The draws are a parametric bootstrap: they show how the counts would scatter in repeats.
    """

    kind = "edge fit"

    def composition(self, *args: Any, **factors: Any) -> dict[str, Estimate]:
        """Not there: ratios of edges become compositions through cross sections, which are left to others.

        Raises
        ------
        InputError
            Always.
        """
        raise InputError(
            f"factors {args or factors} for edges", "cross sections, which differ by set-up", "fit.ratio('C_K', 'O_K')"
        )


@checked_arguments()
def fit_edges(
    image: SpectrumImage,
    elements: Sequence[str] | None = None,
    edges: Sequence[str] = (),
    *,
    seed: int = 0,
    draws: int = 100,
) -> EdgeFit:
    """Fit the core-loss edges of a spectrum, or of the summed spectrum of an image.

    Counts are Poisson around a background of power laws and the edges, none of them negative. An edge may have any
    shape near its onset and falls off smoothly beyond. Counts of a camera are divided by the gain first, with a
    warning that names it. Onsets are those of the elements: an edge may begin up to 16 eV lower.

    Parameters
    ----------
    image : SpectrumImage
        An EELS image in eV; a spectrum is a 1 x 1 image.
    elements : sequence of str or None
        Elements of the sample; ``None`` takes those of the image.
    edges : sequence of str
        Edges to fit by name, such as ``"Ti_L"``; without elements these alone.
    seed : int
        Seed of the draws.
    draws : int
        Number of refits.

    Returns
    -------
    EdgeFit
        Counts of every edge in the 100 eV above its onset, or up to the end of the axis, and ratios.

    Raises
    ------
    InputError
        When the image is not EELS in eV, nothing is named, or an edge is not known or not recorded.
    """
    if draws < 2:
        raise InputError(f"draws={draws}", "two or more", "bs.fit_edges(si, draws=100)")
    onsets = chosen_edges(image, elements, edges)
    image = poisson_counts(image)
    design, spans = edge_design(image, onsets)
    counts = image.sum_spectrum()[design.channels]
    fit = fit_intensities(design.matrix, counts)
    drawn = _refits(design.matrix, fit, spans, np.random.default_rng(seed), draws)
    others = fit.intensities[None, spans[-1][1] :]
    misfit = float(np.mean((counts - fit.rate) ** 2 / np.maximum(fit.rate, 1.0)))
    data = xr.Dataset(
        {
            "intensity_draws": (("draw", "line"), drawn, {"units": f"counts within {WINDOW_EV:.0f} eV"}),
            "other_draws": (("draw", "other"), np.repeat(others, draws, axis=0), {"units": "counts"}),
            "counts": (("energy",), counts, {"units": "counts"}),
            "rate": (("energy",), fit.rate, {"units": "counts"}),
        },
        coords={
            "line": list(onsets),
            "onset": ("line", list(onsets.values()), {"units": "eV"}),
            "other": list(design.backgrounds),
            "energy": ("energy", design.energy, {"units": image.energy_unit}),
        },
    )
    settings = {"seed": seed, "draws": draws, "prior": PRIOR, "acquisition": asdict(image.acquisition)}
    status = "Converged: the result can be used as it stands." if fit.converged else "The fit did not settle."
    attrs = attributes(
        name=image.name, method="Poisson edge fit", status=status, converged=fit.converged, settings=settings
    )
    attrs |= {
        "verdict": f"{len(onsets)} edges" + _note(misfit),
        "misfit": misfit,
        "acquisition": json.dumps(asdict(image.acquisition)),
    }
    return EdgeFit(data.assign_attrs(attrs))


def _refits(
    matrix: Floats, fit: PoissonLineFit, spans: Sequence[tuple[int, int]], rng: np.random.Generator, n: int
) -> Floats:
    """Counts of the edges in refits of counts drawn from the fit, moved so that their mean is the fit's."""

    def edges(found: PoissonLineFit) -> Floats:
        return np.array([found.intensities[first:end].sum() for first, end in spans])

    drawn = np.stack([edges(fit_intensities(matrix, rng.poisson(fit.rate), fit.intensities)) for _ in range(n)])
    return np.maximum(drawn - drawn.mean(axis=0) + edges(fit), 0.0)


def _note(misfit: float) -> str:
    if misfit < MISFIT:
        return ""
    return (
        f"; the deviations are {np.sqrt(misfit):.2g} times those of Poisson counts: what the edges' shapes do not "
        "describe is left out of the intervals, do not rely on them"
    )
