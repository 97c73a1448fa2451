"""Composition of a thick sample from k-ratios: the matrix correction, with everything that is uncertain drawn."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import NoneType

import numpy as np
import numpy.typing as npt

from bayesspec.errors import InputError
from bayesspec.files.public_arguments import checked_arguments, flag
from bayesspec.inference.random_keys import seed_for
from bayesspec.inference.status import Status
from bayesspec.results.dataset import Frame
from bayesspec.results.k_ratios import KRatios
from bayesspec.results.quantification import Quantification
from bayesspec.spectroscopy.formula import oxygen_per_mass
from bayesspec.spectroscopy.matrix_correction import (
    Physics,
    atomic_fractions,
    corrected_fractions,
    drawn_physics,
    standards_emission,
)
from bayesspec.spectroscopy.xray_lines import xray_line

Floats = npt.NDArray[np.float64]
MODEL = ("absorption", "depth model", "fluorescence")
BUDGET_DRAWS = 400
"""Draws behind the share of each part of the physics: 7 % of its variance."""
STEP = 1e-3
"""Relative change of a k-ratio over which slopes are taken."""


@checked_arguments(k=KRatios, oxides=(Mapping, NoneType), normalise=flag("normalise"))
def quantify(
    k: KRatios,
    *,
    lines: Sequence[str] | None = None,
    oxygen: str = "measured",
    oxides: Mapping[str, str] | None = None,
    elevation_deg: float | None = None,
    normalise: bool = False,
    seed: int = 0,
) -> Quantification:
    """Correct k-ratios for what the sample does to its X-rays.

    Stopping power, backscatter and absorption by the XPP model of phi(rho z), fluorescence by lines and continuum.
    Draws of the k-ratios go through the correction together with draws of mass absorption coefficients (5 %; 10 % below
    1 keV), of the mean depth, the ionisation potential and the backscatter coefficient of the model, and of the
    fluorescence, the same for sample and standards: where these are alike the uncertainty of the physics drops out.

    Parameters
    ----------
    k : KRatios
        k-ratios, as ``bs.k_ratios`` gives them.
    lines : sequence of str or None
        One line an element; ``None`` takes the one with the smallest uncertainty.
    oxygen : {"measured", "stoichiometry"}
        Whether oxygen is measured, or comes with the other elements as oxides.
    oxides : mapping of str to str or None
        Oxide of an element where it is not the usual one: ``{"Fe": "Fe2O3"}``.
    elevation_deg : float or None
        Take-off angle of the sample in degrees; ``None`` takes the file's.
    normalise : bool
        Bring the composition to 100 % in the correction; done, and said, where the dose is not known.
    seed : int
        Seed of the draws.

    Returns
    -------
    Quantification
        ``weight_percent``, ``atomic_percent``, ``total`` with intervals, and ``budget``.

    Raises
    ------
    InputError
        When a line has no k-ratio, an element has two lines, or the take-off angle is not known.

    Notes
    -----
    Source: Pouchou and Pichoir, in Heinrich and Newbury (eds), Electron Probe Quantitation (1991) 31,
    doi:10.1007/978-1-4899-2617-3_4.

    Examples
    --------
    >>> found = bs.quantify(bs.k_ratios(glass, standards, ["O", "Si", "Fe"]))  # doctest: +SKIP
    >>> print(found.weight_percent)  # doctest: +SKIP
    >>> found.budget["absorption"]  # doctest: +SKIP
    """
    if oxygen not in ("measured", "stoichiometry"):
        raise InputError(
            f"oxygen={oxygen!r}", "'measured' or 'stoichiometry'", "bs.quantify(k, oxygen='stoichiometry')"
        )
    problem = _Problem.of(k, lines, oxygen, oxides or {}, elevation_deg, normalise=normalise or not k.absolute)
    draws = k.data.sizes["draw"]
    own = seed_for(seed, k.data_checksum)
    rng = np.random.default_rng([own, 2])
    found, converged = problem.solve(problem.k_of(k), problem.physics(rng, draws), problem.deviations(rng, draws))
    parts = _variance_parts(problem, k, own)
    notes = [f"{len(problem.every)} elements"]
    notes += [f"oxygen by stoichiometry: {problem.said}"] if problem.oxygen is not None else []
    notes += ["brought to 100 %"] if problem.normalise else []
    notes += k.verdict.split("; ")[1:]
    return Quantification.from_values(
        {
            "weight_percent_draws": 100 * found,
            "atomic_percent_draws": 100 * atomic_fractions(found, problem.every),
            "variance_parts": np.stack(list(parts.values())) * 1e4,
        },
        Frame({"element": list(problem.every), "part": list(parts)}, checksum=k.data_checksum),
        name=k.name,
        method="matrix correction (XPP)",
        verdict="; ".join(notes),
        status=Status.CONVERGED if converged else Status.NOT_SETTLED,
        settings={"seed": seed, "lines": problem.lines, "oxygen": oxygen, "k-ratios": k.provenance},
        attrs={"acquisition": k.data.attrs["acquisition"]},
    )


class _Problem:
    """Lines, standards and conditions: what turns k-ratios and physics into mass fractions."""

    def __init__(
        self,
        lines: list[str],
        compositions: list[dict[str, float]],
        sds: list[dict[str, float]],
        elevations: list[float],
        beam: float,
        elevation: float,
        oxygen: dict[str, float] | None,
        said: str,
        *,
        normalise: bool,
    ) -> None:
        self.lines, self.compositions, self.sds, self.elevations = lines, compositions, sds, elevations
        self.beam, self.elevation, self.oxygen, self.said, self.normalise = beam, elevation, oxygen, said, normalise
        own = [xray_line(line).element for line in lines]
        self.every = tuple(own) if oxygen is None else (*own, "O")
        self.absorbers = tuple(dict.fromkeys([*self.every, *(e for one in compositions for e in one)]))

    @classmethod
    def of(
        cls,
        k: KRatios,
        lines: Sequence[str] | None,
        oxygen: str,
        oxides: Mapping[str, str],
        elevation_deg: float | None,
        *,
        normalise: bool,
    ) -> _Problem:
        acquired = json.loads(k.data.attrs["acquisition"])
        elevation = acquired["elevation_deg"] if elevation_deg is None else elevation_deg
        if elevation is None or not 0 < elevation <= 90:
            raise InputError(
                f"a take-off angle of {elevation} degrees",
                "the elevation angle of the detector, above 0 and up to 90 degrees",
                "bs.quantify(k, elevation_deg=35)",
            )
        chosen = _chosen(k, lines)
        ratios, said = None, ""
        if oxygen == "stoichiometry":
            chosen = [line for line in chosen if xray_line(line).element != "O"]
            ratios = {e: oxygen_per_mass(e, oxides.get(e)) for e in (xray_line(line).element for line in chosen)}
            said = ", ".join(f"{e} {ratio:.3f} of its mass" for e, ratio in ratios.items())
        standards = json.loads(k.data.attrs["standards"])
        of = {str(line): str(name) for line, name in zip(k.lines, k.data["standard"].values, strict=True)}
        theirs = [standards[of[line]] for line in chosen]
        angles = [elevation if one["elevation_deg"] is None else one["elevation_deg"] for one in theirs]
        return cls(
            chosen,
            [one["fractions"] for one in theirs],
            [one["sd"] for one in theirs],
            angles,
            acquired["beam_energy_kev"],
            elevation,
            ratios,
            said,
            normalise=normalise,
        )

    def k_of(self, k: KRatios) -> Floats:
        return np.asarray(k.data["k_draws"].sel(line=self.lines).values, np.float64)

    def physics(self, rng: np.random.Generator, n: int, sources: Sequence[str] = MODEL) -> Physics:
        return drawn_physics(self.absorbers, self.lines, self.beam, rng, n, sources)

    def deviations(self, rng: np.random.Generator, n: int) -> list[dict[str, Floats]]:
        """Deviations of the standards' mass fractions, the same for all lines of a standard."""
        by_standard: dict[str, dict[str, Floats]] = {}
        for composition, sd in zip(self.compositions, self.sds, strict=True):
            key = json.dumps(composition)
            by_standard.setdefault(key, {e: s * rng.standard_normal(n) for e, s in sd.items() if s > 0})
        return [by_standard[json.dumps(composition)] for composition in self.compositions]

    def solve(
        self, k: Floats, physics: Physics, deviations: Sequence[Mapping[str, Floats]] | None = None
    ) -> tuple[Floats, bool]:
        none: list[dict[str, Floats]] = [{} for _ in self.lines]
        theirs = standards_emission(
            self.compositions, self.lines, self.elevations, physics, none if deviations is None else deviations
        )
        return corrected_fractions(
            k, self.lines, theirs, self.elevation, physics, oxygen=self.oxygen, normalise=self.normalise
        )


