import shutil
import sys
import tomllib
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from bayesspec.errors import InputError, MissingExtraError
from bayesspec.files.file_problems import missing_package
from bayesspec.files.image_writing import save_image
from bayesspec.files.load import load, signals, to_hyperspy
from bayesspec.image.spectrum_image import SpectrumImage

P45 = "p45_dacite/P45_12bit_packed_8bit_compressed.bcf"
MANTLE = "mantle_71GPa/71GPa_experimental_data.hspy"
EELS = "sto_eels/DMReader_SpectrumImage_SI-EELS.dm3"
K412 = "nist_glass/K412/III-E K412_0_4.msa"
TRUNCATED = "nist_glass/K412/Al2O3 std.msa"
HAADF = "sto_eels/DMReader_SI-HAADF.dm3"
ROCK = ("Al", "Ca", "Cl", "Fe", "K", "Mg", "Na", "O", "P", "Si", "Ti")
LAMELLA = ("Al", "Ca", "Fe", "Hf", "Lu", "Mg", "Nd", "O", "Si", "Sm", "U")

pytest.importorskip("rsciio")


@pytest.mark.parametrize(
    ("file", "shape", "ends", "per_pixel", "pixel", "elements", "beam", "resolution", "elevation"),
    [
        (P45, (75, 100, 2048), (-0.472397, 19.999650), 122.126, (8.736785, "µm"), ROCK, 20, 126.0, 35),
        (
            "p45_dacite/P45_the_default_job.bcf",
            (75, 100, 2048),
            (-0.472397, 19.999650),
            22.125,
            (8.736785, "µm"),
            (),
            20,
            126.0,
            35,
        ),
        (MANTLE, (201, 201, 2048), (-0.47195, 19.99805), 176.533, (0.00171654, "µm"), LAMELLA, 200, 130, 22),
        (
            "fept_core_shell/core_shell.hspy",
            (64, 64, 992),
            (0.16, 19.98),
            215.838,
            (0.5, "nm"),
            ("Fe", "Pt"),
            200,
            130,
            35,
        ),
        (
            "fept_core_shell/bare_core.hspy",
            (84, 84, 992),
            (0.16, 19.98),
            61.995,
            (0.5, "nm"),
            ("Fe", "Pt"),
            200,
            130,
            35,
        ),
    ],
)
def test_measured_images(data, file, shape, ends, per_pixel, pixel, elements, beam, resolution, elevation):
    si = load(data / file)
    assert si.shape == shape
    assert (si.energy[0], si.energy[-1]) == pytest.approx(ends, abs=1e-6)
    assert si.counts_per_pixel == pytest.approx(per_pixel, abs=2e-3)
    assert si.pixel_size == pytest.approx((pixel[0], pixel[0]), rel=1e-5)
    assert (si.pixel_unit, si.energy_unit, si.counts.dtype) == (pixel[1], "keV", np.uint8)
    assert si.elements == elements
    acquired = si.acquisition
    assert (acquired.technique, acquired.beam_energy_kev, acquired.elevation_deg) == ("EDS", beam, elevation)
    assert acquired.resolution_mn_ka_ev == resolution
    assert si.counts.flags.c_contiguous


def test_the_resolution_in_the_file_is_the_width_of_the_measured_peak(data):
    """Si Ka in the summed spectrum: full width from its height and area, above the local background."""
    si = load(data / P45)
    near = (si.energy > 1.62) & (si.energy < 1.86)
    peak = si.sum_spectrum()[near].astype(float)
    peak -= np.linspace(peak[:3].mean(), peak[-3:].mean(), len(peak))
    width_ev = 1e3 * si.energy_step * peak.sum() / peak.max() * 2 * np.sqrt(np.log(2) / np.pi)
    fano = 8 * np.log(2) * 1e3 * 0.0004466  # the slope that a silicon detector has, eV^2 per eV
    expected = np.sqrt(si.acquisition.resolution_mn_ka_ev**2 - 1e3 * fano * (5.895 - 1.74))
    assert width_ev == pytest.approx(expected, rel=0.06)


