"""Figures of results: each function takes a result and returns a matplotlib Figure."""

from bayesspec.plot.compare import comparison
from bayesspec.plot.maps import abundance_maps, element_maps, phase_map
from bayesspec.plot.ratios import count_scatter, ratios
from bayesspec.plot.selection import selection
from bayesspec.plot.spectra import component_spectra, sum_spectrum

__all__ = [
    "abundance_maps",
    "comparison",
    "component_spectra",
    "count_scatter",
    "element_maps",
    "phase_map",
    "ratios",
    "selection",
    "sum_spectrum",
]
