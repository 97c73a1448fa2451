"""Tables and the numbers in them, as they are printed."""

import numpy as np
import pytest
import xarray as xr

from bayesspec.results.estimate import Estimate
from bayesspec.results.table import Table, cells, interval_text, tex

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("entry", "shown"),
    [
        ((0.783, 0.7751, 0.7909), "0.775 to 0.791"),
        ((0.783, 0.78211, 0.78389), "0.7821 to 0.7839"),
        ((250, 197.4, 349.2), "197 to 349"),
        ((0.02, -0.0492, 0.0041), "-0.049 to 0.004"),
        ((INF, 12.34, INF), "above 12.3"),
        ((INF, 28.0, 1700.0), "28 to 1700"),
        ((1.0, NAN, NAN), "–"),
        ((100.0, 100.0, 100.0), "–"),
    ],
)
def test_intervals_have_the_digits_that_they_support(entry, shown):
    assert interval_text(*entry) == shown


def test_cells_print_value_and_interval_of_every_entry():
    draws = np.array([[0.78, 5.0], [0.79, 7.0], [0.77, 6.0]] * 10)
    estimate = Estimate(xr.DataArray(draws, dims=("draw", "phase"), coords={"phase": [0, 1]}), "a/b")
    assert cells(estimate) == [("0.780(8)", "0.770 to 0.790"), ("6.0(8)", "5.0 to 7.0")]


def test_a_table_prints_as_text_html_and_latex():
    table = Table("Ratios", ("phase", "a/b (%)"), (("0", "1.0(2)\n0.6 to 1.4"), ("<1>", "3_4")), "50 % & more.")
    assert table.to_text().splitlines()[3] == "0      1.0(2) [0.6 to 1.4]"
    assert "<td>1.0(2)<br><small>0.6 to 1.4</small></td>" in table.to_html()
    assert "&lt;1&gt;" in table.to_html()
    assert r"<1> & 3\_4 \\" in table.to_tex()
    assert r"\caption{Ratios. 50 \% \& more.}" in table.to_tex()


def test_characters_that_latex_reserves_are_escaped():
    assert tex(r"a_b & 5 % {\x} ± 1") == r"a\_b \& 5 \% \{\textbackslash{}x\} $\pm$ 1"