def test_energy_losses_as_whole_counts(data):
    si = load(data / EELS)
    assert si.shape == (49, 6, 1024)
    assert (si.energy[0], si.energy[-1], si.energy_unit) == (350.0, 861.5, "eV")
    assert (si.counts.dtype, int(si.counts.min()), si.pixel_size) == (np.uint16, 44, None)
    assert (si.acquisition.technique, si.acquisition.beam_energy_kev) == ("EELS", 200.0)
    assert si.counts_per_pixel == pytest.approx(1.527e6, rel=1e-3)
    assert si.counts.flags.c_contiguous


def test_a_spectrum_in_ev_becomes_kev(data):
    si = load(data / K412)
    assert si.shape == (1, 1, 4096)
    assert (si.energy[0], si.energy_step) == pytest.approx((0.00163032, 0.00999856))
    assert si.acquisition.live_time_s == pytest.approx(235.484, abs=1e-3)
    assert si.energy[np.argmax(si.sum_spectrum()[150:200]) + 150] == pytest.approx(1.74, abs=0.01)


def test_a_spectrum_that_its_reader_loses_is_found(data):
    si = load(data / TRUNCATED)
    assert si.shape == (1, 1, 4096)
    assert si.name == "Al2O3 std"
    assert si.counts_per_pixel > 1e6
    assert "4096 channels" in signals(data / TRUNCATED)[0]


def test_the_other_signals_of_a_file_are_offered(data):
    lines = signals(data / P45)
    assert [line.split(":")[0] for line in lines] == ["[0] 'BSE'", "[1] 'SE'", "[2] 'EDX'"]
    assert load(data / P45, signal=2).shape == load(data / P45, signal="EDX").shape
    for picked in ("BSE", 0, 7, "EDS"):
        with pytest.raises(InputError, match="no spectra to choose from") as raised:
            load(data / P45, signal=picked)
        assert all(line in raised.value.found for line in lines)
        assert raised.value.do == "bs.load(path, signal=2)"


def test_an_image_without_spectra_is_refused(data):
    with pytest.raises(InputError, match="06-HAADF.*no energy axis"):
        load(data / HAADF)


def test_arguments_complete_what_the_file_says(data):
    mask = np.zeros((75, 100), bool)
    mask[3] = True
    si = load(data / P45, elements=["Fe"], mask=mask)
    assert si.elements == ("Fe",)
    assert si.valid.sum() == 74 * 100
    with pytest.raises(InputError, match=r"mask of shape \(2, 2\)"):
        load(data / P45, mask=np.zeros((2, 2), bool))
    half = load(data / P45, reader_options={"downsample": 5})
    assert half.shape[:2] == (15, 20)
    assert half.counts.sum() == load(data / P45).counts.sum()


@pytest.mark.parametrize("name", ["K412[0][4].msa", "K412*.msa", "K412 ?.MSA"])
def test_brackets_and_asterisks_are_part_of_the_name(data, tmp_path, name):
    shutil.copy(data / K412, tmp_path / name)
    (tmp_path / "K4120.msa").write_text("decoy")
    assert load(tmp_path / name).counts_per_pixel == 8079537
    assert load(str(tmp_path / name)).shape == (1, 1, 4096)


def test_paths_that_lead_nowhere(tmp_path):
    (tmp_path / "scan.hspy").write_bytes(b"not HDF5")
    (tmp_path / "scan.txt").write_text("1 2 3")
    (tmp_path / "scan.h5").write_bytes(b"")
    for name, message, do in (
        ("scam.hspy", "no file", "scan.hspy"),
        ("nowhere/scan.hspy", "no file", "check the path"),
        ("", "the folder", "scan.bcf"),
        ("scan.hspy", "HSPY reader cannot read", "export it again"),
        ("scan.txt", "no reader", "bs.SpectrumImage"),
        ("scan.h5", "readers claim: .*USID", "reader="),
    ):
        with pytest.raises(InputError, match=message) as raised:
            load(tmp_path / name)
        assert do in raised.value.do
        assert raised.value.needed
    with pytest.raises(InputError, match="of the name 'nobody'"):
        load(tmp_path / "scan.txt", reader="nobody")
    with pytest.raises(InputError, match="type ndarray"):
        load(np.ones(3))


