"""What the caller knows better than the file: axis, pixels, elements, beam and detector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from bayesspec.errors import InputError
from bayesspec.files.frames import Frames
from bayesspec.files.hyperspy_signal import Axis
from bayesspec.image.checks import checked_elements, checked_pixel_size, checked_unit
from bayesspec.image.spectrum_image import SpectrumImage

IN_EV = {"eV": 1.0, "keV": 1e3}
"""Units of energy, in eV."""
_ACQUIRED = {"beam_energy": "beam_energy_kev", "live_time": "live_time_s", "resolution": "resolution_mn_ka_ev"}


@dataclass(frozen=True, eq=False)
class Stated:
    """What is stated by hand; ``None`` leaves what the file says.

    Parameters
    ----------
    energy_unit : {"keV", "eV", "nm"} or None
        Unit of the file's energy axis, and of scale and offset.
    energy_scale, energy_offset : float or None
        Width of a channel, and energy of the first one.
    pixel_size : float, (float, float) or None
        Size of a pixel along (y, x).
    pixel_unit : str or None
        Unit of `pixel_size`, nm where it is ``None``.
    elements : sequence of str or None
        Chemical symbols.
    mask : array, shape (y, x) or (energy,), bool, or None
        ``True`` where a pixel or channel is excluded.
    beam_energy, live_time, resolution : float or None
        Beam energy in keV, live time of the whole image in s, width of an X-ray detector at Mn Ka in eV.
    gain, offset, read_noise : float or None
        What a camera made of electrons, in counts of the file.
    frames : "all", int, slice, sequence of int, or None
        Frames of a stack to sum.
    """

    energy_unit: str | None = None
    energy_scale: float | None = None
    energy_offset: float | None = None
    pixel_size: float | tuple[float, float] | None = None
    pixel_unit: str | None = None
    elements: Sequence[str] | None = None
    mask: npt.ArrayLike | None = None
    beam_energy: float | None = None
    live_time: float | None = None
    resolution: float | None = None
    gain: float | None = None
    offset: float | None = None
    read_noise: float | None = None
    frames: Frames = None

    def axis(self, axis: Axis) -> Axis:
        """Put a stated axis in the place of a file's.

        Parameters
        ----------
        axis : Axis
            The energy axis of the file.

        Returns
        -------
        Axis
            Energies by the stated scale and offset, in the stated unit or that of the file.
        """
        unit = axis.unit if self.energy_unit is None else checked_unit(self.energy_unit)
        if self.energy_scale is None and self.energy_offset is None:
            return replace(axis, unit=unit)
        n = len(axis.values)
        scale = axis.step or 1.0 if self.energy_scale is None else self.energy_scale
        offset = float(axis.values[0]) if self.energy_offset is None else self.energy_offset
        return replace(axis, unit=unit, values=np.asarray(offset + scale * np.arange(n), np.float64))

    def completed(self, image: SpectrumImage, *, axis: bool = False) -> SpectrumImage:
        """Put what is stated into an image.

        Parameters
        ----------
        image : SpectrumImage
            What the file says.
        axis : bool
            Whether the stated axis is not in it yet.

        Returns
        -------
        SpectrumImage
            The image with what is stated.

        Raises
        ------
        InputError
            When something stated cannot be.
        """
        if axis and (self.energy_scale is not None or self.energy_offset is not None):
            unit = self.energy_unit or image.energy_unit
            found = Axis("energy", unit, in_unit(Axis("energy", image.energy_unit, image.energy), unit))
            image = image.changed(energy=in_unit(self.axis(found), image.energy_unit))
        if self.elements is not None:
            image = image.changed(elements=checked_elements(self.elements))
        if self.pixel_size is not None:
            size = checked_pixel_size((self.pixel_size,) * 2 if np.ndim(self.pixel_size) == 0 else self.pixel_size)  # type: ignore[arg-type]
            image = image.changed(pixel_size=size, pixel_unit=self.pixel_unit or "nm")
        acquired = {field: getattr(self, name) for name, field in _ACQUIRED.items() if getattr(self, name) is not None}
        if acquired:
            image = image.changed(acquisition=replace(image.acquisition, **acquired))
        return image if self.mask is None else image.with_mask(self.mask)


STATED = tuple(field.name for field in fields(Stated))
"""What can be stated."""


def in_unit(axis: Axis, unit: str) -> npt.NDArray[np.float64]:
    """Values of an axis in another unit of energy.

    Parameters
    ----------
    axis : Axis
        Energies in keV or eV, or wavelengths in nm.
    unit : str
        The unit that is wanted.

    Returns
    -------
    array, shape (energy,), float64
        The values.

    Raises
    ------
    InputError
        When the one is a wavelength and the other is not.
    """
    if axis.unit == unit:
        return axis.values
    if not {axis.unit, unit} <= set(IN_EV):
        raise InputError(f"an axis in {axis.unit or 'no unit'}", f"one in {unit}", f"energy_unit={unit!r}")
    return axis.values * (IN_EV[axis.unit] / IN_EV[unit])


def as_stated(given: Mapping[str, object], resolution_mn_ka_ev: float | None) -> Stated:
    """Collect the arguments of a loading function.

    Parameters
    ----------
    given : mapping
        The fields of `Stated`.
    resolution_mn_ka_ev : float or None
        The resolution under its long name.

    Returns
    -------
    Stated
        All of them.

    Raises
    ------
    InputError
        When the resolution is given twice.
    """
    stated = Stated(**given)  # type: ignore[arg-type]
    if resolution_mn_ka_ev is None:
        return stated
    if stated.resolution is not None:
        found = f"resolution={stated.resolution} and resolution_mn_ka_ev={resolution_mn_ka_ev}"
        raise InputError(found, "one of them: both are the width at Mn Ka, in eV", f"resolution={stated.resolution}")
    return replace(stated, resolution=resolution_mn_ka_ev)
