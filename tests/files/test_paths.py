"""Paths are expanded once, and what is no file is refused before it is opened."""

import os
import socket
from pathlib import Path

import pytest

import bayesspec as bs
from bayesspec.errors import InputError
from bayesspec.files.paths import (
    MOST_PACKED,
    existing_file,
    expanded,
    free_memory,
    new_file,
    new_folder,
    refuse_swollen,
)


@pytest.mark.parametrize("path", [None, 3, b"scan.bcf", "", "a\0b", 2.5, ["scan.bcf"]])
@pytest.mark.parametrize("door", [bs.load, bs.open, bs.signals, new_folder])
def test_what_is_no_path_is_refused_at_every_door(door, path) -> None:
    with pytest.raises(InputError):
        door(path)


def test_a_name_too_long_for_the_disk_is_refused(tmp_path: Path) -> None:
    for door in (bs.load, bs.open, new_folder, lambda path: new_file(path, overwrite=False)):
        with pytest.raises(InputError, match="too long"):
            door(tmp_path / ("a" * 300) / "b")


def test_the_home_folder_is_meant_by_its_sign_everywhere(tmp_path: Path, monkeypatch, seg, fit, image) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expanded("~/a.nc") == tmp_path / "a.nc"
    doors = {
        "seg.nc": seg.save,
        "fit.nc": fit.save,
        "image.npz": lambda path, **other: bs.save_image(image, path, **other),
        "report.tex": lambda path, **other: bs.report([seg], path, **other),
    }
    for name, save in doors.items():
        assert save(f"~/{name}") == tmp_path / name
        before = (tmp_path / name).read_bytes()
        with pytest.raises(InputError, match="exists already"):
            save(f"~/{name}")
        assert (tmp_path / name).read_bytes() == before
        save(f"~/{name}", overwrite=True)
    assert bs.open("~/seg.nc").lines == seg.lines
    assert bs.load("~/image.npz").shape == image.shape
    assert not Path("~").exists()


def test_pipes_sockets_and_devices_are_refused_before_they_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.npz")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s.npz"))
        for name, kind in (("pipe.npz", "a pipe"), ("s.npz", "a socket")):
            for door in (bs.load, bs.open, bs.signals):
                with pytest.raises(InputError, match=kind):
                    door(tmp_path / name)
    with pytest.raises(InputError, match="a device"):
        existing_file("/dev/zero")
    with pytest.raises(InputError, match="a device"):
        new_file("/dev/full", overwrite=True)


def test_where_nothing_can_be_written_is_said_before(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path, said in (
        (tmp_path / "absent" / "a.nc", "no folder"),
        (tmp_path / "file" / "a.nc", "no folder"),
        (tmp_path, "the folder"),
        (tmp_path / "a.txt", "an ending .nc"),
    ):
        with pytest.raises(InputError, match=said):
            new_file(path, overwrite=True, endings=(".nc",) if path.suffix == ".txt" else ())
    with pytest.raises(InputError, match="cannot be made"):
        new_folder(tmp_path / "file")


def test_a_link_leads_to_the_file_that_is_written(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link.nc").symlink_to(tmp_path / "there" / "fit.nc")
    assert new_file(tmp_path / "link.nc", overwrite=False) == tmp_path / "there" / "fit.nc"
    (tmp_path / "there" / "fit.nc").write_text("")
    with pytest.raises(InputError, match="exists already"):
        new_file(tmp_path / "link.nc", overwrite=False)


def test_what_would_not_fit_into_memory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "small").write_bytes(bytes(10**6))
    refuse_swollen(tmp_path / "small", 2**29)
    with pytest.raises(InputError, match="memory that are free"):
        refuse_swollen(tmp_path / "small", 100 * free_memory())
    with pytest.raises(InputError, match="holds next to none"):
        refuse_swollen(tmp_path / "small", 2 * MOST_PACKED * 10**6)
