"""Results with intensities of lines: one form of them for phases, components, spectra and maps."""

from __future__ import annotations

from collections.abc import Sequence

from bayesspec.errors import InputError
from bayesspec.files.public_arguments import checked_arguments
from bayesspec.results.estimate import Estimate, line_ratio
from bayesspec.results.result import Result


class LineResult(Result):
    """A result that knows the intensities of lines."""

    @property
    def lines(self) -> tuple[str, ...]:
        """Names of the lines, tuple of str."""
        return tuple(str(line) for line in self.data["line"].values)

    @property
    def intensities(self) -> Estimate:
        """Intensity of every one of `lines`, dims (..., line): phases and components in shares of their counts.

        Joint draws are ``.draws``; other values and intervals are ``.mean``, ``.sd`` and ``.interval()``.
        """
        return self.intensities_of(self.lines)

    def intensities_of(self, lines: Sequence[str]) -> Estimate:
        """Intensities of some lines, background and overlap accounted for.

        Parameters
        ----------
        lines : sequence of str
            Names of lines, such as ``["Fe_Ka", "O_Ka"]``.

        Returns
        -------
        Estimate, dims (..., line)
            With joint draws: of every phase or component as a share of its counts, of a spectrum in counts.

        Raises
        ------
        InputError
            When a line is not known.
        """
        raise NotImplementedError

    def checked_lines(self, lines: Sequence[str]) -> list[str]:
        """Refuse lines that were not mapped or fitted.

        Parameters
        ----------
        lines : sequence of str
            Names of lines.

        Returns
        -------
        list of str
            The same.

        Raises
        ------
        InputError
            When one is not among `lines`.
        """
        for line in lines:
            if line not in self.lines:
                do = f"ratio({self.lines[0]!r}, {self.lines[-1]!r})"
                raise InputError(f"the line {line!r}", f"one of {list(self.lines)}", do)
        return list(lines)

    @checked_arguments()
    def ratio(self, numerator: str, denominator: str) -> Estimate:
        """Ratio of two lines, in every phase or component.

        Parameters
        ----------
        numerator, denominator : str
            Names of lines, such as ``"Fe_Ka"`` and ``"O_Ka"``.

        Returns
        -------
        Estimate, dims (...)
            Ratio of the line intensities, background and overlap accounted for; infinite draws where the denominator is
            not detected.

        Raises
        ------
        InputError
            When a line is not known.
        """
        pair = self.intensities_of([numerator, denominator]).draws
        return self.own(line_ratio(pair, f"{numerator}/{denominator}"))
