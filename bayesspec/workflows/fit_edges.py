"""Core-loss edges of one energy-loss spectrum, or of an image's summed spectrum: counts and ratios with intervals."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesspec.errors import InputError
from bayesspec.files.public_arguments import checked_arguments
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.inference.after_sampling import Step, with_steps
from bayesspec.inference.linear_poisson.one_spectrum import PoissonLineFit, fit_intensities
from bayesspec.inference.random_keys import seed_for
from bayesspec.inference.status import Status
from bayesspec.results.dataset import Frame
from bayesspec.results.edge_fit import EdgeFit
from bayesspec.spectroscopy.core_edges import chosen_edges
from bayesspec.spectroscopy.core_loss import fit_core_loss
from bayesspec.spectroscopy.edge_design import WINDOW_EV, edge_design
from bayesspec.workflows.divide_gain import poisson_counts

EDGE_MISFIT = 2.0
"""Squared deviations, over those of Poisson counts, above which the verdict warns: ``python benchmarks/decisions.py
edges``."""
DENSITY_DRAWS = 1000
"""Draws of the areal densities from their normal distribution."""
Floats = npt.NDArray[np.float64]
MODEL = "linear_poisson"
"""The model of the edges; that of the densities by cross sections is ``log_background``."""
PRIOR = "None: edges and background are not negative; draws are refits of counts drawn from the fit, about the fit."


@checked_arguments()
def fit_edges(
    image: SpectrumImage,
    elements: Sequence[str] | None = None,
    edges: Sequence[str] = (),
    *,
    low_loss: SpectrumImage | None = None,
    seed: int = 0,
    draws: int = 100,
) -> EdgeFit:
    """Fit the core-loss edges of a spectrum, or of the summed spectrum of an image.

    Counts are Poisson around a background of power laws and the edges, none of them negative. An edge may have any
    shape near its onset and falls off smoothly beyond. Counts of a camera are divided by the gain first, with a
    warning that names it. Onsets are those of the elements: an edge may begin up to 16 eV lower.

    Where beam energy and collection angle are known, K and L edges are fitted once more by their hydrogenic cross
    sections, folded with the low loss, with a fine structure that is free over 30 eV: ``fit.areal_density()``,
    ``fit.atomic_ratio("Ti_L23", "O_K")`` and ``fit.composition()``.

    Parameters
    ----------
    image : SpectrumImage
        An EELS image in eV; a spectrum is a 1 x 1 image.
    elements : sequence of str or None
        Elements of the sample; ``None`` takes those of the image.
    edges : sequence of str
        Edges to fit by name, such as ``"Ti_L"`` or ``"Ti_L23"``; without elements these alone.
    low_loss : SpectrumImage or None
        The low loss of the same area, with the zero loss at 0 eV: plural scattering is folded in, and atoms are counted
        per nm^2. ``None`` takes single scattering: ratios hold for thin samples.
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
        When the image is not EELS in eV, nothing is named, an edge is not known or not recorded, or the low loss does
        not hold the zero loss.

    Examples
    --------
    >>> import bayesspec as bs
    >>> fit = bs.fit_edges(bs.simulate.eels_edges(2000, 16, seed=0), ["C", "Ti", "O"])
    >>> fit.ratio("C_K", "O_K").mean.dims
    ()
    """
    if draws < 2:
        raise InputError(f"draws={draws}", "two or more", "bs.fit_edges(si, draws=100)")
    onsets = chosen_edges(image, elements, edges)
    recorded, image = image, poisson_counts(image)
    design, spans = edge_design(image, onsets)
    counts = image.sum_spectrum()[design.channels]
    fit = fit_intensities(design.matrix, counts)
    own = seed_for(seed, recorded.checksum)
    drawn = _refits(design.matrix, fit, spans, np.random.default_rng(own), draws)
    others = fit.intensities[None, spans[-1][1] :]
    misfit = float(np.mean((counts - fit.rate) ** 2 / np.maximum(fit.rate, 1.0)))
    acquisition = asdict(image.acquisition)
    settings = {"seed": seed, "draws": draws, "model": MODEL, "prior": PRIOR, "acquisition": acquisition}
    densities, frame, more = _densities(image, onsets, low_loss, _incident(recorded, image, low_loss), own)
    return EdgeFit.from_values(
        {
            "intensity_draws": (drawn, {"units": f"counts within {WINDOW_EV:.0f} eV"}),
            "other_draws": np.repeat(others, draws, axis=0),
            "counts": counts,
            "rate": fit.rate,
            **densities,
        },
        replace(frame, checksum=recorded.checksum).with_coords(
            line=list(onsets),
            onset=("line", list(onsets.values()), {"units": "eV"}),
            other=list(design.backgrounds),
            energy=("energy", design.energy, {"units": image.energy_unit}),
        ),
        name=image.name,
        method="Poisson edge fit",
        verdict=f"{len(onsets)} edges" + _note(misfit) + _section_note(more.get("section_misfit", 1.0)),
        status=Status.CONVERGED if fit.converged else Status.NOT_SETTLED,
        settings=with_steps(settings, Step.CENTRED, *([Step.POSITIVE] if densities else [])),
        attrs={"misfit": misfit, "acquisition": json.dumps(acquisition)} | more,
    )


def _densities(
    image: SpectrumImage,
    onsets: dict[str, float],
    low_loss: SpectrumImage | None,
    incident: tuple[float, str],
    seed: int,
) -> tuple[dict[str, Any], Frame, dict[str, Any]]:
    """Atoms per area of the edges that have a cross section; what stands against it goes into an attribute."""
    try:
        found = fit_core_loss(image, onsets, low_loss)
    except InputError as error:
        if low_loss is not None:
            raise
        return {}, Frame(), {"areal": 0, "no_sections": error.found}
    rng = np.random.default_rng([seed, 1])
    drawn = rng.multivariate_normal(found.density, found.covariance, DENSITY_DRAWS) / incident[0]
    values = {
        "density_draws": np.maximum(drawn, 0.0),
        "density_parts": np.stack([found.shot_noise, found.covariance - found.shot_noise]) / incident[0] ** 2,
        "section_rate": found.rate,
    }
    coords = {
        "edge": list(found.edges),
        "other_edge": list(found.edges),
        "part": ["counts", "background"],
        "edge_onset": ("edge", list(found.onsets), {"units": "eV"}),
        "section_energy": ("section_energy", found.energy, {"units": "eV"}),
    }
    attrs = {
        "areal": int(low_loss is not None),
        "no_sections": "",
        "section_misfit": found.dispersion,
        "incident": incident[1],
    }
    return values, Frame(coords), attrs


def _section_note(misfit: float) -> str:
    if misfit <= EDGE_MISFIT:
        return ""
    return (
        f"; densities: the deviations are {np.sqrt(misfit):.2g} times those of Poisson counts, and their intervals are "
        "that much wider"
    )


def _incident(recorded: SpectrumImage, image: SpectrumImage, low_loss: SpectrumImage | None) -> tuple[float, str]:
    """Electrons of the core loss for one count of the low loss, and what was assumed."""
    if low_loss is None:
        return 1.0, "no low loss: ratios of densities only, single scattering"
    events = float(image.sum_spectrum().sum()) / max(float(recorded.sum_spectrum().sum()), 1e-300)
    times = [one.acquisition.live_time_s for one in (image, low_loss)]
    if times[0] is None or times[1] is None:
        return events, "the low loss is taken to have the exposure of the core loss"
    return events * times[0] / times[1], f"exposures {times[0]:g} s and {times[1]:g} s"


def _refits(
    matrix: Floats, fit: PoissonLineFit, spans: Sequence[tuple[int, int]], rng: np.random.Generator, n: int
) -> Floats:
    """Counts of the edges in refits of counts drawn from the fit, moved so that their mean is the fit's."""

    def edges(found: PoissonLineFit) -> Floats:
        return np.array([found.intensities[first:end].sum() for first, end in spans])

    drawn = np.stack([edges(fit_intensities(matrix, rng.poisson(fit.rate), fit.intensities)) for _ in range(n)])
    return np.maximum(drawn - drawn.mean(axis=0) + edges(fit), 0.0)


def _note(misfit: float) -> str:
    if misfit < EDGE_MISFIT:
        return ""
    return (
        f"; the deviations are {np.sqrt(misfit):.2g} times those of Poisson counts: what the edges' shapes do not "
        "describe is left out of the intervals, do not rely on them"
    )
