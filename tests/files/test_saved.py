"""Everything that a user holds is saved and opened without loss: one table of all types."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import bayesspec as bs
from bayesspec.files.netcdf import sealed
from bayesspec.files.saved import Saved, SavedPart
from bayesspec.results.estimate import BandedEstimate
from bayesspec.results.intensity_maps import MappedEstimate, RatioOfPixels
from bayesspec.results.line_unmixing import RangedEstimate
from bayesspec.results.result import Result
from bayesspec.workflows.identify_lines import FoundElement


def estimate() -> bs.Estimate:
    draws = np.random.default_rng(0).normal(1.0, 0.1, (50, 2))
    draws[3, 1] = np.inf
    return bs.Estimate(xr.DataArray(draws, dims=("draw", "phase"), coords={"phase": [0, 1]}, name="r"), "Fe_Ka/O_Ka")


def banded() -> BandedEstimate:
    ends = xr.DataArray([0.5, np.nan], dims="phase")
    return BandedEstimate(estimate().draws, "share", ends, ends + 1, ends > 0)


def ranged() -> RangedEstimate:
    ends = xr.DataArray([0.5, 1.0], dims="phase")
    return RangedEstimate(estimate().draws[:1], "share", ends, ends + 1, 0.95)


def mapped() -> MappedEstimate:
    values = estimate().draws[:1]
    return MappedEstimate(values, "counts", 0.1 * values[0])


def spectra() -> xr.DataArray:
    draws = np.random.default_rng(0).dirichlet(np.ones(9), 20).astype(np.float32)
    return xr.DataArray(draws, dims=("draw", "energy"), coords={"energy": ("energy", np.arange(9.0), {"units": "keV"})})


def spectrum() -> bs.SpectrumImage:
    return bs.simulate.compounds(3000, (8, 8), seed=0).rebin(y=8, x=8)


def gain_of(image: bs.SpectrumImage) -> bs.GainCorrection:
    return bs.GainCorrection(image, 3.7, float("nan"))


def comparison(image: bs.SpectrumImage, maps: bs.LineMaps) -> Any:
    return bs.compare(image, [bs.classical.kmeans(maps, 2), bs.classical.nmf(image, 2, max_iterations=20)])


OBJECTS: dict[str, Callable[..., Any]] = {
    "LineMaps": lambda image, maps, seg: maps,
    "LineMaps bare": lambda image, maps, seg: bs.LineMaps(
        np.ones((2, 3, 1), int), ["Fe_Ka"], mask=np.ones((2, 3), bool)
    ),
    "Estimate": lambda image, maps, seg: estimate(),
    "BandedEstimate": lambda image, maps, seg: banded(),
    "RangedEstimate": lambda image, maps, seg: ranged(),
    "MappedEstimate": lambda image, maps, seg: mapped(),
    "RatioOfPixels": lambda image, maps, seg: RatioOfPixels(
        mapped().draws, "Fe/O", mapped().spread, xr.concat([1 + mapped().spread] * 5, "moment")
    ),
    "DosePlan": lambda image, maps, seg: bs.plan_dose((0.5, 2.0), shape=(8, 8), doses=[100.0], seed=0),
    "PhaseComparison": lambda image, maps, seg: seg.compare_phases(0, 1),
    "SampleComparison": lambda image, maps, seg: bs.compare_samples(seg, seg, "Fe_Ka", "O_Ka"),
    "Component": lambda image, maps, seg: bs.Component(spectra(), "grain µ"),
    "EnergyCalibration": lambda image, maps, seg: bs.calibrate_energy(spectrum(), lines=["Fe_La"]),
    "Identification": lambda image, maps, seg: bs.Identification(
        (FoundElement("Fe", "Fe_Ka", 1e3, 40.0, local=False), FoundElement("O", "O_Ka", 9.0, np.inf, local=True)), image
    ),
    "Identification of nothing": lambda image, maps, seg: bs.Identification((), image),
    "GainCorrection": lambda image, maps, seg: gain_of(image),
    "Film": lambda image, maps, seg: bs.Film((5e-4, 1e-5), elevation_deg=22.0),
    "Comparison": lambda image, maps, seg: comparison(image, maps),
}
"""An object of every class that has ``save`` of its own; results are in the table below."""
RESULTS = {
    "Segmentation": lambda image, maps, seg: seg,
    "Unmixing": lambda image, maps, seg: bs.classical.nmf(image, 2, max_iterations=20),
    "PrincipalComponents": lambda image, maps, seg: bs.classical.svd(image, 2),
    "IntensityMaps": lambda image, maps, seg: bs.model_maps(image, ["Fe", "O"]),
    "LineFit": lambda image, maps, seg: bs.fit_lines(spectrum(), draws=20),
}


def assert_same(one: Any, other: Any, place: str = "") -> None:
    assert type(one) is type(other), place
    if isinstance(one, xr.Dataset | xr.DataArray):
        xr.testing.assert_identical(one, other)
    elif isinstance(one, np.ndarray):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype, place
    elif isinstance(one, Result):
        xr.testing.assert_identical(one.data, other.data)
    elif dataclasses.is_dataclass(one):
        for part in dataclasses.fields(one):
            assert_same(getattr(one, part.name), getattr(other, part.name), f"{place}.{part.name}")
    elif isinstance(one, Mapping):
        assert list(one) == list(other), place
        for key in one:
            assert_same(one[key], other[key], f"{place}[{key!r}]")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), place
        for i, (first, second) in enumerate(zip(one, other, strict=True)):
            assert_same(first, second, f"{place}[{i}]")
    else:
        assert one == other or (one != one and other != other), place


@pytest.mark.parametrize("name", [*OBJECTS, *RESULTS])
def test_what_is_saved_is_opened_as_it_was(tmp_path: Path, image, maps, seg, name: str) -> None:
    saved = (OBJECTS | RESULTS)[name](image, maps, seg)
    path = saved.save(tmp_path / "x.nc")
    assert_same(saved, bs.open(path))
    assert repr(bs.open(path)) == repr(saved)
    with pytest.raises(bs.InputError, match="exists already"):
        saved.save(path)
    assert saved.save(path, overwrite=True) == path
    assert [file.name for file in tmp_path.iterdir()] == ["x.nc"]


def test_the_table_holds_every_class() -> None:
    named = {name.split()[0] for name in OBJECTS}
    own = {kind.__name__ for kind in SavedPart.kinds_saved.values() if issubclass(kind, Saved) and kind is not Saved}
    assert named == own


def test_what_no_file_can_hold_is_refused(tmp_path: Path, image, maps) -> None:
    for truth in ({"a": object()}, {"a": np.array([object()])}, {"a": {1: 2}}):
        with pytest.raises(bs.InputError, match="truth_a"):
            dataclasses.replace(maps, truth=truth).save(tmp_path / "x.nc")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "fields", ['{"object": "LineMaps", "fields": {}}', '{"object": "Nothing"}', "no JSON", "[1, 2"]
)
def test_a_file_without_all_that_it_should_hold_is_refused(tmp_path: Path, fields: str) -> None:
    attrs = {"object": "LineMaps", "fields": fields}
    (tmp_path / "x.nc").write_bytes(sealed({"/": xr.Dataset(attrs=attrs)}))
    with pytest.raises(bs.InputError):
        bs.open(tmp_path / "x.nc")
