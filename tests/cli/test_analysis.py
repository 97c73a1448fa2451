"""What is analysed depends on what the file holds."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

import bayesspec as bs
from bayesspec import cli
from bayesspec.cli.analysis import kind_of
from bayesspec.cli.analysis_files import new_name

EELS = bs.Acquisition(technique="EELS")


@pytest.mark.parametrize(
    ("shape", "technique", "first", "kind"),
    [
        ((1, 1), "EDS", 0.1, "a single EDS spectrum"),
        ((1, 4), "EDS", 0.1, "an EDS line scan"),
        ((3, 4), "EDS", 0.1, "an EDS map"),
        ((1, 1), "EELS", 400.0, "a single EELS spectrum"),
        ((3, 4), "EELS", 400.0, "an EELS map"),
        ((3, 4), "EELS", -5.0, "an EELS low loss"),
    ],
)
def test_kinds(shape, technique, first, kind):
    energy = first + np.arange(20.0)
    image = bs.SpectrumImage(
        np.ones((*shape, 20), int),
        energy=energy,
        energy_unit="keV" if technique == "EDS" else "eV",
        acquisition=bs.Acquisition(technique=technique),
    )
    assert kind_of(image) == kind


def test_a_new_folder_is_named_after_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(new_name(tmp_path / "a b.bcf")) == "a b-report"
    (tmp_path / "a b-report").mkdir()
    assert str(new_name(tmp_path / "a b.bcf")) == "a b-report-2"


def analysed(image, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = bs.save_image(image, tmp_path / "file.npz")
    ended = CliRunner().invoke(cli.main, ["analyse", str(path), "--json"])
    assert ended.exit_code == 0, ended.output
    assert (tmp_path / "file-report" / "report.html").exists()
    return json.loads(ended.stdout)


def test_a_spectrum_without_elements(tmp_path, monkeypatch):
    image = bs.simulate.iron_oxides(3000, (6, 6), seed=0)
    spectrum = replace(image.rebin(y=6, x=6), elements=())
    answer = analysed(spectrum, tmp_path, monkeypatch)
    assert answer["kind"] == "a single EDS spectrum"
    assert [one["kind"] for one in answer["results"]] == ["line fit"]
    assert {"Fe_Ka", "O_Ka"} <= {row[0] for row in answer["results"][0]["table"]["rows"]}


def test_a_low_loss(tmp_path, monkeypatch):
    energy = np.arange(-10.0, 60.0, 0.5)
    zero = np.exp(-0.5 * (energy / 0.8) ** 2)
    loss = np.exp(-0.5 * ((energy - 20) / 4) ** 2)
    thickness = 0.7
    rate = zero / zero.sum() + (np.exp(thickness) - 1) * loss / loss.sum()
    counts = np.random.default_rng(0).poisson(1e5 * np.exp(-thickness) * rate, (4, 5, len(energy)))
    image = bs.SpectrumImage(counts, energy=energy, energy_unit="eV", acquisition=EELS)
    answer = analysed(image, tmp_path, monkeypatch)
    found = bs.open(tmp_path / "file-report" / "thickness.nc")
    assert answer["kind"] == "an EELS low loss"
    assert np.median(found.data["t_over_lambda"]) == pytest.approx(thickness, abs=0.02)
