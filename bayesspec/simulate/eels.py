"""Four core-loss edges on a power-law background, spread over the sample like four pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter
from scipy.special import ndtr

from bayesspec.files.public_arguments import checked_arguments
from bayesspec.image.spectrum_image import Acquisition, SpectrumImage
from bayesspec.simulate.counting import check_sample, count
from bayesspec.simulate.pictures import PICTURES, pictures

Array = npt.NDArray[np.float64]
EDGES = ("C_K", "Ti_L", "Sr_L", "O_K")
EDGE_ENERGIES_EV = (284.0, 456.0, 1940.0, 532.0)
"""Onsets of the edges, in eV."""
_ENERGY_EV: Array = np.asarray(200.0 + 2.0 * np.arange(1024), np.float64)
"""Channels of the simulated spectrometer, in eV: 1024 of 2 eV."""
_ACQUISITION = Acquisition("EELS", beam_energy_kev=200.0)
_BACKGROUND_SHARE = 0.55
"""Share of the counts that lies under the edges."""
_BACKGROUND_POWERS = (2.9, 2.6, 2.3, 2.75)
"""Exponents with which the background of each material falls."""
_EDGE_POWERS = (3.2, 3.5, 3.0, 3.3)
"""Exponents with which each edge falls."""
_ONSET_EV = (4.0, 4.0, 9.0, 4.0)
"""Standard deviations of the blur of each onset, in eV."""
_PEAKS: tuple[tuple[tuple[float, float, float], ...], ...] = (
    ((3.0, 4.0, 0.5), (20.0, 13.0, 0.5)),
    ((3.0, 4.0, 1.6), (9.0, 4.0, 1.1)),
    ((9.0, 9.0, 0.8), (70.0, 10.0, 0.5)),
    ((5.0, 6.0, 0.8), (28.0, 13.0, 0.4)),
)
"""Near-edge peaks of each edge: distance from the onset and width, in eV, and height relative to the step."""
_FILM = 0.04
"""Least abundance of carbon, as a share of the largest: the film that covers everything."""


@checked_arguments()
def eels_edges(
    counts_per_pixel: float = 2000,
    size: int = 134,
    *,
    seed: int,
    noise: str = "poisson",
) -> SpectrumImage:
    """Simulate core losses of C, Ti, Sr and O whose maps are a guitar, drums, a piano and a microphone.

    It stands for an EELS spectrum image of 134 x 134 pixels and 1024 channels of 2 eV from 200 eV: edges of
    C K (284 eV), Ti L (456 eV), O K (532 eV) and Sr L (1940 eV), each on the power-law background of its own
    material, which holds 55 % of the counts. A thin carbon film covers everything, so no pixel is empty.

    Parameters
    ----------
    counts_per_pixel : float
        Mean number of counts of a pixel's spectrum; any dose.
    size : int
        Number of pixels along y and along x, at least 16.
    seed : int
        Seed of the noise; the sample is always the same.
    noise : {"poisson", "none"}
        Poisson counts, or the clean image: the expected counts rounded to whole counts, since an image holds
        counts. At 1e8 counts per pixel the rounding is below 1e-4 of the counts of a channel nearly everywhere;
        the exact expectation is ``truth["abundances"] @ truth["spectra"]``.

    Returns
    -------
    SpectrumImage
        Counts, energies in eV; ``truth`` holds ``abundances`` (y, x, component) in expected counts, ``spectra``
        (component, energy) summing to 1, ``edges`` (component, energy), the part of the spectra above their
        background, ``components`` and ``pictures``.

    Raises
    ------
    InputError
        When the dose is not positive, the size is below 16 or the noise is not known.
    """
    check_sample("eels_edges", counts_per_pixel, (size, size), noise)
    maps = gaussian_filter(np.moveaxis(pictures(size), 0, 2), (0.6, 0.6, 0))
    maps[..., 0] = _FILM + (1 - _FILM) * maps[..., 0]
    maps = maps / maps.mean(axis=(0, 1))
    truth = _truth() | {"abundances": counts_per_pixel * maps / maps.sum(axis=2).mean()}
    counts = count(np.random.default_rng(seed), truth["abundances"], truth["spectra"], noise)
    return SpectrumImage(
        counts,
        energy=_ENERGY_EV,
        energy_unit="eV",
        pixel_size=(1.0, 1.0),
        pixel_unit="nm",
        elements=tuple(edge.split("_")[0] for edge in EDGES),
        acquisition=_ACQUISITION,
        name=f"EELS edges, {counts_per_pixel:g} counts/pixel",
        truth=truth,
    )


def _truth() -> dict[str, Any]:
    edges = np.stack([_edge(i) for i in range(len(EDGES))])
    backgrounds = np.stack([_ENERGY_EV**-power for power in _BACKGROUND_POWERS])
    edges *= (1 - _BACKGROUND_SHARE) / edges.sum(axis=1, keepdims=True)
    backgrounds *= _BACKGROUND_SHARE / backgrounds.sum(axis=1, keepdims=True)
    return {"spectra": edges + backgrounds, "edges": edges, "components": EDGES, "pictures": PICTURES}


def _edge(i: int) -> Array:
    """A blurred step that falls off as a power of the energy, with its near-edge peaks."""
    above = _ENERGY_EV - EDGE_ENERGIES_EV[i]
    edge = ndtr(above / _ONSET_EV[i]) * (_ENERGY_EV / EDGE_ENERGIES_EV[i]) ** -_EDGE_POWERS[i]
    for distance, width, height in _PEAKS[i]:
        edge = edge + height * np.exp(-0.5 * ((above - distance) / width) ** 2)
    return edge
