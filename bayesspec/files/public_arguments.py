"""The one door of the public functions: what an argument may be is told by its name, in one table."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ParamSpec, TypeVar, cast

import numpy as np
import xarray as xr

from bayesspec.errors import InputError, Interrupted, warn
from bayesspec.files.calibration import spectrum_image
from bayesspec.files.hyperspy_signal import from_object
from bayesspec.image.arguments import (
    checked_flag,
    checked_integer,
    checked_names,
    checked_prob,
    checked_range,
    checked_real,
    checked_seed,
)
from bayesspec.image.checks import checked_elements, real_values
from bayesspec.image.spectrum_image import SpectrumImage

MOST = 1_000_000
"""Largest number of draws, steps or sweeps: more are a slip of the finger, and would run for days."""
MOST_COUNTS = 2.0**31
"""Largest number of counts in a pixel: what an image can hold in a channel."""
MOST_PIXELS = 2**26
"""Largest number of pixels of a simulated image."""
Checker = Callable[[Any], Any]
Own = Checker | type[Any] | tuple[type[Any], ...] | list[type[Any]] | None
_MADE_BY = {
    "Comparison": "bs.compare(si, [fit, bs.classical.svd(si, 4)])",
    "Dataset": "bs.select_rank(si), or bs.check(fit, si)",
    "DosePlan": "bs.plan_dose(ratios=(0.783, 0.698))",
    "KRatios": "bs.k_ratios(si, standards)",
    "LineFit": "bs.fit_lines(si)",
    "Frame": "Frame.of(si)",
    "LineMaps": "bs.element_maps(si, lines=['Fe_Ka', 'O_Ka'])",
    "Mapping": "dict(name=value)",
    "PrincipalComponents": "bs.pca(si)",
    "Result": "bs.segment(maps), bs.unmix(si, rank=4), or another result",
    "Segmentation": "bs.segment(maps)",
    "SpectrumImage": "bs.load('scan.bcf')",
    "Unmixing": "bs.unmix(si)",
    "slice": "fit.denoise(y=slice(0, 10))",
}
"""What makes an object of each class."""
_KIND_NAMES = {"Mapping": "mapping of names to values", "NoneType": "None"}
"""Names of classes that are not a user's."""
Given = ParamSpec("Given")
Returned = TypeVar("Returned")


def checked_arguments(**own: Own) -> Callable[[Callable[Given, Returned]], Callable[Given, Returned]]:
    """Check the arguments of a public function by their names before it sees them.

    A KeyboardInterrupt leaves it as `Interrupted`, so that ``error.partial`` is there whatever was going on.

    Parameters
    ----------
    **own : callable, type, tuple or list of types, or None
        Checks of its own for arguments of these names: a function, the class that the argument must be of, or several
        classes; in a list where a list of objects will do as well. ``None`` for no check.

    Returns
    -------
    callable
        The decorator.
    """
    made = {name: _made(name, check) for name, check in own.items()}
    table = {name: check for name, check in {**_BY_NAME, **made}.items() if check is not None}

    def decorate(function: Callable[Given, Returned]) -> Callable[Given, Returned]:
        signature = inspect.signature(function)
        known = {name: table[name] for name in signature.parameters if name in table}

        @functools.wraps(function)
        def checked(*args: Given.args, **kwargs: Given.kwargs) -> Returned:
            bound = signature.bind(*args, **kwargs)
            for name, check in known.items():
                if name in bound.arguments and bound.arguments[name] is not signature.parameters[name].default:
                    bound.arguments[name] = check(bound.arguments[name])
            try:
                return function(*bound.args, **bound.kwargs)
            except Interrupted:
                raise
            except KeyboardInterrupt as interruption:
                raise Interrupted().with_traceback(interruption.__traceback__) from None

        return checked

    return decorate


def _made(name: str, own: Own) -> Checker | None:
    if isinstance(own, list | tuple):
        return _instance(name, tuple(own), many=isinstance(own, list))
    return _instance(name, (own,), many=False) if isinstance(own, type) else own


