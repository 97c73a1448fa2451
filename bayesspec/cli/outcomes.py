"""What a command prints and writes: text for people, JSON for programs, and a folder with report and result."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click
import numpy as np
import xarray as xr

from bayesspec.cli.analysis_files import analysis_files
from bayesspec.cli.answers import in_options
from bayesspec.errors import InputError
from bayesspec.image.count_matrix import counts_of
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.results.estimate import PROB, Estimate
from bayesspec.results.result import Result
from bayesspec.results.table import Table
from bayesspec.spectroscopy.odd_channels import odd_channels
from bayesspec.workflows.poisson_check import check_noise

MOST_VALUES = 10_000
"""Values of an array up to which they are part of the JSON; of larger ones dims and shape are."""


def plain(value: Any) -> Any:
    """Bring a value to what JSON can hold; what is not finite becomes null.

    Parameters
    ----------
    value : object
        Numbers, text, arrays, tables, labelled data, and lists and mappings of them.

    Returns
    -------
    object
        The same in lists and mappings.
    """
    if isinstance(value, Estimate):
        return estimated(value)
    if isinstance(value, Table):
        return {name: plain(getattr(value, name)) for name in ("title", "columns", "rows", "note")}
    if isinstance(value, xr.Dataset):
        arrays = {str(name): _array(array) for name, array in value.variables.items()}
        return {"arrays": arrays, "attributes": plain(value.attrs)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value if value is None else str(value)


def estimated(estimate: Estimate) -> Any:
    """Values, standard deviations and intervals of an estimate.

    Parameters
    ----------
    estimate : Estimate
        Of one value, or one for each of some names.

    Returns
    -------
    dict
        ``mean``, ``sd``, ``lower``, ``upper`` and ``prob``; by name where there are several.
    """
    lower, upper = estimate.interval(PROB)
    parts = {"mean": estimate.mean, "sd": estimate.sd, "lower": lower, "upper": upper}
    if not estimate.mean.dims:
        return {name: plain(float(part)) for name, part in parts.items()} | {"prob": PROB}
    dim = estimate.mean.dims[0]
    return {str(name): estimated(estimate.sel(**{str(dim): name})) for name in estimate.mean[dim].values}


def _array(array: Any) -> Any:
    held = {"dims": list(array.dims), "shape": list(array.shape)}
    units = array.attrs.get("units")
    held |= {"units": units} if units else {}
    return held | ({"values": plain(array.values.tolist())} if array.size <= MOST_VALUES else {})


def result_facts(result: Result) -> dict[str, Any]:
    """What is to be known of a result.

    Parameters
    ----------
    result : Result
        The result.

    Returns
    -------
    dict
        Name, method, verdict, status, warnings, table and values.
    """
    names = ("kind", "name", "method", "verdict", "status", "converged")
    facts = {name: getattr(result, name) for name in names}
    facts |= {"warnings": result.warnings(), "table": result.table(), "provenance": result.provenance}
    return plain(facts | {"data": result.data})


def say(facts: Any, text: str, *, as_json: bool) -> None:
    """Print an answer.

    Parameters
    ----------
    facts : object
        The answer for programs.
    text : str
        The same for people.
    as_json : bool
        Which of them to print.
    """
    click.echo(json.dumps(plain(facts), allow_nan=False, indent=1) if as_json else text)


@contextmanager
def delivery(values: Mapping[str, Any]) -> Iterator[Callable[..., None]]:
    """Refuse a folder before the work; afterwards print the answer, and write it where a folder is named.

    Parameters
    ----------
    values : mapping
        Options of the command, ``out``, ``overwrite`` and ``json`` among them.

    Yields
    ------
    callable
        To be called with the results, the answer for programs, the answer for people, and further files by name.
    """
    out: Path | None = values.get("out")
    with ExitStack() as stack:
        files = None
        if out is not None:
            files = stack.enter_context(analysis_files(out, overwrite=values["overwrite"]))

        def deliver(results: Sequence[Result], facts: Any, text: str, tables: Mapping[str, str] | None = None) -> None:
            if files is not None:
                files.write(results, tables or {})
                text = f"{text}\n\nReport: {files.page}"
                facts = {**facts, "report": str(files.page)}
            say(facts, text, as_json=values["json"])

        yield deliver


def result_text(result: Result, reference: str | None = None) -> str:
    """Print a result for people.

    Parameters
    ----------
    result : Result
        The result.
    reference : str or None
        Line below ratios; ``None`` for the last one.

    Returns
    -------
    str
        Verdict, table and warnings.
    """
    said = [f"{result.name}: {result.verdict}", "", result.table(reference).to_text(), *result.warnings()]
    return in_options("\n".join(said))


def image_facts(image: SpectrumImage) -> dict[str, Any]:
    """What is to be known of an image.

    Parameters
    ----------
    image : SpectrumImage
        The image.

    Returns
    -------
    dict
        Sizes, counts, elements, memory, acquisition and the verdict on its noise.
    """
    size, several = image.pixel_size, int(image.valid.sum()) > 1
    noise = "one spectrum does not tell"
    if several:
        with contextlib.suppress(InputError):
            noise = "; ".join(check_noise(counts_of(image), odd_channels(image), drift=False).problems)
            noise = noise or "that of counts, as far as these tell"
    facts = {
        "image": repr(image),
        "pixel size": "not known" if size is None else f"{size[0]:.4g} x {size[1]:.4g} {image.pixel_unit}",
        "counts": f"{int(image.sum_spectrum().sum()):,}, {image.counts_per_pixel:.4g} per pixel",
        "elements": ", ".join(image.elements) or "not named",
        "memory": f"{image.stored.nbytes / 1e6:.4g} MB of counts",
        "noise": noise,
    }
    acquired = vars(image.acquisition).items()
    return facts | {name.replace("_", " "): value for name, value in acquired if value is not None}
