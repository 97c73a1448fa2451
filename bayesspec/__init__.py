"""Bayesian segmentation and unmixing of spectrum images, with calibrated uncertainties."""

import importlib
from typing import TYPE_CHECKING, Any

from bayesspec import classical, simulate
from bayesspec.comparison.check import check
from bayesspec.comparison.side_by_side import compare
from bayesspec.errors import InputError, MissingExtraError
from bayesspec.files.image_writing import save_image
from bayesspec.files.load import from_hyperspy, load, signals, to_hyperspy
from bayesspec.image.spectrum_image import Acquisition, SpectrumImage
from bayesspec.inference.status import Status
from bayesspec.results.component import Component
from bayesspec.results.composition_maps import composition_maps
from bayesspec.results.dose_plan import DosePlan, plan_dose
from bayesspec.results.edge_fit import EdgeFit
from bayesspec.results.estimate import Estimate
from bayesspec.results.intensity_maps import IntensityMaps
from bayesspec.results.k_factors_from import k_factors_from
from bayesspec.results.k_ratios import KRatios
from bayesspec.results.line_fit import LineFit
from bayesspec.results.line_unmixing import LineUnmixing
from bayesspec.results.phase_comparison import PhaseComparison
from bayesspec.results.principal_components import PrincipalComponents
from bayesspec.results.quantification import Quantification
from bayesspec.results.result import FitError, Result
from bayesspec.results.result import open_result as open
from bayesspec.results.segmentation import Segmentation
from bayesspec.results.unmixing import Unmixing
from bayesspec.spectroscopy.composition import KFactors
from bayesspec.spectroscopy.detector_efficiency import Detector
from bayesspec.spectroscopy.k_factors import k_factors
from bayesspec.spectroscopy.line_maps import LineMaps, element_maps
from bayesspec.spectroscopy.thin_film import Film, absorbed_composition, zeta_factors_composition
from bayesspec.workflows.align_zero_loss import ZeroLossAlignment, align_zero_loss
from bayesspec.workflows.calibrate_energy import EnergyCalibration, calibrate_energy
from bayesspec.workflows.divide_gain import GainCorrection, divide_gain
from bayesspec.workflows.fit import fit
from bayesspec.workflows.fit_edges import fit_edges
from bayesspec.workflows.fit_lines import fit_lines
from bayesspec.workflows.identify_lines import Identification, identify_lines
from bayesspec.workflows.k_ratios import Standard, k_ratios
from bayesspec.workflows.model_maps import model_maps
from bayesspec.workflows.pca import pca
from bayesspec.workflows.poisson_check import poisson_check
from bayesspec.workflows.quantify import quantify
from bayesspec.workflows.segment import segment
from bayesspec.workflows.select_rank import select_rank
from bayesspec.workflows.spectral_maps import spectral_maps
from bayesspec.workflows.thickness_map import thickness_map
from bayesspec.workflows.unmixing.unmix import unmix

if TYPE_CHECKING:
    from bayesspec import plot
    from bayesspec.reporting import report

__all__ = [
    "Acquisition",
    "Component",
    "Detector",
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
    "KFactors",
    "KRatios",
    "LineFit",
    "LineMaps",
    "LineUnmixing",
    "MissingExtraError",
    "PrincipalComponents",
    "PhaseComparison",
    "Quantification",
    "Result",
    "Segmentation",
    "SpectrumImage",
    "Standard",
    "Status",
    "Unmixing",
    "ZeroLossAlignment",
    "absorbed_composition",
    "align_zero_loss",
    "calibrate_energy",
    "check",
    "classical",
    "compare",
    "composition_maps",
    "divide_gain",
    "element_maps",
    "fit",
    "fit_edges",
    "fit_lines",
    "from_hyperspy",
    "identify_lines",
    "k_factors",
    "k_factors_from",
    "k_ratios",
    "load",
    "model_maps",
    "open",
    "pca",
    "plan_dose",
    "plot",
    "poisson_check",
    "quantify",
    "report",
    "save_image",
    "segment",
    "select_rank",
    "signals",
    "simulate",
    "spectral_maps",
    "thickness_map",
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