def as_image(data: Any) -> SpectrumImage:
    """Return a spectrum image, made from a HyperSpy signal or a labelled array where it is one.

    Parameters
    ----------
    data : SpectrumImage, HyperSpy signal or xarray.DataArray with a coordinate ``energy``
        What the user gave.

    Returns
    -------
    SpectrumImage
        The image.

    Raises
    ------
    InputError
        When it is anything else.
    """
    if isinstance(data, SpectrumImage):
        return data
    if isinstance(data, xr.DataArray) and "energy" in data.coords:
        energy = data["energy"]
        unit = str(energy.attrs.get("units", "keV"))
        return SpectrumImage(
            cast(Any, data), energy=energy.values, energy_unit=unit, name=str(data.name or "spectrum image")
        )
    if hasattr(data, "axes_manager"):
        image, guesses = spectrum_image(from_object(data), name="spectrum image")
        for sentence in guesses:
            warn(sentence)
        return image
    shape = f" of shape {np.shape(data)}" if isinstance(data, np.ndarray | list | tuple) else ""
    if isinstance(data, list | tuple):
        shape = f" of {len(data)}"
    raise InputError(
        f"a {type(data).__name__}{shape}",
        "a spectrum image: counts with their energies",
        "bs.SpectrumImage(counts, energy=energy), or bs.load('scan.bcf')",
    )


def image_or_none(data: Any) -> SpectrumImage | None:
    """Return a spectrum image where one is given.

    Parameters
    ----------
    data : SpectrumImage, HyperSpy signal, xarray.DataArray or None
        What the user gave.

    Returns
    -------
    SpectrumImage or None
        The image.

    Raises
    ------
    InputError
        When it is anything else.
    """
    return None if data is None else as_image(data)


def mapping_or_none(value: Any) -> Mapping[str, Any] | None:
    """Return a truth where one is given.

    Parameters
    ----------
    value : mapping or None
        What the user gave.

    Returns
    -------
    mapping or None
        The same.

    Raises
    ------
    InputError
        When it is anything else.
    """
    if value is not None and not isinstance(value, Mapping):
        raise InputError(f"a truth of type {type(value).__name__}", "a mapping of names to arrays", "truth=si.truth")
    return value


def line_name(value: Any) -> str:
    """Return the name of a line, or refuse what is none.

    Parameters
    ----------
    value : str
        What the user gave.

    Returns
    -------
    str
        The name.

    Raises
    ------
    InputError
        When it is no text.
    """
    if not isinstance(value, str):
        raise InputError(f"the line {value!r}", "the name of a line, as text", "'Fe_Ka'")
    return value


def line_names(value: Any) -> tuple[str, ...]:
    """Return the names of lines, or refuse what is none.

    Parameters
    ----------
    value : sequence of str
        What the user gave.

    Returns
    -------
    tuple of str
        The names.

    Raises
    ------
    InputError
        When it is no list of names.
    """
    return checked_names("lines", value, "lines=['Fe_Ka', 'O_Ka']")


def energy_range_or_none(value: Any) -> tuple[float, float] | None:
    """Return a range of energies where one is given.

    Parameters
    ----------
    value : two float, or None
        What the user gave.

    Returns
    -------
    tuple of float or None
        The range.

    Raises
    ------
    InputError
        When it is anything else.
    """
    if value is None:
        return None
    low, high = checked_range("energy", value, "energy=(0.2, 12)")
    return checked_real("energy", low, do="energy=(0.2, 12)"), checked_real("energy", high, do="energy=(0.2, 12)")


def _image_or_maps(data: Any) -> Any:
    """Return line maps as they are, and anything else as an image."""
    return data if hasattr(data, "window_counts") else as_image(data)


def _elements(value: Any) -> Any:
    return None if value is None else checked_elements(value)


def _lines(value: Any) -> Any:
    empty = value is None or (isinstance(value, list | tuple) and not value)
    return value if empty else line_names(value)


def _edges(value: Any) -> Any:
    empty = value is None or (isinstance(value, list | tuple) and not value)
    return value if empty else checked_names("edges", value, "edges=['Ti_L']")


def text(name: str, do: str) -> Checker:
    """Make a check that an argument is text.

    Parameters
    ----------
    name : str
        Name of the argument.
    do : str
        What to type.

    Returns
    -------
    callable
        The check; ``None`` passes.
    """

    def check(value: Any) -> Any:
        if value is not None and not isinstance(value, str):
            raise InputError(f"{name}={value!r}", "a name, as text", do)
        return value

    return check


def integer(name: str, least: int) -> Checker:
    """Make a check that an argument is a whole number.

    Parameters
    ----------
    name : str
        Name of the argument.
    least : int
        Smallest number that can be used.

    Returns
    -------
    callable
        The check.
    """
    return lambda value: checked_integer(name, value, least, MOST)


def flag(name: str) -> Checker:
    """Make a check that an argument is True or False.

    Parameters
    ----------
    name : str
        Name of the argument.

    Returns
    -------
    callable
        The check.
    """
    return lambda value: checked_flag(name, value)


