"""From line intensities to a composition: Cliff and Lorimer's k-factors, with their uncertainty."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import lazy_loader
import numpy as np
import numpy.typing as npt
import xarray as xr

from bayesspec.errors import InputError
from bayesspec.spectroscopy.xray_lines import xray_line

xraydb = lazy_loader.load("xraydb")

KFactor = float | tuple[float, float]


class KFactors(Mapping[str, tuple[float, float]]):
    """k-factors that were found together: a mapping from line to value and standard deviation, with joint draws.

    What the factors have in common, such as the line of reference, leaves the compositions as it should.

    Parameters
    ----------
    draws : xarray.DataArray, dims (draw, line)
        Joint draws, positive.
    source : str
        Where they come from.
    """

    def __init__(self, draws: xr.DataArray, source: str) -> None:
        self.draws, self.source = draws.transpose("draw", "line"), source

    def __getitem__(self, line: str) -> tuple[float, float]:
        if line not in self.draws["line"].values:
            raise KeyError(line)
        values = self.draws.sel(line=line).values
        return float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else 0.0

    def __iter__(self) -> Iterator[str]:
        return iter(str(line) for line in self.draws["line"].values)

    def __len__(self) -> int:
        return self.draws.sizes["line"]

    def drawn(self, rng: np.random.Generator, n: int) -> npt.NDArray[np.float64]:
        """Take joint draws.

        Parameters
        ----------
        rng : numpy.random.Generator
            Source of randomness.
        n : int
            How many.

        Returns
        -------
        array, shape (n, line), float64
            Each draw as often as any other, in a random order.
        """
        places = np.concatenate([rng.permutation(self.draws.sizes["draw"]) for _ in range(-(-n // len(self.draws)))])
        return np.asarray(self.draws.values[places[:n]], np.float64)

    def __repr__(self) -> str:
        values = ", ".join(f"{line}: {mean:.3f} +- {sd:.3f}" for line, (mean, sd) in self.items())
        return f"<KFactors {values}; {self.source}>"


def cliff_lorimer(intensities: xr.DataArray, k_factors: Mapping[str, KFactor], *, seed: int) -> xr.Dataset:
    """Turn line intensities into weight and atomic percent.

    Parameters
    ----------
    intensities : xarray.DataArray, dims (draw, ..., line)
        Joint draws of line intensities, in counts or any common unit.
    k_factors : mapping of str to float or (float, float)
        k-factor of each line, weight-based and relative to one common element: a value, or a value with its
        standard deviation.
    seed : int
        Seed of the draws of uncertain k-factors.

    Returns
    -------
    xarray.Dataset, dims (draw, ..., element)
        ``weight_percent`` and ``atomic_percent``, each summing to 100 over the elements.

    Raises
    ------
    InputError
        When a k-factor belongs to no line that was measured, or is not positive, or an element has two.

    Notes
    -----
    Source: Cliff and Lorimer, J. Microsc. 103 (1975) 203, doi:10.1111/j.1365-2818.1975.tb03895.x:
    weight fractions are in the ratio of k times intensity; atomic fractions follow by the atomic masses.
    Negative intensities, which the posterior of a line that is not there may hold, count as zero.
    """
    weight = weighted_intensities(intensities, k_factors, seed=seed)
    lines = list(k_factors)
    elements = [xray_line(line).element for line in lines]
    masses = xr.DataArray([xraydb.atomic_mass(e) for e in elements], dims="line", coords={"line": lines})
    atoms = weight / masses
    shares = {"weight_percent": weight, "atomic_percent": atoms}
    percent = {name: 100 * share / share.sum("line") for name, share in shares.items()}
    table = xr.Dataset(percent).rename(line="element").assign_coords(element=elements)
    return table.transpose("draw", ...)


def weighted_intensities(intensities: xr.DataArray, factors: Mapping[str, KFactor], *, seed: int) -> xr.DataArray:
    """Multiply line intensities by their factors, drawn where these are uncertain.

    Parameters
    ----------
    intensities : xarray.DataArray, dims (draw, ..., line)
        Joint draws of line intensities.
    factors : mapping of str to float or (float, float)
        k- or zeta-factor of each line, or factor and its standard deviation.
    seed : int
        Seed of the draws of uncertain factors: the same seed gives the same factors.

    Returns
    -------
    xarray.DataArray, dims (draw, ..., line), float64
        In the unit of intensity times factor; negative intensities count as none.

    Raises
    ------
    InputError
        When a factor belongs to no line that was measured, or is not positive.
    """
    lines = list(factors)
    _check(lines, factors, [str(line) for line in intensities["line"].values])
    rng, n = np.random.default_rng(seed), intensities.sizes["draw"]
    if isinstance(factors, KFactors):
        values = factors.drawn(rng, n)
    else:
        means, sds = np.array([value if isinstance(value, tuple) else (value, 0.0) for value in factors.values()]).T
        values = np.abs(means + sds * rng.standard_normal((n, len(lines))))
    drawn = xr.DataArray(values, dims=("draw", "line"), coords={"line": lines})
    return intensities.sel(line=lines).clip(min=0) * drawn


def _check(lines: list[str], k_factors: Mapping[str, KFactor], measured: list[str]) -> None:
    unknown = [line for line in lines if line not in measured]
    if unknown or len(lines) < 2:
        raise InputError(
            f"k-factors for {lines}, lines measured {measured}",
            "k-factors of two or more measured lines",
            f"composition(k_factors={{{', '.join(f'{line!r}: 1.0' for line in measured[:2])}}})",
        )
    for line, value in k_factors.items():
        mean, sd = value if isinstance(value, tuple) else (value, 0.0)
        if not (mean > 0 and sd >= 0):
            raise InputError(f"k-factor {value} of {line}", "a positive value, or (value, sd)", f"{{{line!r}: 1.45}}")
    elements = [xray_line(line).element for line in lines]
    twice = sorted({e for e in elements if elements.count(e) > 1})
    if twice:
        raise InputError(f"two lines of {twice[0]} among {lines}", "one line an element", "drop one of them")
