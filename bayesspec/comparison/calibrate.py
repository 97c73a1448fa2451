"""Simulation-based calibration: do the intervals of this model or workflow hold, at this dose, on such a sample?"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import json
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor
from tqdm import tqdm

from bayesspec.errors import InputError, Interrupted
from bayesspec.files.paths import expanded, named_os_errors
from bayesspec.files.public_arguments import as_image, checked_arguments, integer, text
from bayesspec.files.writing import write_file
from bayesspec.image.checksum import checksum
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.inference.random_keys import random_key, seed_for
from bayesspec.inference.status import Status
from bayesspec.models import composition_mixture, poisson_nmf, poisson_pca
from bayesspec.results.calibration import Calibration, calibration_verdict, collected, compared
from bayesspec.results.dataset import Frame
from bayesspec.results.model_fit import ModelFit
from bayesspec.results.result import Result, as_it_ended
from bayesspec.spectroscopy.line_maps import LineMaps
from bayesspec.workflows.fit import fit, replicate_of

HELD = 0.9
"""Probability of the intervals that are judged: of 100 repeats ten should miss, enough to tell how many do."""
TRUTHS = ("auto", "prior", "fit")
OF_FIT = ("inference", "guide", "seed", "draws", "max_steps", "starts", "batch_size", "strict")
"""Arguments of ``bs.fit`` that are none of the model."""
DO = "bs.calibrate(bs.segment, like=si, replicates=100)"


@checked_arguments(replicates=integer("replicates", 2), processes=None, truth=text("truth", "truth='fit'"))
def calibrate(
    model: Any,
    like: Any,
    *,
    replicates: int = 100,
    truth: str = "auto",
    prob: float = HELD,
    folder: str | Path | None = None,
    processes: int | None = None,
    seed: int = 0,
    **arguments: Any,
) -> Calibration:
    """Simulate counts with a known truth again and again, fit them, and see how often intervals hold the truth.

    Parameters
    ----------
    model : callable, or module or object with ``DIMS`` and ``model``
        A workflow such as ``bs.segment``, ``bs.unmix``, ``bs.fit_lines``, ``bs.fit_edges``, or a function of your own
        that takes the counts and returns a result; or a model, which ``bs.fit`` fits.
    like : SpectrumImage, LineMaps, HyperSpy signal, or (for a model) array
        The counts whose setting is simulated: their shape, dose, axes and masks.
    replicates : int
        Number of repeats. With 100 a coverage of 90 % is known to 3 %.
    truth : {"auto", "prior", "fit"}
        Where the true values come from. ``"prior"``: drawn from the model's prior, the classical way, under which ranks
        are uniform if the inference is exact. ``"fit"``: `like` is fitted once, and each repeat is simulated from one
        draw of what was found, so that the truth is like your sample. ``"auto"``: the prior for a model of your own,
        the fit for a workflow and for a built-in model, whose priors are too broad to simulate from.
    prob : float
        Probability of the intervals that are judged.
    folder : str, Path or None
        Where every repeat is kept as soon as it is done: the same call goes on from there. ``None`` to keep none.
    processes : int or None
        Processes, each of which fits one repeat at a time; ``None`` for as many as there are cores.
    seed : int
        Seed of the true values and the counts.
    **arguments
        Arguments of the workflow, of ``bs.fit``, or hyperparameters of the model.

    Returns
    -------
    Calibration
        ``verdict``, ``coverage`` of every reported quantity with its Monte Carlo error, ranks, and by how much
        intervals are too short; ``bs.plot.calibration`` draws it.

    Raises
    ------
    InputError
        When the fit of `like` has nothing to simulate from, every repeat raises, or `folder` holds repeats of something
        else.
    Interrupted
        At Ctrl-C; ``error.partial`` is the calibration by the repeats done so far.

    Notes
    -----
    Source: Talts, Betancourt, Simpson, Vehtari & Gelman (2018), arXiv:1804.06788 (truth from the prior); Säilynoja,
    Schmitt, Bürkner & Vehtari (2025), arXiv:2502.03279 (truth from a fit). With truths from a fit the ranks are uniform
    as far as the counts outweigh the prior; coverage is that of repeats of the same measurement.

    Examples
    --------
    >>> import bayesspec as bs
    >>> maps = bs.simulate.iron_oxide_lines(1000, (24, 24), seed=0)
    >>> found = bs.calibrate(bs.segment, like=maps, phases=2, replicates=12, processes=1)
    >>> found.names
    ('area, phase 0', 'area, phase 1', 'Fe_Ka/O_Ka, phase 0', 'Fe_Ka/O_Ka, phase 1')
    >>> bool((found.coverage["coverage"] > 0.5).all())
    True
    """
    job = _job(model, like, truth, prob, seed, arguments)
    kept = None if folder is None else _opened(folder, job)
    records = {} if kept is None else _done(kept, replicates)
    waiting = [i for i in range(replicates) if i not in records]
    interrupted = False
    try:
        with tqdm(total=replicates, initial=len(records), desc="calibrate", disable=None, leave=False) as bar:
            for i, record in _repeats(job, waiting, processes):
                records[i] = record
                if kept is not None:
                    write_file(kept / f"{i:06d}.json", json.dumps(record).encode(), overwrite=True)
                bar.update()
    except KeyboardInterrupt as stopped:
        if not any(record.get("rows") for record in records.values()):
            raise Interrupted from stopped
        interrupted = True
    found = _result(job, [records[i] for i in sorted(records)], interrupted=interrupted)
    return as_it_ended(found, strict=False)


# What is repeated


@dataclass(frozen=True)
class _Job:
    """One calibration: what makes a truth with its counts, what fits them, and what tells it from others."""

    simulate: Callable[[int], tuple[Result, Any]]
    run: Callable[[Any], Any]
    prob: float
    seed: int
    name: str
    method: str
    settings: dict[str, Any]
    data_checksum: str

    @property
    def fingerprint(self) -> str:
        """What must agree for repeats to be of the same calibration."""
        told = {
            "settings": self.settings,
            "prob": self.prob,
            "data": self.data_checksum,
            "version": version("bayesspec"),
        }
        return hashlib.blake2b(json.dumps(told, sort_keys=True, default=str).encode(), digest_size=16).hexdigest()


def _job(model: Any, like: Any, truth: str, prob: float, seed: int, arguments: dict[str, Any]) -> _Job:
    if truth not in TRUTHS:
        raise InputError(f"truth={truth!r}", f"one of {', '.join(TRUTHS)}", DO)
    is_model = hasattr(model, "DIMS") and callable(getattr(model, "model", None))
    if not is_model and not callable(model):
        raise InputError(f"a {type(model).__name__} to calibrate", "a workflow, or a model with DIMS and model", DO)
    data = _data(like, is_model=is_model)
    run = functools.partial(fit, model, **arguments) if is_model else functools.partial(model, **arguments)
    if truth == "prior" and not is_model:
        raise InputError(f"truth='prior' for {_name(model)}", "a model that has a prior to draw from", "truth='fit'")
    built_in = model in (composition_mixture, poisson_nmf, poisson_pca)
    simulate: Any
    if is_model and (truth == "prior" or (truth == "auto" and not built_in)):
        given = {name: value for name, value in arguments.items() if name not in OF_FIT}
        simulate, way = functools.partial(_from_model, model, data, given, seed, None), "the prior"
    else:
        reference = _fitted(run, data, model)
        simulate, way = functools.partial(_from_result, reference, data, seed), "the fit"
        if isinstance(reference, ModelFit):
            given = {name: value for name, value in arguments.items() if name not in OF_FIT}
            simulate = functools.partial(_from_model, model, data, given, seed, reference)
    settings = {
        "seed": seed,
        "of": _name(model),
        "truth": way,
        "arguments": {k: _told(v) for k, v in arguments.items()},
    }
    return _Job(
        simulate,
        run,
        prob,
        seed,
        getattr(data, "name", _name(model)),
        f"{_name(model)}, truth from {way}",
        settings,
        data.checksum if isinstance(data, SpectrumImage | LineMaps) else checksum("array", np.asarray(data)),
    )


def _data(like: Any, *, is_model: bool) -> Any:
    array = is_model and isinstance(like, np.ndarray | list | tuple)
    return like if array or isinstance(like, LineMaps | SpectrumImage) else as_image(like)


def _name(model: Any) -> str:
    while isinstance(model, functools.partial):
        model = model.func
    return str(getattr(model, "__name__", type(model).__name__)).rsplit(".", 1)[-1]


def _told(value: Any) -> Any:
    """An argument as JSON can hold it; of objects their kind alone."""
    plain = isinstance(value, str | int | float | bool | None.__class__ | range | list | tuple)
    return repr(value) if plain else type(value).__name__


def _fitted(run: Callable[[Any], Any], data: Any, model: Any) -> Result:
    found = run(data)
    if not isinstance(found, Result) or not found.quantities():
        kind = type(found).__name__
        raise InputError(f"{_name(model)}, which returns a {kind}", "a result with quantities that have intervals", DO)
    return found


def _from_result(reference: Result, data: Any, seed: int, i: int) -> tuple[Result, Any]:
    return reference.replicate(data, np.random.default_rng([seed, i]))


def _from_model(
    model: Any, data: Any, given: Mapping[str, Any], seed: int, reference: ModelFit | None, i: int
) -> tuple[Result, Any]:
    key = random_key(seed_for(seed, f"repeat {i}"))
    draws = None
    if reference is not None:
        place = int(np.random.default_rng([seed, i]).integers(reference.draws))
        draws = {site: reference.data[site].values[place] for site in reference.sites}
    return replicate_of(model, data, given, key=key, sites=draws)


# The repeats


def _repeats(job: _Job, waiting: list[int], processes: int | None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number and record of every repeat, as they come."""
    if processes is not None and (not isinstance(processes, int) or processes < 1):
        raise InputError(f"processes={processes!r}", "a number of processes, 1 or more", f"processes={os.cpu_count()}")
    number = min(processes or os.cpu_count() or 1, len(waiting))
    if number <= 1:
        for i in waiting:
            yield i, _one(job, i)
        return
    done = Parallel(n_jobs=number, return_as="generator_unordered", batch_size=1)(
        delayed(_numbered)(job, i) for i in waiting
    )
    try:
        yield from done
    except BaseException:
        get_reusable_executor().shutdown(wait=False, kill_workers=True)
        raise


