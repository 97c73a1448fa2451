"""What every result is: one labelled Dataset with its provenance, that can be saved, opened and handed on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import xarray as xr

from bayesspec.errors import InputError
from bayesspec.files.load import to_hyperspy
from bayesspec.files.netcdf import FORMAT_VERSION, opened, sealed
from bayesspec.files.paths import existing_file, new_file
from bayesspec.files.saved import KIND, SavedPart, from_groups, saved_class
from bayesspec.files.writing import write_file
from bayesspec.results.estimate import Estimate, to_arviz
from bayesspec.spectroscopy.composition import KFactor
from bayesspec.spectroscopy.thin_film import Film, film_composition

STATISTICS = ("mean", "sd", "lower", "upper")


class FitError(RuntimeError):
    """A fit that did not end as it should, raised under ``strict=True``; the message says what to do."""


class Result(SavedPart):
    """A labelled Dataset and what can be read off it.

    Parameters
    ----------
    data : xarray.Dataset
        Everything the result consists of; its attributes carry seed, priors, versions and status.
    """

    kinds: ClassVar[dict[str, type[Result]]] = {}
    kind: ClassVar[str] = ""
    pictures: ClassVar[tuple[str, ...]] = ()
    in_counts: ClassVar[bool] = False

    def __init__(self, data: xr.Dataset) -> None:
        self.data = data.assign_attrs(result=self.kind)

    def __init_subclass__(cls, **other: Any) -> None:
        super().__init_subclass__(**other)
        Result.kinds[cls.kind] = cls

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
        """How many phases or components the data show, in words, str."""
        return str(self.data.attrs["verdict"])

    @property
    def selection(self) -> xr.Dataset:
        """Scores of every number of phases or components that was tried, dims (candidate,)."""
        prefix = "selection_"
        chosen = {str(n): str(n).removeprefix(prefix) for n in self.data.data_vars if str(n).startswith(prefix)}
        return self.data[list(chosen)].rename(chosen)

    @property
    def provenance(self) -> dict[str, Any]:
        """Seed, priors, versions and settings by name."""
        return dict(json.loads(self.data.attrs["provenance"]))

    def _statistics(self, name: str) -> xr.Dataset:
        """Mean, sd, lower and upper of one quantity, with what their interval is."""
        table = self.data[[f"{name}_{s}" for s in STATISTICS]].rename({f"{name}_{s}": s for s in STATISTICS})
        return table.assign_attrs({key: self.data.attrs[key] for key in ("prob", "interval") if key in self.data.attrs})

    def _composition(
        self, intensities: xr.DataArray, factors: Mapping[str, KFactor], seed: int, film: Film | None = None
    ) -> dict[str, Estimate]:
        angle = json.loads(self.data.attrs.get("acquisition", "{}")).get("elevation_deg")
        table = film_composition(intensities, factors, film, elevation_deg=angle, in_counts=self.in_counts, seed=seed)
        return {str(name): Estimate(draws, str(name)) for name, draws in table.data_vars.items()}

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
        contents = sealed({"/": self.data.assign_attrs(format_version=FORMAT_VERSION)})
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

    def to_arviz(self) -> Any:
        """Hand the posterior draws to ArviZ.

        Returns
        -------
        arviz.InferenceData or xarray.DataTree
            Group ``posterior`` with dims (chain, draw, ...).
        """
        draws = {str(name): values for name, values in self.data.data_vars.items() if "draw" in values.dims}
        return to_arviz(xr.Dataset(draws))


def open_result(path: str | Path) -> Any:
    """Open a result, or what else was saved: line maps, a plan, a calibration.

    Parameters
    ----------
    path : str or Path
        A file that ``save`` wrote.

    Returns
    -------
    Segmentation, Unmixing, LineMaps, or what else was saved
        The same.

    Raises
    ------
    InputError
        When the file does not exist, is damaged or was changed, or holds no result.
    """
    file = existing_file(path, do="bs.open({path!r})")
    groups = opened(file, "bs.load(path) for an image")
    data = groups["/"]
    data.attrs.pop("format_version", None)
    if saved_class(str(data.attrs.get(KIND))) is not None:
        return from_groups(groups)
    kind = data.attrs.get("result")
    if kind not in Result.kinds:
        raise InputError(f"{path} holds no result (result={kind!r})", "a saved result", "bs.load(path) for an image")
    return Result.kinds[kind](data)
