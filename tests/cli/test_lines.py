"""Lines of several spectra: the same elements in all, weighted means, scatter."""

import json
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner

import bayesspec as bs
from bayesspec import cli
from bayesspec.cli.lines import weighted
from bayesspec.results.estimate import Estimate


def estimate(mean, sd):
    draws = np.array([mean - sd, mean + sd]) if sd else np.array([mean, mean])
    return Estimate(xr.DataArray(draws, dims="draw"), "ratio")


def test_the_weighted_mean_and_its_scatter():
    found = weighted([estimate(1.0, 0.1), estimate(2.0, 0.2)])
    w = 1 / np.array([float(estimate(0, s).sd) for s in (0.1, 0.2)]) ** 2
    mean = (w @ [1.0, 2.0]) / w.sum()
    assert found["mean"] == pytest.approx(mean)
    assert found["sd"] == pytest.approx(w.sum() ** -0.5)
    assert found["scatter"] == pytest.approx(np.sqrt(0.5))
    assert found["excess"] == pytest.approx(np.sqrt(w @ (np.array([1.0, 2.0]) - mean) ** 2))


@pytest.fixture(scope="module")
def spectra(tmp_path_factory):
    folder = tmp_path_factory.mktemp("spectra")
    paths = []
    for seed in (0, 1):
        image = bs.simulate.iron_oxides(3000, (6, 6), seed=seed)
        counts = image.counts.sum(axis=(0, 1), dtype=int)
        spectrum = bs.SpectrumImage(counts, energy=image.energy, acquisition=image.acquisition, name=f"spot {seed}")
        paths.append(bs.save_image(spectrum, folder / f"spot{seed}.npz"))
    return paths


def test_several_spectra_in_one_table(spectra, tmp_path):
    out = tmp_path / "out"
    ended = CliRunner().invoke(cli.main, ["lines", *map(str, spectra), "--json", "--out", str(out)])
    assert ended.exit_code == 0, ended.output
    answer = json.loads(ended.stdout)
    assert [{one["element"] for one in file["elements"]} for file in answer["files"]] == [{"Fe", "O"}] * 2
    rows = {row["name"]: row for row in answer["combined"]}
    ratio = rows["O_Ka/Fe_Ka"] if "O_Ka/Fe_Ka" in rows else rows["Fe_Ka/O_Ka"]
    assert min(ratio["values"]) <= ratio["mean"] <= max(ratio["values"])
    assert ratio["sd"] < min(ratio["sds"])
    assert rows["Fe (at.%)"]["mean"] + rows["O (at.%)"]["mean"] == pytest.approx(100, abs=1)
    assert {"report.html", "lines.csv", "line_fit_0.nc", "line_fit_1.nc"} <= {path.name for path in out.iterdir()}
    assert len((out / "lines.csv").read_text().splitlines()) == 1 + len(rows)


def test_a_thick_sample_has_no_composition_without_standards(spectra, tmp_path):
    ended = CliRunner().invoke(cli.main, ["lines", str(spectra[0]), "--beam-energy", "15", "--elements", "Fe,O"])
    assert ended.exit_code == 0, ended.output
    assert "needs standards" in ended.stdout
    assert "at.%" not in ended.stdout
    thin = CliRunner().invoke(
        cli.main, ["lines", str(spectra[0]), "--beam-energy", "15", "--elements", "Fe,O", "--thin"]
    )
    assert "as of a thin film" in thin.stdout


def test_what_is_no_x_ray_spectrum_is_refused(spectra, tmp_path):
    image = bs.simulate.eels_edges(50, 16, seed=0)
    path = bs.save_image(replace(image, elements=()), tmp_path / "eels.npz")
    ended = CliRunner().invoke(cli.main, ["lines", str(path)])
    assert ended.exit_code == 2
    assert "EELS" in ended.stderr