def _chosen(k: KRatios, lines: Sequence[str] | None) -> list[str]:
    """One line an element."""
    if lines is None:
        spread = (k.ratios.sd / k.ratios.mean).to_series().to_dict()
        best: dict[str, str] = {}
        for line in sorted(k.lines, key=lambda one: spread[one]):
            best.setdefault(xray_line(line).element, line)
        return [line for line in k.lines if line in best.values()]
    unknown = [line for line in lines if line not in k.lines]
    elements = [line.split("_")[0] for line in lines]
    if unknown or len(set(elements)) < len(elements) or not elements:
        raise InputError(
            f"lines {list(lines)}", f"one line an element among {', '.join(k.lines)}", f"lines=[{k.lines[0]!r}]"
        )
    return list(lines)


def _variance_parts(problem: _Problem, k: KRatios, seed: int) -> dict[str, Floats]:
    """Variances of the mass fractions, each source on its own: linear in the k-ratios, drawn in the physics."""
    rng = np.random.default_rng([seed, 3])
    mean = problem.k_of(k).mean(axis=0)
    n = len(problem.lines)
    steps = mean * (1 + STEP * np.vstack([np.zeros(n), np.eye(n)]))
    fixed = problem.solve(steps, problem.physics(rng, n + 1, ()))[0]
    slopes = (fixed[1:] - fixed[0]) / STEP  # per relative change of each k-ratio, shape (line, element)
    of_lines = k.data.sel(line=problem.lines)
    covariances = of_lines["parts"].sel(other_line=problem.lines).values
    size = np.maximum(np.einsum("sll->l", covariances), 0.0)
    deviation = of_lines["deviation_draws"]
    spread = deviation.sel(source="spectrum").std("draw").values / np.sqrt(np.maximum(size, 1e-300))
    found = {
        str(part): np.maximum(_quadratic(slopes, covariances[i] * spread * spread[:, None]), 0.0)
        for i, part in enumerate(k.data["part"].values)
    }
    for source in ("standards", "dose", "peak shapes"):
        found[source] = _quadratic(slopes, np.atleast_2d(np.cov(deviation.sel(source=source).values.T)))
    many = np.tile(mean, (BUDGET_DRAWS, 1))
    drawn = problem.solve(many, problem.physics(rng, BUDGET_DRAWS, ()), problem.deviations(rng, BUDGET_DRAWS))[0]
    found["standards"] = found["standards"] + drawn.var(axis=0)
    for source in MODEL:
        found[source] = problem.solve(many, problem.physics(rng, BUDGET_DRAWS, (source,)))[0].var(axis=0)
    return found


def _quadratic(slopes: Floats, covariance: Floats) -> Floats:
    return np.asarray(np.einsum("le,lm,me->e", slopes, covariance, slopes), np.float64)