def _numbered(job: _Job, i: int) -> tuple[int, dict[str, Any]]:
    return i, _one(job, i)


def _one(job: _Job, i: int) -> dict[str, Any]:
    """Simulate, fit and compare; without progress bars and warnings of the fit."""
    begun = time.perf_counter()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            truth, data = job.simulate(i)
            found = job.run(data)
            matched = found.matched(truth)
            rows = {}
            if matched is not None:
                rng = np.random.default_rng([job.seed, i, 1])
                rows = compared(matched.quantities(), truth.quantities(), job.prob, rng)
    except (InputError, ArithmeticError, RuntimeError, np.linalg.LinAlgError) as error:
        return {"message": f"{type(error).__name__}: {error}"}
    return {
        "rows": {label: (nominal, _listed(a), _listed(b)) for label, (nominal, a, b) in rows.items()},
        "ended": bool(found.converged),
        "paired": matched is not None,
        "seconds": time.perf_counter() - begun,
    }


def _listed(values: npt.NDArray[np.float64]) -> list[float]:
    return [float(f"{value:.6g}") for value in values]


# What is kept of them


def _opened(folder: str | Path, job: _Job) -> Path:
    """The folder, made where it is not there; refused where it holds repeats of something else."""
    path = expanded(folder, DO)
    told = path / "calibration.json"
    needed = "a folder for the repeats that can be read and written"
    with named_os_errors(f"{str(path)!r} cannot be used", needed, "folder='calibration_of_segment'"):
        path.mkdir(parents=True, exist_ok=True)
        there = json.loads(told.read_text()) if told.exists() else None
    if there is None:
        about = {"fingerprint": job.fingerprint, "of": job.method, "like": job.name, "settings": job.settings}
        write_file(told, json.dumps(about, indent=1, default=str).encode(), overwrite=False)
    elif there.get("fingerprint") != job.fingerprint:
        raise InputError(
            f"{str(path)!r} with repeats of {there.get('of')} like {there.get('like')}, {there.get('settings')}",
            f"those of {job.method} like {job.name}, {job.settings}, by this version",
            "another folder",
        )
    return path


