"""Spectra that are known before the unmixing: backgrounds of known shape, and components measured elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesspec.errors import InputError
from bayesspec.image.checks import real_values
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.results.component import Component

EXPONENTS = (2.0, 2.5, 3.0, 3.5)
"""Exponents r of the power laws E^-r whose mixtures describe the background of an EELS spectrum locally."""
ABSORPTION_KEV = (0.2, 0.6, 1.2)
"""Energies below which bremsstrahlung is absorbed, for three shapes that span windows and samples."""
Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class KnownSpectra:
    """Spectra that stay as they are in the fit.

    Parameters
    ----------
    components : array, shape (component, energy), float64
        Known components, each summing to 1 over the channels in use.
    background : array, shape (background, energy), float64
        Shapes of the background, each summing to 1 over the channels in use.
    what : str
        What the background is, for the provenance; empty when there is none.
    expected : array, shape (component, energy), float64
        Spectra known with an uncertainty, each summing to 1 over the channels in use.
    counts : tuple of float
        Number of counts that each of these is worth.
    """

    components: Array
    background: Array
    what: str
    expected: Array
    counts: tuple[float, ...]

    @property
    def all(self) -> Array:
        """Components, then the background: array (spectrum, energy), float64."""
        return np.concatenate([self.components, self.background])

    def mixed(self, background: npt.NDArray[np.floating], channels: npt.NDArray[np.bool_]) -> KnownSpectra:
        """Replace the shapes of the background by one mixture of them.

        Parameters
        ----------
        background : array, shape (used channel,), float
            The mixture, summing to one.
        channels : array, shape (energy,), bool
            Channels in use.

        Returns
        -------
        KnownSpectra
            The same components with this background.
        """
        shape = np.zeros((1, len(channels)))
        shape[0, channels] = background
        return replace(self, background=shape, what=f"{self.what}: one mixture of {len(self.background)} shapes")

    def seen(self, channels: npt.NDArray[np.bool_]) -> tuple[tuple[float, ...], ...]:
        """Counts per channel that the spectra known with an uncertainty are worth, on the channels in use."""
        return tuple(tuple(n * row[channels]) for n, row in zip(self.counts, self.expected, strict=True))


def known_spectra(
    image: SpectrumImage,
    spectra: npt.ArrayLike | None,
    background: str | npt.ArrayLike | None,
    prior_from: Component | Sequence[Component] | None = None,
) -> KnownSpectra:
    """Collect what is known, on the channels of an image.

    Parameters
    ----------
    image : SpectrumImage
        The image to be unmixed.
    spectra : array, shape (component, energy) or (energy,), or None
        Known spectra of components, in any scale.
    background : {"power_law", "bremsstrahlung"}, array of shape (background, energy) or (energy,), or None
        A background by name, or its shapes in any scale.
    prior_from : Component, sequence of Component, or None
        Components of other fits that are expected here.

    Returns
    -------
    KnownSpectra
        Zero in excluded channels.

    Raises
    ------
    InputError
        When a name is not known, does not fit the axis, or an array has the wrong shape or negative entries.
    """
    components = _given(image, spectra, "spectra")
    given: Any = [] if prior_from is None else prior_from
    priors: list[Component] = list(given) if isinstance(given, list | tuple) else [given]
    wrong = [type(prior).__name__ for prior in priors if not isinstance(prior, Component)]
    if wrong:
        raise InputError(f"prior_from of type {wrong[0]}", "components of other fits", "prior_from=fit.component(0)")
    expected = _given(image, [prior.on(image.energy) for prior in priors] if priors else None, "prior_from")
    counts = tuple(prior.counts for prior in priors)
    if isinstance(background, str):
        shapes = {"power_law": power_laws, "bremsstrahlung": bremsstrahlung_shapes}
        if background not in shapes:
            raise InputError(
                f"background={background!r}",
                "'power_law', 'bremsstrahlung', None, or an array of shapes (background, energy)",
                "bs.unmix(si, 4, background='power_law')",
            )
        return KnownSpectra(components, _normalised(image, shapes[background](image)), background, expected, counts)
    shapes_given = _given(image, background, "background")
    words = f"{len(shapes_given)} given" if len(shapes_given) else ""
    return KnownSpectra(components, shapes_given, words, expected, counts)


def power_laws(image: SpectrumImage) -> Array:
    """Power laws E^-r, mixtures of which follow a background whose exponent varies over the image.

    Parameters
    ----------
    image : SpectrumImage
        An image with positive energies.

    Returns
    -------
    array, shape (4, energy), float64
        Exponents 2, 2.5, 3 and 3.5, in any scale.

    Raises
    ------
    InputError
        When an energy is not positive.

    Notes
    -----
    Source: Egerton, Rep. Prog. Phys. 72 (2009) 016502, doi:10.1088/0034-4885/72/1/016502, the background of EELS.
    """
    energy = _positive(image, "power_law")
    return np.stack([(energy / energy.max()) ** -r for r in EXPONENTS])


def bremsstrahlung_shapes(image: SpectrumImage) -> Array:
    """Kramers' bremsstrahlung with three strengths of absorption at low energies.

    Parameters
    ----------
    image : SpectrumImage
        An EDS image with energies in keV and a beam energy.

    Returns
    -------
    array, shape (3, energy), float64
        (E0 - E) / E exp(-(a / E)^3) with a = 0.2, 0.6 and 1.2 keV, in any scale.

    Raises
    ------
    InputError
        When the beam energy is not known, or the energies are not positive or not in keV.

    Notes
    -----
    Source: Kramers, Phil. Mag. 46 (1923) 836, doi:10.1080/14786442308565244.
    """
    beam = image.acquisition.beam_energy_kev
    if beam is None or image.energy_unit != "keV":
        raise InputError(
            f"beam energy {beam} keV, energies in {image.energy_unit}",
            "an EDS image with a beam energy and energies in keV",
            "bs.load(path, beam_energy_kev=200) or background=array",
        )
    energy = _positive(image, "bremsstrahlung")
    kramers = np.clip(beam - energy, 0.0, None) / energy
    return np.stack([kramers * np.exp(-((a / energy) ** 3)) for a in ABSORPTION_KEV])


def _positive(image: SpectrumImage, name: str) -> Array:
    """Energies, those of excluded channels replaced where they are not positive."""
    used = image.energy[image.valid_channels]
    if not (used > 0).all():
        raise InputError(
            f"background={name!r} on an axis from {used.min():.4g} {image.energy_unit}",
            "positive energies",
            f"si.crop(energy=({float(np.abs(np.diff(used)).min()):.3g}, {used.max():.4g}))",
        )
    return np.where(image.energy > 0, image.energy, used.min()).astype(np.float64)


def _given(image: SpectrumImage, values: npt.ArrayLike | None, name: str) -> Array:
    channels = image.shape[2]
    if values is None:
        return np.zeros((0, channels))
    do = f"bs.unmix(si, 4, {name}=array)"
    array = np.atleast_2d(real_values(name, values, "spectra of shape (n, energy)", do))
    right = array.ndim == 2 and array.shape[1] == channels
    used = array[:, image.valid_channels] if right else array
    if not right or not np.isfinite(used).all() or (used < 0).any() or (used.sum(axis=1) <= 0).any():
        raise InputError(
            f"{name} of shape {array.shape} with a smallest entry of {array.min(initial=np.inf):.3g}",
            f"finite non-negative spectra of shape (n, {channels}), none of them empty",
            do,
        )
    return _normalised(image, array)


def _normalised(image: SpectrumImage, values: Array) -> Array:
    used = np.where(image.valid_channels, values, 0.0)
    return np.asarray(used / used.sum(axis=1, keepdims=True), np.float64)
