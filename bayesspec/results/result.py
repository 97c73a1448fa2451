"""What every result is: one labelled Dataset with its provenance, that can be saved, opened and handed on.

A kind of result is a subclass with its table of variables (``schema``). What is shown of it, checked and compared is
asked of the result itself: ``facts``, ``table``, ``figures``, ``expected_counts``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import NoneType
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
import numpy.typing as npt
import xarray as xr

from bayesspec.errors import InputError, Interrupted
from bayesspec.files.load import to_hyperspy
from bayesspec.files.netcdf import FORMAT_VERSION, sealed
from bayesspec.files.paths import new_file
from bayesspec.files.public_arguments import checked_arguments, image_or_none
from bayesspec.files.saved import SavedPart
from bayesspec.files.writing import write_file
from bayesspec.image.arguments import checked_names
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.inference.status import Status
from bayesspec.results.dataset import Frame, attributes
from bayesspec.results.drawing import Drawing
from bayesspec.results.estimate import PROB, Estimate, to_arviz
from bayesspec.results.prediction import Prediction, prediction, rate_floor, row_blocks
from bayesspec.results.schema import SELECTION, STATISTICS, Schema, Values
from bayesspec.results.table import Table
from bayesspec.spectroscopy.composition import KFactor
from bayesspec.spectroscopy.line_maps import LineMaps
from bayesspec.spectroscopy.thin_film import Film, film_composition

Quantity = TypeVar("Quantity", bound=Estimate)


class FitError(RuntimeError):
    """A fit that did not end as it should, raised under ``strict=True``; the message says what to do."""


AnyResult = TypeVar("AnyResult", bound="Result")


def as_it_ended(result: AnyResult, *, strict: bool) -> AnyResult:
    """Return a result whose fit ran to its end.

    Parameters
    ----------
    result : Result
        The result of a fit.
    strict : bool
        Raise when the fit did not end as it should.

    Returns
    -------
    Result
        The same.

    Raises
    ------
    Interrupted
        When Ctrl-C ended the fit; the result is its ``partial``.
    FitError
        When `strict` and the fit did not end as it should.
    """
    if result.status == str(Status.INTERRUPTED):
        raise Interrupted(result)
    if strict and not result.converged:
        raise FitError(result.status)
    return result


_ANSWERS: Mapping[str, Callable[[], dict[str, Any]]] = {
    "agreement": lambda: {"other": Result},
    "matched": lambda: {"truth": Result},
    "expected_counts": lambda: {"rows": slice},
    "facts": dict,
    "figures": dict,
    "table": dict,
}
"""Checks of the arguments of what every kind of result answers in its own way."""


def _groups(value: Any) -> Any:
    return value if value is None else checked_names("groups", value, "fit.to_arviz(groups=['posterior'])")


class Result(SavedPart):
    """A labelled Dataset and what can be read off it.

    A kind of result of your own is a subclass: give it a ``kind``, a ``schema`` and, so that ``bs.check`` and
    ``bs.compare`` take it, `expected_counts`. Make it by `from_values`.

    Parameters
    ----------
    data : xarray.Dataset
        Everything the result consists of; its attributes carry seed, priors, versions and status.

    Attributes
    ----------
    model_groups : mapping of str to callable
        What `to_arviz` hands on beside the posterior, made when it is asked for; not kept in files.
    kind : str
        Name of the kind in files; `bs.open` finds the class by it.
    schema : Schema
        Variables, coordinates and attributes that it holds.
    part : str
        The dim of what the counts are divided into, ``"phase"`` or ``"component"``; empty where they are not divided.
    axis : str
        The dim of the channels that it predicts counts for.
    heading : str
        What stands over it in a report.
    pictures : tuple of str
        Variables that `to_hyperspy` hands on.
    in_counts : bool
        Whether its line intensities are counts of the whole measurement, not shares.
    """

    kinds: ClassVar[dict[str, type[Result]]] = {}
    kind: ClassVar[str] = ""
    schema: ClassVar[Schema] = Schema()
    part: ClassVar[str] = ""
    axis: ClassVar[str] = "energy"
    heading: ClassVar[str] = "Result"
    pictures: ClassVar[tuple[str, ...]] = ()
    in_counts: ClassVar[bool] = False

    def __init__(self, data: xr.Dataset) -> None:
        self.data = data.assign_attrs(result=self.kind)
        self.model_groups: Mapping[str, Callable[[], xr.Dataset]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"model_groups": {}}  # the model can be one that no other process can import

    def __init_subclass__(cls, **other: Any) -> None:
        super().__init_subclass__(**other)
        Result.kinds[cls.kind] = cls
        for name, checks in _ANSWERS.items():
            if name in vars(cls):
                setattr(cls, name, checked_arguments(**checks())(vars(cls)[name]))

    @classmethod
    @checked_arguments(values=Mapping, frame=(Frame, NoneType), settings=(Mapping, NoneType), attrs=(Mapping, NoneType))
    def from_values(
        cls,
        values: Mapping[str, Values],
        frame: Frame | None = None,
        *,
        name: str,
        method: str,
        verdict: str,
        status: Status | str = Status.CONVERGED,
        converged: bool | None = None,
        settings: Mapping[str, Any] | None = None,
        selection: xr.Dataset | None = None,
        attrs: Mapping[str, Any] | None = None,
    ) -> Self:
        """Make a result from its variables; all results are made here.

        Parameters
        ----------
        values : mapping of str to array, or of str to (array, dict)
            Values by the names of ``schema.variables``; of pixels or channels in use alone where that is what there is.
        frame : Frame or None
            Coordinates, and which pixels and channels are in use; ``None`` for neither.
        name : str
            Name of the sample or file.
        method : str
            How the result was obtained.
        verdict : str
            What was found, in words.
        status : Status or str
            How the fit ended: an outcome such as ``Status.CONVERGED``, or a sentence.
        converged : bool or None
            Whether it ended as it should; ``None`` for what the outcome says.
        settings : mapping or None
            Seed, priors and options, for the provenance.
        selection : xarray.Dataset or None
            Scores of the numbers of phases or components that were tried, dims (candidate,).
        attrs : mapping or None
            Attributes that the kind has beside those of every result.

        Returns
        -------
        Result
            Of this class.

        Raises
        ------
        InputError
            When a variable is missing, unknown, or does not fit the schema.
        """
        own = attributes(name=name, method=method, status=status, converged=converged, settings=settings or {})
        frame = frame or Frame()
        own |= {"verdict": verdict, "result": cls.kind, "data_checksum": frame.checksum, **(attrs or {})}
        data = cls.schema.dataset(values, frame, own)
        if selection is not None:
            data = data.assign({f"{SELECTION}{score}": table for score, table in selection.data_vars.items()})
        return cls(data)

    @property
    def name(self) -> str:
        """What the result is called in tables and figures, str."""
        return str(self.data.attrs["name"])

    @property
    def method(self) -> str:
        """How it was obtained, str."""
        return str(self.data.attrs["method"])

    @property
    def status(self) -> str:
        """How the fit ended, in a sentence that says what to do, str."""
        return str(self.data.attrs["status"])

    @property
    def converged(self) -> bool:
        """Whether the fit ended as it should, bool."""
        return bool(self.data.attrs["converged"])

    @property
    def verdict(self) -> str:
        """What the data show, in words, such as how many phases or components, str."""
        return str(self.data.attrs.get("verdict", ""))

    @property
    def number(self) -> int:
        """Number of phases or components, int; 1 where the counts are not divided."""
        return int(self.data.sizes.get(self.part, 1))

    @property
    def draws(self) -> int:
        """Number of joint draws, int; 1 where there are none."""
        return int(self.data.sizes.get("draw", 1))

    @property
    def uncertain(self) -> bool:
        """Whether the numbers come with an uncertainty, bool."""
        return self.draws > 1

    @property
    def total_counts(self) -> int:
        """Number of counts that the result was made from, int; 0 where it is not known."""
        return int(self.data["sum_spectrum"].sum()) if "sum_spectrum" in self.data else 0

    @property
    def selection(self) -> xr.Dataset:
        """Scores of every number of phases or components that was tried, dims (candidate,)."""
        chosen = {str(n): str(n).removeprefix(SELECTION) for n in self.data.data_vars if str(n).startswith(SELECTION)}
        return self.data[list(chosen)].rename(chosen)

    @property
    def data_checksum(self) -> str:
        """Checksum of the counts that the result is of, str; empty where it is not known."""
        return str(self.data.attrs.get("data_checksum", ""))

    @checked_arguments(data=(SpectrumImage, LineMaps))
    def is_of(self, data: SpectrumImage | LineMaps) -> bool:
        """Whether the result can be of these counts.

        Parameters
        ----------
        data : SpectrumImage or LineMaps
            Counts.

        Returns
        -------
        bool
            False where both have a checksum of the same kind, and another one.
        """
        kind = self.data_checksum.partition("-")[0]
        known = [data.checksum, data.image_checksum] if isinstance(data, LineMaps) else [data.checksum, *data.made_from]
        comparable = [one for one in known if kind and one.startswith(kind)]
        return not comparable or self.data_checksum in comparable

    @property
    def source(self) -> str:
        """What tells draws of this result from those of others, str; empty where the data are not known.

        The same fit of the same counts has the same: its draws are the same too.
        """
        if not self.data_checksum:
            return ""
        told = [str(self.data.attrs[key]) for key in ("result", "method", "data_checksum", "provenance")]
        return hashlib.blake2b("\n".join(told).encode(), digest_size=8).hexdigest()

    def own(self, estimate: Quantity) -> Quantity:
        """Say of a quantity that its draws are those of this result.

        Parameters
        ----------
        estimate : Estimate
            A quantity made of the draws of this result.

        Returns
        -------
        Estimate
            The same: combined with others of this result draw by draw, with those of other results as independent.
        """
        return replace(estimate, source=self.source)

    @property
    def provenance(self) -> dict[str, Any]:
        """Seed, priors, versions and settings by name."""
        return dict(json.loads(self.data.attrs["provenance"]))

    # What the result predicts, for checks and comparisons

    def expected_counts(self, rows: slice = slice(None)) -> npt.NDArray[np.float64]:
        """Counts that the result expects in every pixel and channel.

        Parameters
        ----------
        rows : slice
            Rows of pixels.

        Returns
        -------
        array, shape (y, x, channel), float64
            Expected counts, in the channels of `axis`; NaN in excluded pixels.

        Raises
        ------
        InputError
            When this kind of result predicts no image.
        """
        raise InputError(
            f"{type(self).__name__} by {self.method}, which predicts no image",
            "phases, components, or another result that expects counts in every pixel",
            "bs.check(bs.unmix(si, rank=4), si)",
        )

    @property
    def counts_shape(self) -> tuple[int, int, int]:
        """Shape (y, x, channel) of the counts that it expects, tuple of int; 0 for a dim that it does not have."""
        y, x, channels = (int(self.data.sizes.get(dim, 0)) for dim in ("y", "x", self.axis))
        return y, x, channels

    def predictions(self, image: SpectrumImage | None) -> Iterator[Prediction]:
        """Counts and what the result predicts for them, in blocks of pixels.

        Parameters
        ----------
        image : SpectrumImage or None
            The counts that the result was made from; ``None`` where it holds them itself.

        Yields
        ------
        Prediction
            A block of pixels. Here rates are `expected_counts`, the fit is taken to have taken up nothing, and counts
            belong to the parts in equal shares.

        Raises
        ------
        InputError
            When the image is missing or has another shape.
        """
        image = self.own_image(image)
        channels, floor = image.valid_channels, rate_floor(image)
        for rows in row_blocks(image.shape):
            expected = self.expected_counts(rows)[..., channels]
            known = image.valid[rows] & np.isfinite(expected).all(axis=2)
            rates = np.maximum(expected[known], floor)
            shares = np.full((len(rates), self.number, rates.shape[1]), 1.0 / self.number)
            yield prediction(image, rows, known, rates, np.zeros_like(rates), shares)

    def baseline(self) -> xr.Dataset:
        """Compare with a simple figure that asks for fewer assumptions, where the kind of result has one.

        Returns
        -------
        xarray.Dataset
            For `bs.check`: a variable that ends in ``_sigmas``, standard deviations apart; here none.
        """
        return xr.Dataset()

    @checked_arguments(image=image_or_none)
    def own_image(self, image: SpectrumImage | None) -> SpectrumImage:
        """Refuse what is not the image that the result was made from.

        Parameters
        ----------
        image : SpectrumImage or None
            What is said to be it.

        Returns
        -------
        SpectrumImage
            The same.

        Raises
        ------
        InputError
            When it is missing or has another shape.
        """
        wanted = self.counts_shape
        if image is not None and image.shape == wanted and not self.is_of(image):
            raise InputError(
                f"an image with other counts than those of {self.name!r}",
                "the image that was decomposed",
                "bs.check(fit, si), with the si that the fit was made of",
            )
        if image is None or image.shape != wanted:
            found = "no image" if image is None else f"an image of shape {image.shape}"
            raise InputError(found, f"the image of shape {wanted} that was decomposed", "bs.check(fit, si)")
        return image

    def agreement(self, other: Result) -> float:
        """How far a result of other counts of the same sample agrees.

        Parameters
        ----------
        other : Result
            A result by the same method.

        Returns
        -------
        float
            In the unit of `agreement_words`; NaN where nothing can be compared.
        """
        return float("nan")

    def agreement_words(self, value: float) -> str:
        """Print an agreement.

        Parameters
        ----------
        value : float
            From `agreement`.

        Returns
        -------
        str
            Such as ``"1.25 degrees"`` or ``"98.5 %"``.
        """
        return "–" if np.isnan(value) else f"{value:.2f} degrees"

    def comparable_spectra(self) -> npt.NDArray[np.float64] | None:
        """Spectra that can be compared with true ones, one by one.

        Returns
        -------
        array, shape (component, energy), float64, or None
            Spectra in any scale; ``None`` where components have no meaning of their own.
        """
        return None

    # What simulated repeats need of it: bs.calibrate

    def quantities(self) -> Mapping[str, Estimate | xr.Dataset]:
        """What it reports with intervals, each by its name.

        Returns
        -------
        dict of str to Estimate or xarray.Dataset
            Datasets have ``mean``, ``lower`` and ``upper``, and their probability in ``attrs["prob"]``; empty where
            this kind of result has none to judge.
        """
        return {}

    def replicate(self, data: Any, rng: np.random.Generator) -> tuple[Result, Any]:
        """A truth like this result, and counts simulated from it.

        Parameters
        ----------
        data : SpectrumImage or LineMaps
            The counts that the result is of; the new ones are like them.
        rng : numpy.random.Generator
            Source of random numbers.

        Returns
        -------
        Result, SpectrumImage or LineMaps
            A result of this kind whose `quantities` are true, and Poisson counts.

        Raises
        ------
        InputError
            When this kind of result tells no rates to simulate from.
        """
        raise InputError(
            f"{type(self).__name__} by {self.method}, which counts cannot be simulated from",
            "a segmentation, an unmixing, a fit of lines or edges, or a model of your own",
            "bs.calibrate(bs.segment, like=si)",
        )

    def matched(self, truth: Result) -> Result | None:
        """The result with its phases or components in the order of the truth.

        Parameters
        ----------
        truth : Result
            From `replicate`.

        Returns
        -------
        Result or None
            ``None`` where their numbers differ.
        """
        return self if self.number == truth.number else None

    # What is shown of it

    def facts(self, reference: str | None = None) -> list[str]:
        """Sentences with the numbers.

        Parameters
        ----------
        reference : str or None
            Line below ratios; ``None`` for the last one.

        Returns
        -------
        list of str
            For the summary of a report.
        """
        sizes = [f"{self.data.sizes['y']} × {self.data.sizes['x']} pixels"] if "y" in self.data.sizes else []
        counts = [f"{self.total_counts:,} counts"] if self.total_counts else []
        return [", ".join(sizes + counts) + "."] if sizes or counts else []

    def warnings(self) -> list[str]:
        """Sentences on what must not be concluded.

        Returns
        -------
        list of str
            For the summary of a report; empty where there is nothing to say.
        """
        found = [] if self.converged else [f"The fit did not end as it should. {self.status}"]
        found += self.doubts()
        if not self.uncertain:
            found.append(f"{self.method} gives no uncertainty: differences cannot be judged from these numbers alone.")
        return found

    def doubts(self) -> list[str]:
        """Sentences on what must not be concluded from a result of this kind.

        Returns
        -------
        list of str
            Those beside what `warnings` says of all results.
        """
        return []

    def table(self, reference: str | None = None) -> Table:
        """Numbers as strings, with their intervals.

        Parameters
        ----------
        reference : str or None
            Line below ratios; ``None`` for the last one.

        Returns
        -------
        Table
            The table of a report.
        """
        return Table(self.heading, ("", ""), (("verdict", self.verdict),), "" if self.uncertain else self.note())

    def note(self) -> str:
        """Say what a reader of the table must know of its intervals.

        Returns
        -------
        str
            One or two sentences.
        """
        if not self.uncertain:
            return f"{self.method} gives no uncertainty."
        doubt = "" if self.converged else "The fit did not end as it should: do not rely on these intervals. "
        return (
            f"{doubt}In parentheses one standard deviation, in units of the last digits; intervals are equal-tailed "
            f"and hold {100 * PROB:.0f} % of {self.draws} joint draws, so that covariances count."
        )

    def figures(self, reference: str | None = None) -> list[Drawing]:
        """Figures that show it.

        Parameters
        ----------
        reference : str or None
            Line below ratios; ``None`` for the last one.

        Returns
        -------
        list of Drawing
            In the order of a report; here the choice of the number of parts, where there was one.
        """
        table = self.selection
        if "score" not in table or table.sizes["candidate"] < 2:
            return []
        caption = "Score of every candidate; bars are standard errors, the orange point is the choice."
        return [Drawing("phase_selection" if self.part == "phase" else "rank_selection", "selection", caption)]

    def _statistics(self, name: str) -> xr.Dataset:
        """Mean, sd, lower and upper of one quantity, with what their interval is."""
        table = self.data[[f"{name}_{s}" for s in STATISTICS]].rename({f"{name}_{s}": s for s in STATISTICS})
        return table.assign_attrs({key: self.data.attrs[key] for key in ("prob", "interval") if key in self.data.attrs})

    def _composition(
        self, intensities: xr.DataArray, factors: Mapping[str, KFactor], seed: int, film: Film | None = None
    ) -> dict[str, Estimate]:
        angle = json.loads(self.data.attrs.get("acquisition", "{}")).get("elevation_deg")
        table = film_composition(intensities, factors, film, elevation_deg=angle, in_counts=self.in_counts, seed=seed)
        return {
            str(name): self.own(Estimate(draws, str(name), positive=True)) for name, draws in table.data_vars.items()
        }

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the result to a netCDF file, which is complete or not there: an earlier one stays until then.

        Parameters
        ----------
        path : str or Path
            File to write, ``"fit.nc"``.
        overwrite : bool
            Whether a file that exists may be replaced.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        InputError
            When the file exists and `overwrite` is false, or cannot be written.
        """
        target = new_file(path, overwrite=overwrite, do="fit.save({path!r})")
        now = datetime.now(UTC).isoformat(timespec="seconds")
        contents = sealed({"/": self.data.assign_attrs(format_version=FORMAT_VERSION, saved=now)})
        return write_file(target, contents, overwrite=overwrite)

    def to_hyperspy(self) -> dict[str, Any]:
        """Hand spectra and maps to HyperSpy.

        Returns
        -------
        dict of str to HyperSpy signal
            Labels and probabilities of phases; mean spectra (factors) and mean abundances (loadings) of components.

        Raises
        ------
        MissingExtraError
            When HyperSpy is not installed.
        """
        return {name.removesuffix("_mean"): to_hyperspy(self.data[name]) for name in self.pictures}

    @checked_arguments(groups=_groups)
    def to_arviz(self, groups: Sequence[str] | None = None) -> Any:
        """Hand draws to ArviZ, for ``az.summary``, ``az.loo``, ``az.compare`` and its figures.

        Parameters
        ----------
        groups : sequence of str or None
            Which groups; ``None`` for all that there are. Every result with draws has ``"posterior"``. One of
            ``bs.fit`` of a model of your own has ``"observed_data"``, ``"log_likelihood"`` (by pixel),
            ``"posterior_predictive"`` and ``"prior"``, and with NUTS ``"sample_stats"``, made when they are asked for;
            files do not hold them.

        Returns
        -------
        arviz.InferenceData or xarray.DataTree
            Groups with dims (chain, draw, ...): the former up to ArviZ 0.x, the latter from 1.0.

        Raises
        ------
        InputError
            When a group is asked for that there is not.
        """
        draws = {str(name): values for name, values in self.data.data_vars.items() if "draw" in values.dims}
        there = {"posterior": lambda: xr.Dataset(draws), **self.model_groups}
        missing = [group for group in groups or () if group not in there]
        if missing:
            raise InputError(
                f"no group {missing[0]!r}", f"one of {list(there)}, or a result fresh from bs.fit", "fit.to_arviz()"
            )
        asked = there if groups is None else groups
        return to_arviz({name: there[name]() for name in asked}, int(self.provenance.get("chains", 1)))


