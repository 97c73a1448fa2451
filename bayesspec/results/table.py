"""Tables of strings that print as text, HTML and LaTeX; estimates as strings."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass

from bayesspec.results.estimate import PROB, Estimate

_NONE = "–"
_TEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "–": "--",
    "−": "$-$",
    "∞": r"$\infty$",
}


def interval_text(mean: float, lower: float, upper: float) -> str:
    """Print an interval with the digits that its width supports.

    Parameters
    ----------
    mean, lower, upper : float
        Value and ends; infinite for an end that is open, NaN where there is none.

    Returns
    -------
    str
        Such as ``0.775 to 0.791``, ``above 12``, or a dash.
    """
    if math.isnan(lower) or math.isnan(upper) or (math.isinf(lower) and math.isinf(upper)):
        return _NONE
    if math.isinf(upper):
        return f"above {lower:.3g}"
    width = upper - lower
    if math.isfinite(mean) and width <= 1e-9 * abs(mean):
        return _NONE
    digits = max(0, 1 - math.floor(math.log10(width)))
    return f"{lower:.{digits}f} to {upper:.{digits}f}"


def cells(estimate: Estimate, prob: float = PROB) -> list[tuple[str, str]]:
    """Print every entry of an estimate.

    Parameters
    ----------
    estimate : Estimate, dims (phase,) or (component,)
        What to print.
    prob : float
        Probability of the intervals.

    Returns
    -------
    list of (str, str)
        Value such as ``0.783(4)``, and interval.
    """
    table = estimate.summary(prob)
    ends = [table[name].values.ravel() for name in ("mean", "lower", "upper")]
    intervals = [interval_text(*(float(v) for v in entry)) for entry in zip(*ends, strict=True)]
    return [(text, interval) for (_, text), interval in zip(estimate.rows(), intervals, strict=True)]


def tex(text: str) -> str:
    """Escape text for LaTeX.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    str
        The same text, to be typeset as it is.
    """
    return "".join(_TEX.get(character, character) for character in text)


@dataclass(frozen=True)
class Table:
    """A table for people.

    Parameters
    ----------
    title : str
        What the table shows.
    columns : tuple of str
        Heads of the columns, units included.
    rows : tuple of tuple of str
        Cells, as many in each row as there are columns; what follows a line break is set smaller, under it.
    note : str
        What a reader must know to read the numbers.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""

    def to_text(self) -> str:
        """Print the table in aligned columns.

        Returns
        -------
        str
            Title, heads, rows and note.
        """
        flat = [tuple(map(_one_line, row)) for row in (self.columns, *self.rows)]
        widths = [max(map(len, column)) for column in zip(*flat, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in (flat[0], tuple("-" * width for width in widths), *flat[1:])
        ]
        return "\n".join([self.title, *lines, *([self.note] if self.note else [])])

    def to_html(self) -> str:
        """Print the table for a page.

        Returns
        -------
        str
            A figure with the table and its note; every cell escaped.
        """
        head = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in self.columns)
        body = "\n".join(f"<tr>{_html_row(row)}</tr>" for row in self.rows)
        note = f"<figcaption>{html.escape(self.note)}</figcaption>" if self.note else ""
        table = f"<table><caption>{html.escape(self.title)}</caption><thead><tr>{head}</tr></thead>"
        return f'<figure class="table"><div>{table}<tbody>{body}</tbody></table></div>{note}</figure>'

    def to_tex(self) -> str:
        """Print the table for a paper.

        Returns
        -------
        str
            A LaTeX table that needs the booktabs package.
        """
        rows = [" & ".join(tex(_one_line(cell)) for cell in row) + r" \\" for row in (self.columns, *self.rows)]
        return "\n".join(
            [
                r"\begin{table}",
                rf"  \caption{{{tex(self.title)}. {tex(self.note)}}}".replace(". }", ".}"),
                rf"  \begin{{tabular}}{{{'l' * len(self.columns)}}}",
                r"    \toprule",
                f"    {rows[0]}",
                r"    \midrule",
                *(f"    {row}" for row in rows[1:]),
                r"    \bottomrule",
                r"  \end{tabular}",
                r"\end{table}",
            ]
        )


def _html_row(row: tuple[str, ...]) -> str:
    first = f'<th scope="row">{html.escape(row[0])}</th>' if row else ""
    return first + "".join(f"<td>{_html_cell(cell)}</td>" for cell in row[1:])


def _html_cell(cell: str) -> str:
    first, _, rest = cell.partition("\n")
    return html.escape(first) + (f"<br><small>{html.escape(rest)}</small>" if rest else "")


def _one_line(cell: str) -> str:
    first, _, rest = cell.partition("\n")
    return f"{first} [{rest}]" if rest else first
