"""The result of an edge fit: counts, and atoms per area where cross sections are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import lazy_loader
import numpy as np
import xarray as xr

from bayesspec.errors import InputError
from bayesspec.files.public_arguments import checked_arguments
from bayesspec.image.arguments import checked_real
from bayesspec.results.estimate import Estimate, ratio_of
from bayesspec.results.line_fit import LineFit
from bayesspec.results.schema import Variable
from bayesspec.spectroscopy.core_edges import edge_name
from bayesspec.spectroscopy.hydrogenic import UNCERTAINTY

xraydb = lazy_loader.load("xraydb")

SectionSd = float | Mapping[str, float] | None


def _section_sd(value: Any) -> SectionSd:
    do = "cross_section_sd=0.1, or {'Ti_L': 0.1}"
    if not isinstance(value, Mapping):
        return None if value is None else checked_real("cross_section_sd", value, 0.0, do=do)
    if not all(isinstance(name, str) for name in value):
        raise InputError(f"cross_section_sd={value!r}", "a relative standard deviation by edge", do)
    return {name: checked_real(f"cross_section_sd of {name}", sd, 0.0, do=do) for name, sd in value.items()}


_checked = checked_arguments(cross_section_sd=_section_sd)


class EdgeFit(LineFit):
    """Edges fitted to one spectrum: draws of their counts in the 100 eV above each onset, and the fitted curve.

    The draws of counts are a parametric bootstrap: they show how the counts would scatter in repeats. Atoms per area
    come from a fit of cross sections, folded with the low loss where there is one; see ``areal_density``.
    """

    kind = "edge fit"
    heading = "Edges"
    schema = LineFit.schema.extended(
        {
            "density_draws": Variable(("draw_of_density", "edge"), "atoms per area", "nm^-2", needed=False, low=0.0),
            "density_parts": Variable(
                ("part", "edge", "other_edge"), "covariance of the densities by source", "nm^-4", needed=False
            ),
            "section_rate": Variable(("section_energy",), "counts that the densities expect", "counts", needed=False),
        },
    )

    @property
    def edges(self) -> tuple[str, ...]:
        """Names of the edges with a cross section, tuple of str; empty where beam or angles are not known."""
        return tuple(str(name) for name in self.data["edge"].values) if "edge" in self.data.coords else ()

    @property
    def cross_section_sd(self) -> dict[str, float]:
        """Relative standard deviations of the cross sections that are assumed: K 10 %, L 15 %."""
        return {name: UNCERTAINTY[name.split("_")[1]] for name in self.edges}

    def ratio(self, numerator: str, denominator: str) -> Estimate:
        """Ratio of the counts of two edges.

        Parameters
        ----------
        numerator, denominator : str
            Names of fitted edges, ``"Ti_L23"`` or ``"Ti_L"``.

        Returns
        -------
        Estimate, dims ()
            Ratio of the counts in the 100 eV above the onsets.

        Raises
        ------
        InputError
            When an edge was not fitted.
        """
        return super().ratio(edge_name(numerator), edge_name(denominator))

    @_checked
    def areal_density(self, *, cross_section_sd: SectionSd = None, seed: int = 0) -> Estimate:
        """Atoms per nm^2 behind every edge.

        Parameters
        ----------
        cross_section_sd : float, mapping of str to float, or None
            Relative standard deviation of the cross sections, by edge; 0 leaves the statistical part alone, ``None``
            takes ``self.cross_section_sd``.
        seed : int
            Seed of the draws of the cross sections.

        Returns
        -------
        Estimate, dims (edge,)
            In nm^-2.

        Raises
        ------
        InputError
            When there is no low loss, or beam energy or collection angle are not known.
        """
        draws = self._densities(cross_section_sd, seed)
        if not self.data.attrs.get("areal"):
            raise InputError(
                "a fit without a low loss",
                "the spectrum with the zero loss: it tells how many electrons there were",
                "bs.fit_edges(core_loss, elements, low_loss=low_loss)",
            )
        return self.own(Estimate(draws, "atoms per nm^2", positive=True))

    @_checked
    def atomic_ratio(
        self, numerator: str, denominator: str, *, cross_section_sd: SectionSd = None, seed: int = 0
    ) -> Estimate:
        """Ratio of the numbers of atoms behind two edges.

        Parameters
        ----------
        numerator, denominator : str
            Names of fitted K or L edges, ``"Ti_L23"`` and ``"O_K"``.
        cross_section_sd : float, mapping of str to float, or None
            Relative standard deviation of the cross sections, by edge; 0 leaves the statistical part alone, ``None``
            takes ``self.cross_section_sd``.
        seed : int
            Seed of the draws of the cross sections.

        Returns
        -------
        Estimate, dims ()
            The ratio.

        Raises
        ------
        InputError
            When an edge has no cross section, or beam energy or collection angle are not known.

        Examples
        --------
        >>> fit = bs.fit_edges(core_loss, ["Ti", "O"], low_loss=low_loss)  # doctest: +SKIP
        >>> print(fit.atomic_ratio("Ti_L23", "O_K"))  # doctest: +SKIP
        """
        draws = self._densities(cross_section_sd, seed)
        names = [edge_name(name) for name in (numerator, denominator)]
        unknown = [name for name in names if name not in self.edges]
        if unknown:
            raise InputError(f"the edge {unknown[0]!r}", f"one of {', '.join(self.edges)}", "fit.atomic_ratio(...)")
        first, second = (draws.sel(edge=name, drop=True) for name in names)
        return self.own(ratio_of(first, second, f"atoms {names[0]}/{names[1]}"))

    @_checked
    def composition(
        self,
        k_factors: Any = None,
        *,
        edges: Sequence[str] | None = None,
        cross_section_sd: SectionSd = None,
        seed: int = 0,
        **others: Any,
    ) -> dict[str, Estimate]:
        """Composition by hydrogenic cross sections.

        Parameters
        ----------
        k_factors : None
            Edges have none.
        edges : sequence of str or None
            One edge an element; ``None`` takes the one whose density is known best.
        cross_section_sd : float, mapping of str to float, or None
            Relative standard deviation of the cross sections, by edge; 0 leaves the statistical part alone, ``None``
            takes ``self.cross_section_sd``.
        seed : int
            Seed of the draws of the cross sections.
        **others : object
            What a line fit takes and edges do not.

        Returns
        -------
        dict of str to Estimate, dims (element,)
            ``"weight_percent"`` and ``"atomic_percent"``.

        Raises
        ------
        InputError
            When k-factors are given, an edge has no cross section, or beam energy or collection angle are not known.
        """
        if k_factors is not None or others:
            raise InputError(
                f"factors {k_factors or others} for edges", "none: edges have cross sections", "fit.composition()"
            )
        draws = self._densities(cross_section_sd, seed)
        chosen = self._one_each(draws) if edges is None else [edge_name(name) for name in edges]
        elements = [name.split("_")[0] for name in chosen]
        if len(set(elements)) < max(len(elements), 2) or any(name not in self.edges for name in chosen):
            raise InputError(
                f"edges {chosen}", f"one edge each of two or more elements among {', '.join(self.edges)}", "edges=[...]"
            )
        atoms = draws.sel(edge=chosen).rename(edge="element").assign_coords(element=elements)
        mass = xr.DataArray([xraydb.atomic_mass(e) for e in elements], dims="element", coords={"element": elements})
        shares = {"weight_percent": atoms * mass, "atomic_percent": atoms}
        return {
            name: self.own(Estimate(100 * share / share.sum("element"), name, positive=True))
            for name, share in shares.items()
        }

    @_checked
    def budget(
        self,
        k_factors: Any = None,
        *,
        edges: Sequence[str] | None = None,
        cross_section_sd: SectionSd = None,
        **others: Any,
    ) -> xr.Dataset:
        """Share of the variance of each atomic per cent by source.

        Parameters
        ----------
        k_factors : None
            Edges have none.
        edges : sequence of str or None
            One edge an element; ``None`` takes the one whose density is known best.
        cross_section_sd : float, mapping of str to float, or None
            As ``composition`` takes it.
        **others : object
            What a line fit takes and edges do not.

        Returns
        -------
        xarray.Dataset, dims (element,)
            ``counts``, ``background`` (with the fine structure and the onsets) and ``cross_sections``; they sum to 1.
            ``sd`` is the standard deviation of the atomic per cent that they add up to.

        Raises
        ------
        InputError
            When ``composition`` would refuse.
        """
        elements = self.composition(k_factors, edges=edges, **others)["atomic_percent"].mean["element"].values
        draws = self._densities(0.0, 0)
        chosen = self._one_each(draws) if edges is None else [edge_name(name) for name in edges]
        atoms = draws.sel(edge=chosen).mean("draw").values
        share = atoms / atoms.sum()
        slopes = 100 * (np.eye(len(atoms)) - share) / atoms.sum()  # of element (column) by density (row)
        parts = self.data["density_parts"].sel(edge=chosen, other_edge=chosen)
        sds = np.array([self._section_sds(cross_section_sd)[name] for name in chosen])
        covariances = dict(zip(parts["part"].values.tolist(), parts.values, strict=True))
        covariances["cross_sections"] = np.diag((sds * atoms) ** 2)
        found = {
            name: np.maximum(np.einsum("le,lm,me->e", slopes, covariance, slopes), 0.0)
            for name, covariance in covariances.items()
        }
        total = np.sum(list(found.values()), axis=0)
        table = {name: ("element", values / np.maximum(total, 1e-300)) for name, values in found.items()}
        return xr.Dataset(table | {"sd": ("element", np.sqrt(total))}, coords={"element": elements})

    def _section_sds(self, given: SectionSd) -> dict[str, float]:
        sds = self.cross_section_sd
        if isinstance(given, Mapping):
            return sds | {edge_name(name): float(sd) for name, sd in given.items()}
        return sds if given is None else dict.fromkeys(sds, float(given))

    def _one_each(self, draws: xr.DataArray) -> list[str]:
        spread = (draws.std("draw") / draws.mean("draw").clip(min=1e-300)).to_series().to_dict()
        best: dict[str, str] = {}
        for name in sorted(self.edges, key=lambda one: spread[one]):
            best.setdefault(name.split("_")[0], name)
        return [name for name in self.edges if name in best.values()]

    def _densities(self, cross_section_sd: SectionSd, seed: int) -> xr.DataArray:
        """Joint draws of the densities, with those of the cross sections."""
        if not self.edges:
            why = self.data.attrs.get("no_sections", "saved before there were any")
            raise InputError(
                f"no cross sections for {self.name!r}: {why}",
                "beam energy, collection angle and a K or L edge",
                "replace(si, acquisition=replace(si.acquisition, beam_energy_kev=200.0, collection_mrad=20.0))",
            )
        sds = self._section_sds(cross_section_sd)
        draws = self.data["density_draws"].rename(draw_of_density="draw")
        noise = np.random.default_rng([seed, 5]).standard_normal(draws.shape)
        return draws * np.maximum(1 + noise * [sds[name] for name in self.edges], 1e-3)
