import numpy as np
import pytest

from bayesspec.errors import InputError
from bayesspec.files.image_writing import save_image
from bayesspec.files.load import load, signals
from bayesspec.image.spectrum_image import Acquisition, SpectrumImage

ENERGY = 0.2 + 0.013 * np.arange(7)


def image(**fields):
    return SpectrumImage(np.random.default_rng(3).poisson(90.0, (3, 4, 7)), energy=ENERGY, **fields)


FULL = {
    "pixel_size": (2.0, 0.5),
    "pixel_unit": "nm",
    "mask": np.eye(3, 4, dtype=bool),
    "energy_mask": np.arange(7) == 2,
    "elements": ("Fe", "O"),
    "acquisition": Acquisition("EDS", 200.0, 129.5, 12.25, -3.5),
    "name": "grain µ",
    "truth": {
        "labels": np.arange(12).reshape(3, 4),
        "ratio": np.array([0.7, 0.8]),
        "lines": ("Fe_Ka",),
        "n": 2,
    },
}


def assert_same(one, other):
    for name in ("counts", "energy", "mask", "energy_mask"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    for name in ("energy_unit", "pixel_size", "pixel_unit", "elements", "acquisition", "name"):
        assert getattr(one, name) == getattr(other, name)
    assert one.counts.dtype == other.counts.dtype
    assert (one.truth is None) == (other.truth is None)
    for name, value in (one.truth or {}).items():
        assert type(other.truth[name]) is type(value)
        np.testing.assert_array_equal(other.truth[name], value)


@pytest.mark.parametrize("ending", [".npz", ".nc", ".NC"])
@pytest.mark.parametrize(
    "fields",
    [FULL, {"name": "bare"}, {"acquisition": Acquisition("EELS"), "energy_unit": "eV", "elements": ["Ti"]}],
)
def test_what_was_saved_is_loaded(tmp_path, ending, fields):
    si = image(**fields)
    path = save_image(si, tmp_path / f"a [1]*{ending}")
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert_same(si, load(path))
    assert len(signals(path)) == 1


@pytest.mark.parametrize("ending", [".npz", ".nc"])
def test_arguments_complete_what_the_file_says(tmp_path, ending):
    path = save_image(image(**FULL), tmp_path / f"a{ending}")
    more = np.zeros((3, 4), bool)
    more[2, 3] = True
    si = load(path, elements=["Pt"], mask=more)
    assert si.elements == ("Pt",)
    np.testing.assert_array_equal(si.mask, FULL["mask"] | more)


@pytest.mark.parametrize("ending", [".npz", ".nc"])
def test_a_file_is_not_overwritten_unasked(tmp_path, ending):
    path = save_image(image(name="first"), tmp_path / f"a{ending}")
    with pytest.raises(InputError, match="exists already"):
        save_image(image(name="second"), path)
    assert load(path).name == "first"
    save_image(image(name="second"), path, overwrite=True)
    assert load(path).name == "second"


def test_an_interrupted_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = save_image(image(name="first"), tmp_path / "a.npz")

    def interrupted(file, **arrays):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez_compressed", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_image(image(name="second"), path, overwrite=True)
    assert load(path).name == "first"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("a.h5", {}, "a.h5"),
        ("missing/a.nc", {}, "no folder"),
        ("a.nc", {"truth": {"phase": {"a": 1}}}, r"truth\['phase'\] of type dict"),
    ],
)
def test_what_cannot_be_saved_is_refused(tmp_path, name, fields, message):
    with pytest.raises(InputError, match=message):
        save_image(image(**fields), tmp_path / name)
    assert list(tmp_path.iterdir()) == []