def _done(folder: Path, replicates: int) -> dict[int, dict[str, Any]]:
    files = {i: folder / f"{i:06d}.json" for i in range(replicates)}
    return {i: json.loads(file.read_text()) for i, file in files.items() if file.exists()}


# What they show


def _result(job: _Job, records: list[dict[str, Any]], *, interrupted: bool) -> Calibration:
    messages = [record["message"] for record in records if "message" in record]
    good = [record for record in records if "message" not in record]
    if not any(record["rows"] for record in good):
        why = messages[0] if messages else "each found another number of phases or components than there are"
        raise InputError(
            f"{len(records)} repeats of {job.method} without one to judge: {why[:300]}",
            "repeats that can be fitted and paired with their truth",
            "another model or fewer phases or components; for a model truth='fit', where its prior is too broad",
        )
    values, labels = collected(good)
    options: dict[str, Any] = {
        "name": job.name,
        "method": job.method,
        "status": Status.INTERRUPTED if interrupted else Status.CONVERGED,
        "settings": {**job.settings, "prob": job.prob},
        "attrs": {"failures": len(messages)},
    }
    frame = Frame({"entry": labels}, checksum=job.data_checksum)
    found = Calibration.from_values(values, frame, verdict="", **options)
    return Calibration(found.data.assign_attrs(verdict=calibration_verdict(found, messages)))
