"""Results are saved and opened without loss, and nothing is overwritten."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import bayesspec as bs
from bayesspec.results.dataset import attributes


def test_what_is_not_a_result_is_refused(tmp_path: Path) -> None:
    with pytest.raises(bs.InputError, match="no file"):
        bs.open(tmp_path / "absent.nc")
    (tmp_path / "text.nc").write_text("not netCDF")
    with pytest.raises(bs.InputError, match="is not netCDF"):
        bs.open(tmp_path / "text.nc")
    xr.Dataset({"a": ("x", np.ones(3))}).to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    with pytest.raises(bs.InputError, match="holds no result"):
        bs.open(tmp_path / "other.nc")


def test_attributes_carry_versions_and_settings() -> None:
    attrs = attributes(name="a", method="b", status="c", converged=True, settings={"seed": 3})
    result = bs.Segmentation(xr.Dataset(attrs=attrs | {"verdict": "1 phase"}))
    assert result.provenance["seed"] == 3
    assert result.provenance["versions"]["numpy"] == np.__version__
    assert (result.name, result.method, result.status, result.converged) == ("a", "b", "c", True)


@pytest.mark.filterwarnings("ignore")
def test_hyperspy_gets_spectra_and_maps(fit: bs.Unmixing, seg: bs.Segmentation) -> None:
    pytest.importorskip("hyperspy")
    signals = fit.to_hyperspy()
    assert set(signals) == {"spectra", "abundances"}
    np.testing.assert_array_equal(signals["spectra"].data, fit.spectra["mean"].values)
    assert signals["spectra"].axes_manager.signal_axes[0].units == "keV"
    assert seg.to_hyperspy()["labels"].data.shape == (20, 26)


@pytest.mark.parametrize("given", [7, "fit", None, [7], np.array(3)])
def test_what_is_no_result_is_not_reported(given: object, tmp_path: Path) -> None:
    with pytest.raises(bs.InputError):
        bs.report(given, tmp_path / "page.html")  # type: ignore[arg-type]
