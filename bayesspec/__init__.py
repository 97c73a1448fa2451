"""Bayesian segmentation and unmixing of spectrum images, with calibrated uncertainties."""

import importlib
from typing import TYPE_CHECKING, Any

from bayesspec import classical, simulate
from bayesspec.checks import check
from bayesspec.compare import compare
from bayesspec.component import Component
from bayesspec.components import Unmixing
from bayesspec.conversion_gain import GainCorrection, divide_gain
from bayesspec.dose_plan import DosePlan
from bayesspec.edge_fit import EdgeFit, fit_edges
from bayesspec.element_maps import LineMaps, element_maps
from bayesspec.energy_calibration import EnergyCalibration, calibrate_energy
from bayesspec.errors import InputError, MissingExtraError
from bayesspec.files.image_writing import save_image
from bayesspec.fit import fit
from bayesspec.intensity_maps import IntensityMaps, model_maps
from bayesspec.line_components import LineUnmixing
from bayesspec.line_fit import fit_lines
from bayesspec.line_fit_result import LineFit
from bayesspec.line_identification import Identification, identify_lines
from bayesspec.load import from_hyperspy, load, signals, to_hyperspy
from bayesspec.noise_check import poisson_check
from bayesspec.pca import pca
from bayesspec.phase_comparison import PhaseComparison
from bayesspec.phases import Segmentation
from bayesspec.planning import plan_dose
from bayesspec.posterior import Estimate
from bayesspec.principal_components import PrincipalComponents
from bayesspec.rank_selection import select_rank
from bayesspec.results import FitError
from bayesspec.results import open_result as open
from bayesspec.segment import segment
from bayesspec.spectral_maps import spectral_maps
from bayesspec.spectrum_image import Acquisition, SpectrumImage
from bayesspec.thin_film import Film, absorbed_composition, zeta_factors_composition
from bayesspec.unmix import unmix

if TYPE_CHECKING:
    from bayesspec import plot
    from bayesspec.reporting import report

__all__ = [
    "Acquisition",
    "Component",
    "DosePlan",
    "EnergyCalibration",
    "Estimate",
    "Film",
    "FitError",
    "GainCorrection",
    "Identification",
    "InputError",
    "IntensityMaps",
    "EdgeFit",
    "LineFit",
    "LineMaps",
    "LineUnmixing",
    "MissingExtraError",
    "PrincipalComponents",
    "PhaseComparison",
    "Segmentation",
    "SpectrumImage",
    "Unmixing",
    "absorbed_composition",
    "calibrate_energy",
    "check",
    "classical",
    "compare",
    "divide_gain",
    "element_maps",
    "fit",
    "fit_edges",
    "fit_lines",
    "from_hyperspy",
    "identify_lines",
    "load",
    "model_maps",
    "open",
    "pca",
    "plan_dose",
    "plot",
    "poisson_check",
    "report",
    "save_image",
    "segment",
    "select_rank",
    "signals",
    "simulate",
    "spectral_maps",
    "to_hyperspy",
    "unmix",
    "zeta_factors_composition",
]


def __getattr__(name: str) -> Any:
    """Import what draws figures on first use: Matplotlib takes longer to import than all the rest."""
    if name == "plot":
        return importlib.import_module("bayesspec.plot")
    if name == "report":
        return importlib.import_module("bayesspec.reporting").report
    raise AttributeError(f"module 'bayesspec' has no attribute {name!r}")