def positive_factors(name: str, value: Any) -> Any:
    """Check k-factors: by line, a positive number, or one with its standard deviation.

    Parameters
    ----------
    name : str
        Name of the argument.
    value : mapping
        What the user gave.

    Returns
    -------
    mapping
        The same.

    Raises
    ------
    InputError
        When it is no such mapping.
    """
    good = isinstance(value, Mapping) and all(isinstance(line, str) and _is_factor(f) for line, f in value.items())
    if not good:
        found = value if not isinstance(value, Mapping) or len(value) < 6 else f"{len(value)} factors"
        raise InputError(
            f"{name}={found!r}",
            "a positive number for each line, or one with its standard deviation",
            f"{name}={{'Fe_Ka': 1.45, 'Pt_La': (5.08, 0.05)}}",
        )
    return value


def _is_factor(value: Any) -> bool:
    numbers = value if isinstance(value, tuple | list) and len(value) == 2 else (value,)
    try:
        found = [float(number) for number in numbers]
    except (TypeError, ValueError):
        return False
    return bool(np.isfinite(found).all()) and found[0] > 0 and (len(found) == 1 or found[1] >= 0)


def _instance(name: str, kinds: tuple[type[Any], ...], *, many: bool) -> Checker:
    """Check that an argument is an object of one of the classes, or a list of such."""

    def check(value: Any) -> Any:
        found = list(value) if many and isinstance(value, list | tuple) else [value]
        wrong = [one for one in found if not isinstance(one, kinds)]
        names = " or ".join(_KIND_NAMES.get(kind.__name__, kind.__name__) for kind in kinds)
        if not found:
            raise InputError(f"no {name}", f"a {names}", _MADE_BY.get(kinds[0].__name__, names))
        if wrong:
            raise InputError(
                f"{name} of type {type(wrong[0]).__name__}", f"a {names}", _MADE_BY.get(kinds[0].__name__, names)
            )
        return value

    return check


def real(name: str, low: float, high: float = np.inf, *, open_ends: bool = False, optional: bool = False) -> Checker:
    """Make a check that an argument is a finite number.

    Parameters
    ----------
    name : str
        Name of the argument.
    low, high : float
        Ends of the numbers that can be used.
    open_ends, optional : bool
        Whether the ends themselves cannot, and whether ``None`` can.

    Returns
    -------
    callable
        The check.
    """

    def check(value: Any) -> Any:
        missing = optional and value is None
        return value if missing else checked_real(name, value, low, high, open_ends=open_ends)

    return check


def _shape(value: Any) -> tuple[int, int]:
    pair = tuple(value) if isinstance(value, list | tuple) or np.ndim(value) == 1 else ()
    good = len(pair) == 2 and all(isinstance(n, int | np.integer) and not isinstance(n, bool) for n in pair)
    if not good or not all(2 <= n <= MOST for n in pair) or pair[0] * pair[1] > MOST_PIXELS:
        raise InputError(
            f"shape={value!r}", f"the number of pixels (y, x), no more than {MOST_PIXELS:,}", "shape=(128, 128)"
        )
    return int(pair[0]), int(pair[1])


def _numbers(name: str) -> Checker:
    def check(value: Any) -> Any:
        if isinstance(value, int | np.integer) and not isinstance(value, bool):
            return value
        if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
            raise InputError(f"{name}={value!r}", "a whole number, or several to choose from", f"{name}=range(1, 7)")
        if isinstance(value, np.ndarray) and value.ndim != 1:
            raise InputError(f"{name}={value!r}", "a whole number, or several to choose from", f"{name}=range(1, 7)")
        return [checked_integer(name, one, 1, MOST) for one in itertools.islice(value, MOST)]

    return check


def _film(value: Any) -> Any:
    if value is not None and not (hasattr(value, "mass_thickness") and hasattr(value, "elevation_deg")):
        raise InputError(f"film={value!r}", "a film, or None", "film=bs.Film(mass_thickness=5e-4)")
    return value


def _labelled(value: Any) -> Any:
    if not isinstance(value, xr.DataArray) or "line" not in value.dims or "draw" not in value.dims:
        raise InputError(
            f"intensities of type {type(value).__name__}",
            "a labelled array with dims (draw, ..., line)",
            "fit.intensities.draws of a bs.fit_lines",
        )
    return value


def values(name: str, do: str, *, optional: bool = False) -> Checker:
    """Make a check that an argument is an array of real numbers.

    Parameters
    ----------
    name : str
        Name of the argument.
    do : str
        What to type.
    optional : bool
        Whether ``None`` can be.

    Returns
    -------
    callable
        The check.
    """
    return lambda value: value if optional and value is None else real_values(name, value, "numbers", do)


