"""A file that was cut is refused, wherever it was cut."""

from pathlib import Path

import numpy as np
import pytest

from bayesspec.errors import InputError
from bayesspec.files.completeness import check_complete
from bayesspec.files.load import load

BCF = "p45_dacite/P45_the_default_job.bcf"
MSA = "nist_glass/K412/III-E K412_0_4.msa"

pytest.importorskip("rsciio")


def test_a_whole_file_passes(data: Path) -> None:
    for file in data.rglob("*.[bm][cs][fa]"):
        check_complete(file)


def test_a_bruker_file_that_was_cut_is_refused(data: Path, tmp_path: Path) -> None:
    whole = (data / BCF).read_bytes()
    for length in np.linspace(0, len(whole) - 1, 50, dtype=int):
        (tmp_path / "cut.bcf").write_bytes(whole[:length])
        if length >= 8:
            with pytest.raises(InputError, match=f"{length} bytes"):
                check_complete(tmp_path / "cut.bcf")
        if length in (0, len(whole) - 1):
            with pytest.raises(InputError):
                load(tmp_path / "cut.bcf")


def test_a_text_file_that_was_cut_has_all_its_counts_or_is_refused(data: Path, tmp_path: Path) -> None:
    whole = (data / MSA).read_bytes()
    end = len(whole) - whole.rindex(b"#ENDOFDATA")
    refused = 0
    for cut in [*np.linspace(1, len(whole), 50, dtype=int), *range(1, end + 8)]:
        (tmp_path / "cut.msa").write_bytes(whole[:-cut])
        try:
            check_complete(tmp_path / "cut.msa")
        except InputError:
            refused += 1
            continue
        assert cut <= end + 1
    assert refused >= 50


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("#NPOINTS: 3\n#SPECTRUM: \n1, 2\n#ENDOFDATA: \n", "2 points"),
        ("#NPOINTS: 2\n#DATATYPE: XY\n#SPECTRUM: \n1, 2\n#ENDOFDATA: \n", "1 points"),
        ("#NPOINTS: 2\n#SPECTRUM: \n1\n21", "'21' that may be cut"),
        ("#NPOINTS: 2\n", "a header"),
        ("#NPOINTS: 2\n#SPECTRUM: \n1\n21\n", ""),
        ("#NPOINTS: 2.\r\n#SPECTRUM    : \r\n1, 2\r\n#ENDOFDATA: \r\n", ""),
        ("#NPOINTS: 1\n#DATATYPE: XY\n#SPECTRUM: \n1, 2\n", ""),
        ("#SPECTRUM: \n1, 2\n", ""),
    ],
)
def test_points_are_counted_as_the_format_says(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "a.msa").write_bytes(text.encode())
    if said:
        with pytest.raises(InputError, match=said):
            check_complete(tmp_path / "a.msa")
    else:
        check_complete(tmp_path / "a.msa")


def test_an_image_without_any_count_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "empty.npz", counts=np.zeros((2, 2, 3), int), energy=np.arange(3.0))
    with pytest.raises(InputError, match="no counts in 'empty.npz'"):
        load(tmp_path / "empty.npz")
