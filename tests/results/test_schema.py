"""What results hold is what their tables and the documentation say.

``python tests/results/test_schema.py`` prints docs/results.md anew.
"""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import bayesspec as bs
from bayesspec.results.dataset import Frame
from bayesspec.results.opening import known_kinds
from bayesspec.results.schema import Schema, Variable, documented

PAGE = Path(__file__).parents[2] / "docs" / "results.md"


def page() -> str:
    """The documentation of all kinds of the package."""
    kinds = [kind for name, kind in sorted(known_kinds().items()) if name and kind.__module__.startswith("bayesspec.")]
    return documented((kind.__name__, (kind.__doc__ or "").splitlines()[0], kind.schema) for kind in kinds)


def test_documentation_is_what_the_tables_say() -> None:
    assert PAGE.read_text() == page(), "python tests/results/test_schema.py"


TABLE = Schema({"share": Variable(("phase",), "a share", low=0.0, high=1.0)}, coords=("phase",))
FRAME = Frame(coords={"phase": [0, 1]})
FAULTS = {
    "no variable share": lambda data: data.drop_vars("share"),
    "of dims": lambda data: data.rename(phase="component"),
    "outside 0 to 1": lambda data: data + 1.0,
    "no coordinate phase": lambda data: data.drop_vars("phase"),
    "no attribute status": lambda data: data.assign_attrs().drop_attrs(),
}


def whole() -> xr.Dataset:
    attrs = dict.fromkeys(("result", "name", "method", "status", "converged", "verdict", "provenance"), "")
    return TABLE.dataset({"share": np.array([0.2, 0.8])}, FRAME, attrs)


def test_what_the_table_makes_it_takes() -> None:
    assert TABLE.problems(whole()) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_named(fault: str) -> None:
    assert any(fault in problem for problem in TABLE.problems(FAULTS[fault](whole())))


def test_interval_whose_ends_are_crossed_is_named() -> None:
    data = whole().assign(share_lower=("phase", [0.5, 0.1]), share_upper=("phase", [0.4, 0.9]))
    assert TABLE.problems(data) == ["share_lower above share_upper"]


def test_a_file_of_a_result_that_lacks_a_variable_is_refused(tmp_path: Path) -> None:
    seg = bs.classical.kmeans(bs.simulate.iron_oxide_lines(300, (12, 12), seed=0), 2)
    seg.data = seg.data.drop_vars("probabilities")
    with pytest.raises(bs.InputError, match="no variable probabilities"):
        bs.open(seg.save(tmp_path / "phases.nc"))


if __name__ == "__main__":
    PAGE.write_text(page())