def simulated_image(image: SpectrumImage, rates: npt.NDArray[np.float64], rng: np.random.Generator) -> SpectrumImage:
    """Simulate an image like another one.

    Parameters
    ----------
    image : SpectrumImage
        The other: its axes, masks and metadata are kept, and its counts where `rates` are not finite or excluded.
    rates : array, shape (y, x, energy), float64
        Expected counts.
    rng : numpy.random.Generator
        Source of random numbers.

    Returns
    -------
    SpectrumImage
        Poisson counts.
    """
    known = np.isfinite(rates) & image.valid[..., None] & image.valid_channels
    counts = np.where(known, rng.poisson(np.where(known, np.maximum(rates, 0.0), 0.0)), image.counts)
    return image.changed(counts=counts, truth=None, made_from=(), name=f"like {image.name}")


def listed(
    results: Result | Iterable[Result], needed: str, do: str, found: str = "results of the type"
) -> list[Result]:
    """Take one result or several, and refuse what is none.

    Parameters
    ----------
    results : Result or iterable of Result
        What was given.
    needed, do : str
        What is needed and what to type, for the error.
    found : str
        What was found, before the name of its type.

    Returns
    -------
    list of Result
        One or more.

    Raises
    ------
    InputError
        When there is none, or something else among them.
    """
    alone = isinstance(results, Result | str | np.ndarray) or not isinstance(results, Iterable)
    many: Any = [results] if alone else results
    given = list(many)
    wrong = [type(result).__name__ for result in given if not isinstance(result, Result)]
    if not given or wrong:
        raise InputError(f"{found} {', '.join(dict.fromkeys(wrong))}" if wrong else "no results", needed, do)
    return given