def numbers_as_they_are(name: str, do: str, *, named: bool = False) -> Checker:
    """Make a check that an argument is an array of real numbers, of which no copy is made.

    Parameters
    ----------
    name : str
        Name of the argument.
    do : str
        What to type.
    named : bool
        Whether several arrays by name will do as well.

    Returns
    -------
    callable
        The check; ``None`` passes.
    """

    def check(value: Any) -> Any:
        if named and isinstance(value, Mapping):
            return {key: check(one) for key, one in value.items()}
        try:
            array = np.asarray(value)
        except ValueError as error:
            raise InputError(f"{name} of parts that differ in length", "an array of numbers", do) from error
        if value is not None and array.dtype.kind not in "biuf":
            raise InputError(f"{name} of {array.dtype} and shape {array.shape}", "an array of real numbers", do)
        return value

    return check


def _options(value: Any) -> Any:
    if value is not None and not (isinstance(value, Mapping) and all(isinstance(key, str) for key in value)):
        do = "reader_options={'rebin_energy': 2}"
        raise InputError(f"reader_options={value!r}", "a mapping of names to values", do)
    return value


_BY_NAME: Mapping[str, Checker] = {
    "image": as_image,
    "data": _image_or_maps,
    "elements": _elements,
    "lines": _lines,
    "edges": _edges,
    "seed": checked_seed,
    "prob": checked_prob,
    "draws": integer("draws", 2),
    "warmup": integer("warmup", 0),
    "max_steps": integer("max_steps", 1),
    "max_iterations": integer("max_iterations", 1),
    "strict": flag("strict"),
    "interior": flag("interior"),
    "calibrate": flag("calibrate"),
    "escape": flag("escape"),
    "numerator": text("numerator", "ratio('Fe_Ka', 'O_Ka')"),
    "denominator": text("denominator", "ratio('Fe_Ka', 'O_Ka')"),
    "reference": text("reference", "reference='O_Ka'"),
    "k_factors": lambda value: positive_factors("k_factors", value),
    "zeta_factors": lambda value: positive_factors("zeta_factors", value),
    "intensities": _labelled,
    "film": _film,
    "rank": _numbers("rank"),
    "ranks": _numbers("ranks"),
    "phases": _numbers("phases"),
    "number": integer("number", 0),
    "first": integer("first", 0),
    "second": integer("second", 0),
    "margin": real("margin", 0.0),
    "error": real("error", 0.0, open_ends=True),
    "factor": real("factor", -np.inf),
    "gain": real("gain", 0.0, open_ends=True, optional=True),
    "tolerance": real("tolerance", 0.0),
    "smooth": real("smooth", 0.0, 1e4),
    "counts_per_pixel": real("counts_per_pixel", 0.0, MOST_COUNTS, open_ends=True),
    "counts_per_mixture": real("counts_per_mixture", 0.0, MOST_COUNTS, open_ends=True),
    "counts_per_second": real("counts_per_second", 0.0, open_ends=True, optional=True),
    "dose_electrons": real("dose_electrons", 0.0, open_ends=True, optional=True),
    "elevation_deg": real("elevation_deg", -90.0, 90.0, optional=True),
    "blur": real("blur", 0.0, 1e4),
    "uneven": real("uneven", 0.0, 1.0),
    "shape": _shape,
    "size": integer("size", 2),
    "noise": text("noise", "noise='poisson'"),
    "title": text("title", "title='Core and shell'"),
    "name": text("name", "name='Fe/O'"),
    "reader": text("reader", "reader='HSPY'"),
    "energy_unit": text("energy_unit", "energy_unit='keV'"),
    "link": text("link", "link='log'"),
    "method": text("method", "method='windows'"),
    "resolution_mn_ka_ev": real("resolution_mn_ka_ev", 1.0, 1e4, optional=True),
    "energy_scale": real("energy_scale", 0.0, open_ends=True, optional=True),
    "energy_offset": real("energy_offset", -np.inf, optional=True),
    "offset": real("offset", -np.inf, optional=True),
    "read_noise": real("read_noise", 0.0, optional=True),
    "pixel_unit": text("pixel_unit", "pixel_unit='nm'"),
    "resolution": real("resolution", 1.0, 1e4, optional=True),
    "live_time": real("live_time", 0.0, open_ends=True, optional=True),
    "beam_energy": real("beam_energy", 0.0, open_ends=True, optional=True),
    "reader_options": _options,
    "overwrite": flag("overwrite"),
}
