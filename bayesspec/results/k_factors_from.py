"""k-factors from the spectrum of a standard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from bayesspec.errors import InputError
from bayesspec.files.public_arguments import checked_arguments
from bayesspec.results.line_fit import LineFit
from bayesspec.spectroscopy.absorption import absorption_factors
from bayesspec.spectroscopy.composition import KFactors
from bayesspec.spectroscopy.formula import Percent, mass_fractions
from bayesspec.spectroscopy.thin_film import Film
from bayesspec.spectroscopy.xray_lines import xray_line


@checked_arguments(fit=LineFit)
def k_factors_from(
    fit: LineFit,
    composition: str | Mapping[str, Percent],
    *,
    lines: Sequence[str] | None = None,
    reference: str | None = None,
    film: Film | None = None,
    seed: int = 0,
) -> KFactors:
    """Find weight-based k-factors from a standard of known composition.

    Parameters
    ----------
    fit : LineFit
        Lines of the standard's spectrum: a thin film, same beam and detector.
    composition : str or mapping of str to float or (float, float)
        Formula, ``"SrTiO3"``, or mass per cent by element, with standard deviation or without.
    lines : sequence of str or None
        One line an element; ``None`` takes the first fitted line of every element of the standard.
    reference : str or None
        Line whose factor is 1; ``None`` takes the first.
    film : Film or None
        The standard's mass thickness: absorption in it is undone.
    seed : int
        Seed of the draws of an uncertain composition or thickness.

    Returns
    -------
    KFactors
        Joint draws: the noise of the standard and its composition are in them.

    Raises
    ------
    InputError
        When a line was not fitted, an element is not in the standard, or fewer than two lines are left.

    Notes
    -----
    Source: Cliff and Lorimer, J. Microsc. 103 (1975) 203, doi:10.1111/j.1365-2818.1975.tb03895.x: k is the ratio of
    mass fractions over that of intensities.

    Examples
    --------
    >>> k = bs.k_factors_from(bs.fit_lines(titanate), "SrTiO3")  # doctest: +SKIP
    >>> bs.fit_lines(sample).composition(k)  # doctest: +SKIP
    """
    fractions, sd = mass_fractions(composition)
    found = [line for line in fit.lines if xray_line(line).element in fractions]
    first = list({xray_line(line).element: line for line in reversed(found)}.values())[::-1]
    names = list(lines) if lines is not None else [line for line in found if line in first]
    _check(fit, names, fractions, reference)
    draws = fit.data["intensity_draws"].sel(line=names)
    rng = np.random.default_rng([seed, 4])
    n = draws.sizes["draw"]
    elements = [xray_line(line).element for line in names]
    mass = np.stack([np.maximum(fractions[e] + sd[e] * rng.standard_normal(n), 1e-9) for e in elements], axis=1)
    intensity = np.maximum(draws.transpose("draw", "line").values, 0.0)
    if film is not None:
        intensity = intensity * _absorption(fit, fractions, names, film, rng, n)
    unseen = [line for line, values in zip(names, intensity.T, strict=True) if not np.all(values > 0)]
    if unseen:
        raise InputError(f"no counts in {', '.join(unseen)}", "lines that the standard shows", f"lines={names[:2]}")
    factors = mass / intensity
    factors = factors / factors[:, [names.index(reference or names[0])]]
    source = f"standard {fit.name}"
    return KFactors(xr.DataArray(factors, dims=("draw", "line"), coords={"line": names}), source)


def _check(fit: LineFit, names: list[str], fractions: Mapping[str, float], reference: str | None) -> None:
    unknown = [line for line in names if line not in fit.lines or xray_line(line).element not in fractions]
    elements = [xray_line(line).element for line in names if line not in unknown]
    if unknown or len(names) < 2 or len(set(elements)) < len(elements):
        raise InputError(
            f"lines {names} of a standard of {', '.join(fractions)}, fitted: {', '.join(fit.lines)}",
            "one fitted line of two or more elements of the standard",
            "bs.k_factors_from(fit, 'SrTiO3', lines=['Sr_La', 'Ti_Ka', 'O_Ka'])",
        )
    if reference is not None and reference not in names:
        raise InputError(f"reference={reference!r}", f"one of {', '.join(names)}", f"reference={names[0]!r}")


def _absorption(
    fit: LineFit,
    fractions: Mapping[str, float],
    names: list[str],
    film: Film,
    rng: np.random.Generator,
    n: int,
) -> np.ndarray:
    """Photons generated per photon counted, shape (draw, line)."""
    angle = fit.provenance["acquisition"].get("elevation_deg") if film.elevation_deg is None else film.elevation_deg
    if film.mass_thickness is None or angle is None:
        raise InputError(f"{film} and a take-off angle {angle}", "both", "bs.Film(5e-4, elevation_deg=22)")
    thickness = film.mass_thickness
    mean, sd = thickness if isinstance(thickness, tuple) else (thickness, 0.0)
    drawn = xr.DataArray(np.abs(mean + sd * rng.standard_normal(n)), dims="draw")
    weight = xr.DataArray(list(fractions.values()), dims="element", coords={"element": list(fractions)})
    return np.asarray(absorption_factors(weight / weight.sum(), names, drawn, angle).transpose("draw", "line").values)
