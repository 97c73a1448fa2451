import numpy as np
import pytest

from bayesspec.errors import InputError
from bayesspec.files import reader_process
from bayesspec.files.hyperspy_signal import from_reader
from bayesspec.files.reader_process import Request, read
from bayesspec.files.signal_choice import as_detectors, choose


def found(values, *, title="EDX", technique="EDS_SEM", unit="keV", scale=0.01, offset=0.0):
    """As a reader gives a spectrum image, or an image where there is no unit."""
    sizes = values.shape
    axes = [{"name": name, "size": n, "units": "nm", "navigate": True} for name, n in zip("yx", sizes, strict=False)]
    if unit:
        energy = {"name": "Energy", "size": sizes[2], "scale": scale, "offset": offset, "units": unit}
        axes.append(energy | {"navigate": False})
    metadata = {"General": {"title": title}, "Signal": {"signal_type": technique if unit else ""}}
    return {"data": values, "axes": axes, "metadata": metadata, "original_metadata": {"shared": 1}}


def maps(*scales):
    rng = np.random.default_rng(0)
    made = [found(rng.poisson(2.0, (3, 4, 10)).astype(np.uint8), scale=scale) for scale in scales]
    return [found(np.zeros((3, 4)), title="BSE", unit=""), *made]


class Bruker:
    """Stands for the reader: the first map alone, unless all are asked for."""

    signals = maps(0.01, 0.01)

    @classmethod
    def file_reader(cls, path, **options):
        return cls.signals if options.get("index") == "all" else cls.signals[:2]


def of_bruker(tmp_path, monkeypatch, **options):
    file = tmp_path / "map.bcf"
    file.write_bytes(b"counts")
    monkeypatch.setattr(reader_process.importlib, "import_module", lambda name: Bruker)
    return read(Request(file, "Bruker", "bruker", options))


def test_detectors_of_one_map_are_summed_and_said(tmp_path, monkeypatch):
    signals = of_bruker(tmp_path, monkeypatch)
    chosen = choose(signals, None, "map.bcf")
    np.testing.assert_array_equal(chosen.data, sum(one["data"].astype(int) for one in Bruker.signals[1:]))
    assert chosen.notes == ("The counts of 2 detectors are summed: detector 1, detector 2.",)
    np.testing.assert_array_equal(choose(signals, 2, "map.bcf").data, Bruker.signals[2]["data"])


def test_whoever_asks_for_a_detector_gets_it(tmp_path, monkeypatch):
    signals = of_bruker(tmp_path, monkeypatch, index=0)
    chosen = choose(signals, None, "map.bcf")
    np.testing.assert_array_equal(chosen.data, Bruker.signals[1]["data"])
    assert chosen.notes == ()


def test_a_single_detector_is_no_sum():
    signals = as_detectors([from_reader(one) for one in maps(0.01)], "map.bcf")
    assert choose(signals, None, "map.bcf").notes == ()


def test_detectors_of_other_calibration_are_not_added():
    signals = as_detectors([from_reader(one) for one in maps(0.01, 0.0101)], "map.bcf")
    with pytest.raises(InputError, match="2 spectra to choose from") as error:
        choose(signals, None, "map.bcf")
    assert error.value.do == "bs.load(path, signal=1)"


def test_cubes_of_one_file_are_told_apart_by_what_they_hold():
    """Velox saves every range of energy losses as a cube of the same title, beside X-rays."""
    rng = np.random.default_rng(1)
    ranges = [(0.1, -10.0, 900), (0.5, 300.0, 40), (0.5, 800.0, 7)]
    cubes = [
        found(
            rng.poisson(rate, (3, 4, 10)).astype(np.uint16),
            title="EELS",
            technique="EELS",
            unit="eV",
            scale=scale,
            offset=offset,
        )
        for scale, offset, rate in ranges
    ]
    signals = [from_reader(one) for one in (*maps(0.01)[1:], *cubes)]
    with pytest.raises(InputError, match="4 spectra to choose from") as error:
        choose(signals, None, "map.emd")
    lines = error.value.found.splitlines()[1:]
    assert [line.split("]")[0].strip(" [") for line in lines] == ["0", "1", "2", "3"]
    for line, (scale, offset, _), cube in zip(lines[1:], ranges, cubes, strict=True):
        assert f"{offset:.4g} to {offset + 9 * scale:.4g} eV, {cube['data'].sum():,} counts" in line
        assert "3 x 4 pixels, 10 channels" in line
    np.testing.assert_array_equal(choose(signals, 2, "map.emd").data, cubes[1]["data"])
