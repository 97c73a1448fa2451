"""Commands that fit one image: their options are the function's, their answers are for people and for programs."""

import inspect
import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

import bayesspec as bs
from bayesspec import cli
from bayesspec.cli import fits
from bayesspec.cli.elements import with_elements
from bayesspec.cli.fits import FITS
from bayesspec.cli.options import OPTIONS, READING, given
from bayesspec.cli.reading import read, recorded
from bayesspec.errors import InputError
from bayesspec.files.load import load


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    image = bs.simulate.iron_oxides(1000, (8, 8), seed=0)
    return bs.save_image(replace(image, elements=()), tmp_path_factory.mktemp("scan") / "scan.npz")


def run(*arguments):
    ended = CliRunner().invoke(cli.main, [str(one) for one in arguments])
    assert ended.exit_code == 0, ended.output
    return ended


@pytest.mark.parametrize("name", FITS)
def test_options_are_arguments_of_the_function(name):
    fit = FITS[name]
    known = inspect.signature(fit.function).parameters
    assert set(fit.options) | set(fit.arguments) <= set(known)


def test_options_of_reading_are_arguments_of_load():
    assert set(READING) - {"energy", "rebin"} <= set(inspect.signature(load).parameters)


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_is_explained(name):
    assert OPTIONS[name]["help"].endswith((".", ".."))


def test_what_is_not_given_is_left_to_the_library():
    assert given({"seed": 0, "draws": None, "prior_from": (), "rank": 2}, ("seed", "draws", "prior_from", "rank")) == {
        "seed": 0,
        "rank": 2,
    }


def test_maps_are_answered_as_json_and_written(scan, tmp_path):
    out = tmp_path / "out"
    answer = json.loads(run("maps", scan, "--elements", "Fe,O", "--json", "--out", out).stdout)
    assert answer["file"] == str(scan)
    assert answer["kind"] == "intensity maps"
    assert answer["data"]["arrays"]["intensities"]["shape"][:2] == [8, 8]
    assert np.shape(answer["data"]["arrays"]["continuum"]["values"]) == (8, 8)
    assert (out / "report.html").exists()
    assert bs.open(out / "intensity_maps.nc").data.sizes["y"] == 8
    again = CliRunner().invoke(cli.main, ["maps", str(scan), "--elements", "Fe,O", "--out", str(out)])
    assert again.exit_code == 2
    assert "--overwrite" in again.stderr


def test_components_of_another_sample_are_handed_over(fit, scan, tmp_path, monkeypatch):
    seen = {}

    def unmix(image, **others):
        seen.update(others)
        return fit

    monkeypatch.setitem(FITS, "unmix", replace(FITS["unmix"], function=unmix))
    monkeypatch.setitem(cli.main.commands, "unmix", fits.fit_command("unmix", FITS["unmix"]))
    path = fit.save(tmp_path / "fit.nc")
    run(
        "unmix",
        scan,
        "--rank",
        2,
        "--draws",
        50,
        "--prior-from",
        f"{path}:1",
        "--elements",
        "Fe,O",
        "--energy",
        "0.3,0.6",
    )
    assert [one.name for one in seen["prior_from"]] == [fit.component(1).name]
    assert (seen["rank"], seen["draws"], seen["elements"]) == (2, 50, ["O"])
    run("unmix", scan, "--prior-from", path)
    assert len(seen["prior_from"]) == fit.rank


def test_elements_of_which_nothing_is_recorded_do_not_stop_the_others(image, capsys):
    cropped = replace(image, elements=("Fe", "O")).crop(energy=(6.0, 7.0))
    assert recorded(cropped).elements == ("Fe",)
    assert "O left out" in capsys.readouterr().err
    with pytest.raises(InputError, match="O, of which nothing lies in 6 to 7 keV"):
        recorded(replace(cropped, elements=("O",)))


def test_elements_that_nobody_named_are_found(image, capsys):
    found = with_elements(replace(image, elements=()))
    assert set(found.elements) == {"Fe", "O"}
    assert "found by their lines" in capsys.readouterr().err
    assert with_elements(image) is image


def test_saved_results_are_compared_and_checked(fit, seg, image, tmp_path):
    file = bs.save_image(image, tmp_path / "image.npz")
    components = fit.save(tmp_path / "components.nc")
    assert "Poisson NMF" in run("compare", file, components).stdout
    answer = json.loads(run("check", file, components, "--json").stdout)
    assert "verdict" in answer["attributes"]
    assert "dispersion: " in run("check", file).stdout


def test_completion_is_a_script():
    assert "_BAYESSPEC_COMPLETE" in run("completion", "bash").stdout


def test_what_is_in_a_file_as_json(scan):
    answer = json.loads(run("info", scan, "--json", "--beam-energy", 80, "--pixel-size", "2,3").stdout)
    assert answer["beam energy kev"] == 80.0
    assert answer["pixel size"] == "2 x 3 nm"
    assert answer["signals"][0].startswith("[0]")
    assert "noise" in answer


def test_an_axis_is_refined(tmp_path):
    image = bs.simulate.iron_oxides(3000, (8, 8), seed=0)
    file, mended = bs.save_image(image, tmp_path / "a.npz"), tmp_path / "b.npz"
    answer = json.loads(run("calibrate", file, "--save", mended, "--json").stdout)
    assert answer["gain"][0] == pytest.approx(1.0, abs=0.01)
    assert load(mended).counts.sum() == image.counts.sum()


@pytest.mark.filterwarnings("ignore")
def test_energy_losses_are_divided_by_the_gain_of_the_camera(tmp_path):
    image = bs.simulate.eels_edges(2000, 16, seed=0)
    saved = replace(image, counts=10 * image.counts.astype(int), truth=None)
    found = read(bs.save_image(saved, tmp_path / "gain.npz"), {})
    assert found.counts.sum() == pytest.approx(image.counts.sum(), rel=0.2)
    assert read(bs.save_image(image, tmp_path / "counts.npz"), {}).counts.sum() == image.counts.sum()