def test_files_need_rosettasciio_and_nothing_else(data, monkeypatch):
    for name in ("hyperspy", "hyperspy.api", "exspy"):
        monkeypatch.setitem(sys.modules, name, None)
    assert load(data / MANTLE).shape == (201, 201, 2048)
    with pytest.raises(MissingExtraError, match=r"'hyperspy' is not installed(?s:.*)bayesspec\[io\]"):
        to_hyperspy(xr.DataArray(np.ones(3), dims="energy"))
    monkeypatch.setitem(sys.modules, "rsciio", None)
    with pytest.raises(MissingExtraError, match=r"'rosettasciio' is not installed(?s:.*)\.bcf"):
        load(data / P45)


def test_a_package_that_a_reader_lacks_is_named(data, monkeypatch):
    monkeypatch.delitem(sys.modules, "rsciio.hspy", raising=False)
    monkeypatch.delitem(sys.modules, "rsciio.hspy._api", raising=False)
    monkeypatch.setitem(sys.modules, "h5py", None)
    monkeypatch.setattr(sys, "executable", "")  # an embedded interpreter reads in its own process
    with pytest.raises(MissingExtraError, match=r"'h5py' is not installed(?s:.*)\.hspy"):
        load(data / MANTLE)


def test_what_the_caller_knows_replaces_what_the_file_says(tmp_path: Path) -> None:
    image = SpectrumImage(np.ones((2, 2, 300), int), energy=0.1 + 0.03 * np.arange(300), elements=("Fe",))
    path = save_image(image, tmp_path / "image.npz")
    mask = np.array([[True, False], [False, False]])
    loaded = load(path, elements=["O"], mask=mask, resolution_mn_ka_ev=127)
    assert loaded.elements == ("O",)
    assert loaded.acquisition.resolution_mn_ka_ev == 127.0
    np.testing.assert_array_equal(loaded.valid, ~mask)


@pytest.mark.parametrize("name", ["image.npz", "image.nc"])
def test_an_axis_can_be_stated_for_every_file(tmp_path: Path, name: str) -> None:
    image = SpectrumImage(np.ones((2, 2, 300), int), energy=0.1 + 0.03 * np.arange(300))
    path = save_image(image, tmp_path / name)
    loaded = load(path, energy_scale=20.0, energy_offset=-100.0, energy_unit="eV", pixel_size=(2, 1), live_time=30)
    np.testing.assert_allclose(loaded.energy, -0.1 + 0.02 * np.arange(300))
    assert (loaded.energy_unit, loaded.pixel_size, loaded.pixel_unit) == ("keV", (2.0, 1.0), "nm")
    assert loaded.acquisition.live_time_s == 30.0
    with pytest.raises(InputError, match="energy_scale=0"):
        load(path, energy_scale=0)
    with pytest.raises(InputError, match="resolution=130.0 and resolution_mn_ka_ev=130.0"):
        load(path, resolution=130, resolution_mn_ka_ev=130)


def test_the_extra_installs_what_its_packages_are_said_to_come_from() -> None:
    declared = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    io = " ".join(declared["optional-dependencies"]["io"])
    assert all(name in io for name in ("rosettasciio[", "zspy", "hdf5", "eds-stream", "speed", "tifffile", "exspy"))
    assert "pip install 'bayesspec[io]'" in str(missing_package("zarr", Path("scan.zspy")))
    assert str(missing_package("mrcz", Path("scan.mrcz"))).endswith("Type: pip install mrcz")


def test_a_map_in_zarr(tmp_path: Path) -> None:
    pytest.importorskip("zarr")
    counts = np.random.default_rng(0).poisson(2.0, (3, 4, 50)).astype(np.uint8)
    axes = [
        {"name": name, "units": unit, "scale": scale, "offset": 0.0, "size": n, "navigate": name != "Energy"}
        for name, unit, scale, n in (("y", "nm", 2.0, 3), ("x", "nm", 2.0, 4), ("Energy", "keV", 0.01, 50))
    ]
    signal = {"data": counts, "axes": axes, "metadata": {"Signal": {"signal_type": "EDS_TEM"}, "General": {}}}
    signal |= {"original_metadata": {}, "learning_results": {}, "models": {}, "package_info": {}}
    writer = pytest.importorskip("rsciio.zspy")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of zarr, about its own next version
        writer.file_writer(str(tmp_path / "map.zspy"), signal, close_file=True)
    np.testing.assert_array_equal(load(tmp_path / "map.zspy").counts, counts)
