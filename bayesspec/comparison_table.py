"""A table of strings that prints as text, HTML and LaTeX."""

from __future__ import annotations

import html
from dataclasses import dataclass

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
        Cells, as many in each row as there are columns.
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
        widths = [max(map(len, column)) for column in zip(self.columns, *self.rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in (self.columns, tuple("-" * width for width in widths), *self.rows)
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
        rows = [" & ".join(map(tex, row)) + r" \\" for row in (self.columns, *self.rows)]
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
    return first + "".join(f"<td>{html.escape(cell)}</td>" for cell in row[1:])
