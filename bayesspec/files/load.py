"""Files and HyperSpy signals in and out. The optional packages (GPL) are imported here only, where needed.

Files are opened by the readers of rosettasciio, in a process of their own; HyperSpy itself is needed only by
`to_hyperspy`. Its words: factors are spectra, loadings are abundances, navigation is (y, x) and signal is energy.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from bayesspec.errors import InputError, MissingExtraError, warn
from bayesspec.files.calibration import spectrum_image
from bayesspec.files.completeness import check_complete
from bayesspec.files.edax import is_edax
from bayesspec.files.file_problems import empty_file, named_errors
from bayesspec.files.frames import Frames
from bayesspec.files.hyperspy_signal import from_object
from bayesspec.files.image_reading import read_nc, read_npz
from bayesspec.files.labelled_signal import to_dictionary
from bayesspec.files.paths import existing_file
from bayesspec.files.public_arguments import checked_arguments
from bayesspec.files.reader_process import Request, read_list, read_signal
from bayesspec.files.signal_choice import Picked
from bayesspec.files.stated import STATED, Stated, as_stated
from bayesspec.image.spectrum_image import SpectrumImage

READERS: dict[str, Callable[..., tuple[SpectrumImage, list[str]]]] = {".npz": read_npz, ".nc": read_nc}
"""Readers by the ending of a file: path and unit of energy in, the image and what had to be guessed out."""
_FOLDERS = (".zspy",)
_PREFERRED = {"hdf5": "HSPY"}
_OWN_PLUGINS: tuple[Mapping[str, Any], ...] = (
    {"name": "Oxford", "api": "bayesspec.files.oxford", "file_extensions": ["h5oina"]},
    {"name": "EDAX APEX", "api": "bayesspec.files.edax", "file_extensions": ["edaxh5"]},
)
"""Readers of formats that rosettasciio lacks, in the form of its own."""
_SPECTRAL = ".bcf .emd .hspy .zspy .pts .dm3 .dm4 .msa .emsa .spx .spd .rpl .elid .h5oina .edaxh5 .npz .nc"


@checked_arguments()
def load(
    path: str | os.PathLike[str],
    *,
    elements: Sequence[str] | None = None,
    signal: int | str | Sequence[int] | None = None,
    mask: npt.ArrayLike | None = None,
    energy_unit: str | None = None,
    energy_scale: float | None = None,
    energy_offset: float | None = None,
    pixel_size: float | tuple[float, float] | None = None,
    pixel_unit: str | None = None,
    beam_energy: float | None = None,
    live_time: float | None = None,
    resolution: float | None = None,
    resolution_mn_ka_ev: float | None = None,
    gain: float | None = None,
    offset: float | None = None,
    read_noise: float | None = None,
    frames: Frames = None,
    reader: str | None = None,
    reader_options: Mapping[str, Any] | None = None,
) -> SpectrumImage:
    """Open a spectrum image: .bcf, .emd, .hspy, .pts, .dm3, .dm4, .msa, .h5oina, .edaxh5..., .npz or .nc.

    A file of several signals gives its spectrum image; `signals` lists them all.

    Parameters
    ----------
    path : path
        One file; brackets and asterisks are part of the name.
    elements : sequence of str or None
        Chemical symbols of the elements expected; ``None`` for those that the file states.
    signal : int, str, sequence of int, or None
        Index or title of the signal to take, where the file holds several; several indices are summed, as those of
        several detectors. Detectors of one scan are summed where none is asked for.
    mask : array, shape (y, x) or (energy,), bool, or None
        ``True`` where a pixel or channel is excluded, in addition to what the file excludes.
    energy_unit : {"keV", "eV", "nm"} or None
        Unit of the file's energy axis; ``None`` for the one that the file states.
    energy_scale, energy_offset : float or None
        Width of a channel and energy of the first one, in `energy_unit` or the unit of the file; ``None`` for those
        of the file.
    pixel_size : float, (float, float) or None
        Size of a pixel along (y, x), in `pixel_unit`; ``None`` for that of the file.
    pixel_unit : str or None
        Unit of `pixel_size`; nm where not given.
    beam_energy, live_time : float or None
        Beam energy in keV, and live time of the whole image in s; ``None`` for those of the file.
    resolution, resolution_mn_ka_ev : float or None
        Full width at half maximum of the X-ray detector at Mn Ka, in eV; ``None`` for what the file states.
    gain, offset, read_noise : float or None
        Counts of the data per electron, value where none came, and standard deviation of the read-out of a camera, in
        counts of the data. ``None`` finds them where energy losses are no whole numbers; see `camera_noise`.
    frames : "all", int, slice, sequence of int, or None
        Frames of a stack (frame, y, x, energy) to sum, aligned by whole pixels.
    reader : str or None
        Name of the rosettasciio reader, for endings that several readers share.
    reader_options : mapping or None
        Keyword arguments of that reader, such as ``{"rebin_energy": 2}``.

    Returns
    -------
    SpectrumImage
        Counts (y, x, energy), uint8, uint16 or uint32; energy in keV (EDS) or eV (EELS).

    Raises
    ------
    InputError
        When there is no such file, no reader for it, no spectrum in it, or its values are no counts, all 0, or fewer
        than it states.
    MissingExtraError
        When rosettasciio, or a package that its reader needs, is not installed.

    Warns
    -----
    UserWarning
        When the unit of energy or the kind of spectrum had to be guessed, or values were turned into counts.

    Examples
    --------
    >>> import bayesspec as bs
    >>> path = bs.save_image(bs.simulate.iron_oxides(300, (12, 12), seed=0), "scan.npz")
    >>> bs.load(path).shape[:2]
    (12, 12)
    """
    given = locals()
    several = isinstance(signal, list | tuple) and signal and all(isinstance(one, int) for one in signal)
    if not several and (not isinstance(signal, int | str | None) or isinstance(signal, bool)):
        raise InputError(f"signal={signal!r}", "the number or title of a signal", "bs.signals(path), which lists them")
    stated = as_stated({name: given[name] for name in STATED}, resolution_mn_ka_ev)
    file = existing_file(path, folders=_FOLDERS)
    guesses: list[str] = []
    if file.suffix.lower() in READERS and reader is None:
        image, guesses = _read_own(file, stated)
        image = stated.completed(image, axis=True)
    else:
        chosen = read_signal(_request(file, reader, reader_options or {}, signal))
        if np.size(chosen.data) == 0:
            raise empty_file(file)
        image, guesses = spectrum_image(chosen, name=file.stem, stated=stated)
    if not image.stored.any():
        raise empty_file(file)
    for sentence in guesses:
        warn(f"{file.name}: {sentence}")
    return image


@checked_arguments()
def signals(path: str | os.PathLike[str], *, reader: str | None = None) -> list[str]:
    """List the signals of a file, one line each.

    Parameters
    ----------
    path : path
        The file.
    reader : str or None
        Name of the rosettasciio reader, for endings that several readers share.

    Returns
    -------
    list of str
        Index, title, pixels, channels with their energies, counts, signal type and dtype of each.

    Raises
    ------
    InputError
        When there is no such file or no reader for it.
    MissingExtraError
        When rosettasciio, or a package that its reader needs, is not installed.

    Examples
    --------
    >>> import bayesspec as bs
    >>> path = bs.save_image(bs.simulate.iron_oxides(300, (12, 12), seed=0), "listed.npz")
    >>> len(bs.signals(path))
    1
    """
    file = existing_file(path, folders=_FOLDERS)
    if file.suffix.lower() in READERS and reader is None:
        return [f"[0] {_read_own(file, Stated())[0]!r}"]
    return read_list(_request(file, reader, {}))


@checked_arguments()
def from_hyperspy(
    signal: Any,
    *,
    elements: Sequence[str] | None = None,
    mask: npt.ArrayLike | None = None,
    energy_unit: str | None = None,
    energy_scale: float | None = None,
    energy_offset: float | None = None,
    pixel_size: float | tuple[float, float] | None = None,
    pixel_unit: str | None = None,
    beam_energy: float | None = None,
    live_time: float | None = None,
    resolution: float | None = None,
    resolution_mn_ka_ev: float | None = None,
    gain: float | None = None,
    offset: float | None = None,
    read_noise: float | None = None,
    frames: Frames = None,
) -> SpectrumImage:
    """Take over a HyperSpy signal in memory.

    Parameters
    ----------
    signal : hyperspy.signals.BaseSignal
        With one energy axis and at most two others. Lazy signals are computed.
    elements : sequence of str or None
        Chemical symbols of the elements expected; ``None`` for those of the metadata.
    mask : array, shape (y, x) or (energy,), bool, or None
        ``True`` where a pixel or channel is excluded.
    energy_unit : {"keV", "eV", "nm"} or None
        Unit of the energy axis; ``None`` for the one that it states.
    energy_scale, energy_offset : float or None
        Width of a channel and energy of the first one, in `energy_unit` or the unit of the metadata; ``None`` for those
        of the metadata.
    pixel_size : float, (float, float) or None
        Size of a pixel along (y, x), in `pixel_unit`; ``None`` for that of the metadata.
    pixel_unit : str or None
        Unit of `pixel_size`; nm where not given.
    beam_energy, live_time : float or None
        Beam energy in keV, and live time of the whole image in s; ``None`` for those of the metadata.
    resolution, resolution_mn_ka_ev : float or None
        Full width at half maximum of the X-ray detector at Mn Ka, in eV; ``None`` for that of the metadata.
    gain, offset, read_noise : float or None
        Counts of the data per electron, value where none came, and standard deviation of the read-out of a camera, in
        counts of the data. ``None`` finds them where energy losses are no whole numbers; see `camera_noise`.
    frames : "all", int, slice, sequence of int, or None
        Frames of a stack (frame, y, x, energy) to sum, aligned by whole pixels.

    Returns
    -------
    SpectrumImage
        Counts (y, x, energy), uint8, uint16 or uint32, copied; energy in keV (EDS) or eV (EELS).

    Raises
    ------
    InputError
        When it is no signal, has no energy axis or more than two others, or its values are no counts.

    Warns
    -----
    UserWarning
        When the unit of energy or the kind of spectrum had to be guessed, or values were turned into counts.

    Examples
    --------
    >>> import bayesspec as bs
    >>> si = bs.from_hyperspy(signal)  # doctest: +SKIP
    """
    given = locals()
    stated = as_stated({name: given[name] for name in STATED}, resolution_mn_ka_ev)
    image, guesses = spectrum_image(from_object(signal), name="spectrum image", stated=stated)
    for sentence in guesses:
        warn(sentence)
    return image


def to_hyperspy(array: xr.DataArray | SpectrumImage) -> Any:
    """Hand a labelled array to HyperSpy.

    Parameters
    ----------
    array : xarray.DataArray or SpectrumImage
        Any dims. ``energy`` becomes the signal axis; without it, ``y`` and ``x`` do.

    Returns
    -------
    hyperspy.signals.Signal1D, Signal2D or BaseSignal
        Signal with the names, units, scales and offsets of the coordinates.

    Raises
    ------
    InputError
        When it is neither.
    MissingExtraError
        When hyperspy is not installed.

    Examples
    --------
    >>> import bayesspec as bs
    >>> signal = bs.to_hyperspy(si)  # doctest: +SKIP
    """
    if isinstance(array, SpectrumImage):
        array = array.to_xarray()
    if not isinstance(array, xr.DataArray):
        raise InputError(
            f"a {type(array).__name__}", "a labelled array or an image", 'bs.to_hyperspy(fit.spectra["mean"])'
        )
    try:
        from hyperspy import signals as kinds
    except ImportError as error:
        raise MissingExtraError("hyperspy", "for HyperSpy signals", "io") from error
    kind, contents = to_dictionary(array)
    return getattr(kinds, kind)(**contents)


def _read_own(file: Path, stated: Stated) -> tuple[SpectrumImage, list[str]]:
    read = READERS[file.suffix.lower()]
    more = {"stated": stated} if read in (read_npz, read_nc) else {}
    with named_errors(file, file.suffix[1:]):
        return read(file, stated.energy_unit, **more)


def _request(file: Path, reader: str | None, options: Mapping[str, Any], picked: Picked = None) -> Request:
    plugin = _plugin(file, reader)
    check_complete(file)
    return Request(file, plugin["name"], plugin["api"], options, picked)


def _plugin(file: Path, reader: str | None) -> Mapping[str, Any]:
    ending = file.suffix[1:].lower()
    for own in _OWN_PLUGINS:
        if reader == own["name"] or (reader is None and ending in own["file_extensions"]):
            return own
    if reader is None and ending in ("h5", "hdf5") and is_edax(file):
        return _OWN_PLUGINS[1]
    try:
        from rsciio import IO_PLUGINS
    except ImportError as error:
        raise MissingExtraError("rosettasciio", f"to read {file.suffix} files", "io") from error
    every = {one["name"]: one for one in (*IO_PLUGINS, *_OWN_PLUGINS)}
    able = [name for name, one in every.items() if ending in map(str.lower, one["file_extensions"])]
    if reader is None and (len(able) == 1 or ending in _PREFERRED):
        return every[_PREFERRED.get(ending, able[0])]
    if reader in every:
        return every[reader]
    if reader is None and able:
        raise InputError(
            f"{file.name!r}, which {len(able)} readers claim: {', '.join(able)}",
            "the name of one of them",
            f"bs.load(path, reader={able[0]!r})",
        )
    asked = "" if reader is None else f" of the name {reader!r}"
    raise InputError(
        f"{file.name!r}, for which there is no reader{asked}",
        f"a file that ends in {_SPECTRAL}, or reader= one of {', '.join(sorted(every))}",
        "bs.SpectrumImage(counts, energy=energy) for an array of your own",
    )
