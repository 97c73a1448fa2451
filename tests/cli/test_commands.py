"""The command line: what it writes, and how it ends."""

import re
import signal
import subprocess
import sys
import time

import click
import numpy as np
import pytest
from click.testing import CliRunner

import bayesspec as bs
from bayesspec import classical, cli
from bayesspec.cli import analyse, analysis, commands
from bayesspec.cli.running import claimed
from bayesspec.results.opening import open as open_result

SMALL = ["--size", "16", "--dose", "3000"]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The files and the screen of a demonstration on few pixels."""
    out = tmp_path_factory.mktemp("demo") / "out"
    with pytest.MonkeyPatch.context() as patch:  # every further candidate is a compilation
        patch.setattr(analysis, "segment", lambda maps, phases, **other: bs.segment(maps, 2, **other))
        patch.setattr(analysis, "unmix", lambda image, rank, **other: bs.unmix(image, 1, draws=20, warmup=10, **other))
        return out, CliRunner().invoke(cli.main, ["demo", "--out", str(out), "--seed", "1", *SMALL])


def test_the_demonstration_writes_report_results_and_figures(demo):
    out, ended = demo
    assert ended.exit_code == 0, ended.output
    names = {path.relative_to(out).as_posix() for path in out.rglob("*")}
    assert {"report.html", "report.tex", "phases.nc", "components.nc", "figures/phases.pdf"} <= names
    assert "finding phases" in ended.stderr
    assert "truth" in ended.stdout
    assert "finding" not in ended.stdout


def test_saved_results_open_and_carry_the_seed(demo):
    out, _ = demo
    seg, fit = open_result(out / "phases.nc"), open_result(out / "components.nc")
    assert seg.provenance["seed"] == fit.provenance["seed"] == 1
    assert seg.lines == ("Fe_Ka", "O_Ka")
    assert f"Found: {seg.verdict}" in (out / "report.html").read_text()


def test_an_earlier_run_is_not_overwritten(demo):
    out, _ = demo
    before = (out / "report.html").read_bytes()
    ended = CliRunner().invoke(cli.main, ["demo", "--out", str(out), *SMALL])
    assert ended.exit_code == 2
    assert ended.stderr.startswith("Found: ")
    assert "--overwrite" in ended.stderr
    assert (out / "report.html").read_bytes() == before


@pytest.fixture
def scan(tmp_path):
    image = bs.simulate.iron_oxides(3000, (24, 16), seed=0)
    path = tmp_path / "scan.npz"
    bs.save_image(image, path)
    return path


def test_a_file_is_analysed_as_asked(scan, tmp_path, monkeypatch):
    seen = {}

    def stop(image, choices, files):
        seen.update(image=image, **vars(choices))
        return {"text": "nothing"}

    monkeypatch.setattr(analyse, "analyse_image", stop)
    arguments = ["analyse", str(scan), "--lines", "Fe_Ka, O_Ka", "--out", str(tmp_path / "out"), "--phases", "2-3"]
    arguments += ["--rank", "2", "--energy", "0.3,8", "--rebin", "2", "--seed", "5"]
    ended = CliRunner().invoke(cli.main, arguments)
    assert ended.exit_code == 0, ended.output
    assert seen["lines"] == ["Fe_Ka", "O_Ka"]
    assert (list(seen["phases"]), seen["rank"], seen["seed"]) == ([2, 3], 2, 5)
    assert seen["image"].shape[:2] == (12, 8)
    assert seen["image"].energy[[0, -1]] == pytest.approx([0.3, 8.0])


def test_what_is_in_a_file_is_printed(scan):
    ended = CliRunner().invoke(cli.main, ["info", str(scan)])
    assert ended.exit_code == 0, ended.output
    assert "24 x 16 pixels" in ended.stdout
    assert "elements: Fe, O" in ended.stdout
    assert "beam energy kev: 200" in ended.stdout


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--lines", "Xx_Ka"], "Found: "),
        (["--lines", "Fe_Ka,O_Ka", "--energy", "30,40"], "Needed: "),
        (["--phases", "3-1"], "1-6"),
        (["--phases", "many"], "1-6"),
        (["--energy", "1"], "0.2,12"),
        (["--rebin", "0"], "--rebin"),
        (["--elements", "Xx"], "--elements"),
        (["--energy", "30,40"], "--energy 30.0,40.0 leaves nothing"),
        (["--lines", "Fe_Ka,Fe_Ka"], "--lines"),
        (["--lines", "fe_ka,O_Ka"], "--lines"),
        (["--rebin", "40"], "--rebin 2"),
        (["--phases", "1-99999"], "--phases"),
        (["--seed", "-1"], "--seed"),
        (["--energy-unit", "J"], "--energy-unit"),
        (["--reader", "nobody"], "--reader"),
    ],
)
def test_wrong_input_ends_with_2_and_a_message(scan, tmp_path, more, said):
    ended = CliRunner().invoke(cli.main, ["analyse", str(scan), "--out", str(tmp_path / "out"), *more])
    assert ended.exit_code == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.output
    assert not re.search(r"\b(bs|si|np)\.|\w=[\[('\"]|True|None", ended.output), ended.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("out", ["/proc/x", "scan.npz", "scan.npz/out"])
def test_a_folder_that_cannot_be_made_is_refused(scan, tmp_path, monkeypatch, out):
    monkeypatch.chdir(tmp_path)
    ended = CliRunner().invoke(cli.main, ["analyse", str(scan), "--out", out])
    assert ended.exit_code == 2
    assert "cannot be made" in ended.stderr
    assert "--out" in ended.stderr


def test_the_folder_of_another_run_is_refused_before_the_work(scan, tmp_path, monkeypatch):
    monkeypatch.setattr(analysis, "segment", lambda *_, **__: pytest.fail("the work was begun"))
    with claimed(tmp_path / "out"):
        ended = CliRunner().invoke(cli.main, ["analyse", str(scan), "--out", str(tmp_path / "out")])
    assert ended.exit_code == 2
    assert "another run" in ended.stderr
    assert not (tmp_path / "out").exists()


def test_a_failed_run_leaves_no_folder(scan, tmp_path, monkeypatch):
    monkeypatch.setattr(analyse, "read", lambda *_, **__: 1 / 0)
    ended = CliRunner().invoke(cli.main, ["analyse", str(scan), "--out", str(tmp_path / "a" / "b")])
    assert isinstance(ended.exception, ZeroDivisionError)
    assert [path.name for path in tmp_path.iterdir()] == ["scan.npz"]


def test_a_missing_file_ends_with_2(tmp_path):
    for command in (["info", "no.npz"], ["analyse", "no.npz", "--out", str(tmp_path / "out")]):
        ended = CliRunner().invoke(cli.main, command)
        assert ended.exit_code == 2
        assert "no.npz" in ended.stderr


def test_interruption_ends_with_130_and_keeps_what_was_written(scan, tmp_path, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(analysis, "compare", interrupt)
    monkeypatch.setattr(analysis, "segment", lambda maps, *_, **__: classical.kmeans(maps, 2))
    monkeypatch.setattr(analysis, "unmix", lambda image, *_, **__: classical.svd(image, 1))
    out = tmp_path / "out"
    arguments = ["analyse", str(scan), "--lines", "Fe_Ka,O_Ka", "--out", str(out), "--phases", "2"]
    ended = CliRunner().invoke(cli.main, arguments)
    assert ended.exit_code == 130
    assert "Interrupted" in ended.stderr
    assert np.isfinite(open_result(out / "phases.nc").ratio("Fe_Ka", "O_Ka").mean.values).all()


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal there")
def test_an_interruption_in_the_middle_of_the_work_ends_it_at_once(tmp_path):
    """The signal comes while the first programs are compiled, which no interruption gets through to."""
    out = tmp_path / "out"
    command = [sys.executable, "-c", "from bayesspec.cli import main; main()", "demo", "--out", str(out), *SMALL]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have started the tests without it
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while "finding phases" not in process.stderr.readline():
            pass
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        sent = time.monotonic()
        said = process.stderr.read()
        assert process.wait() == 130
    assert time.monotonic() - sent < 10  # two seconds, on a machine that does nothing else
    assert "Interrupted" in said
    assert "Traceback" not in said
    for left in out.glob("*") if out.exists() else ():
        assert open_result(left).converged, "what was finished is kept, and nothing else"


def test_a_dose_is_planned():
    ended = CliRunner().invoke(
        cli.main, ["plan", "--ratios", "0.5,2", "--size", "16", "--blur", "0", "--error", "0.02"]
    )
    assert ended.exit_code == 0, ended.output
    assert "told apart" in ended.stdout
    wanted = float(ended.stdout.splitlines()[-1].split(":")[1].split()[0])
    share = 1 / 3
    assert wanted == pytest.approx(1 / (0.02**2 * share * (1 - share) * 128), rel=0.3)


def test_wrong_ratios_end_with_2():
    for ratios, said in (("0.5;2", "0.783,0.698"), ("0.5", "Needed: ")):
        ended = CliRunner().invoke(cli.main, ["plan", "--ratios", ratios])
        assert ended.exit_code == 2
        assert said in ended.stderr


def test_info_says_where_programs_are_kept():
    ended = CliRunner().invoke(cli.main, ["info", "--cache"])
    assert ended.exit_code == 0
    assert "compiled programs" in ended.output
    assert CliRunner().invoke(cli.main, ["info"]).exit_code == 2


@pytest.mark.parametrize("name", commands.COMMANDS)
def test_the_list_of_commands_says_what_each_does(name):
    said = commands.COMMANDS[name][1].rstrip(".")
    command = cli.main.get_command(click.Context(cli.main), name)
    assert command.name == name
    assert command.help.replace("\n", " ").startswith(said)
    assert said in CliRunner().invoke(cli.main, ["--help"], terminal_width=200).output


@pytest.mark.parametrize(
    ("arguments", "without"),
    [
        (["--help"], {"jax", "numpyro", "matplotlib", "scipy", "xarray"}),
        (["--version"], {"jax", "numpyro", "matplotlib", "scipy", "xarray"}),
        (["info", "scan.npz"], {"jax", "numpyro", "matplotlib", "sklearn", "scipy.stats"}),
    ],
)
def test_a_command_imports_what_it_needs(scan, arguments, without):
    code = f"""
import sys
from bayesspec.cli import main
try:
    main({arguments})
except SystemExit as ended:
    print(ended.code, sorted({without} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=scan.parent)
    assert done.stdout.splitlines()[-1] == "0 []"
