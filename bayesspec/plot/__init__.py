"""Figures of results: each function takes a result and returns a matplotlib Figure."""

from bayesspec.plot.calibration import calibration
from bayesspec.plot.checks import checks
from bayesspec.plot.compare import comparison
from bayesspec.plot.dose_plan import dose_plan
from bayesspec.plot.maps import abundance_maps, element_maps
from bayesspec.plot.phases import phase_map
from bayesspec.plot.principal import principal_components
from bayesspec.plot.ratio_map import profile, ratio_map
from bayesspec.plot.ratios import ratios
from bayesspec.plot.scatter import count_scatter
from bayesspec.plot.selection import scree, selection
from bayesspec.plot.spectra import component_spectra, sum_spectrum
from bayesspec.plot.thickness import thickness

__all__ = [
    "abundance_maps",
    "calibration",
    "checks",
    "comparison",
    "component_spectra",
    "count_scatter",
    "dose_plan",
    "element_maps",
    "phase_map",
    "principal_components",
    "profile",
    "ratio_map",
    "ratios",
    "scree",
    "selection",
    "sum_spectrum",
    "thickness",
]
