"""Bayesian segmentation and unmixing of spectrum images, with calibrated uncertainties."""

from bayesspec import classical, plot, simulate
from bayesspec.compare import compare
from bayesspec.components import Unmixing
from bayesspec.element_maps import LineMaps, element_maps
from bayesspec.errors import InputError, MissingExtraError
from bayesspec.files.image_writing import save_image
from bayesspec.fit import fit
from bayesspec.load import from_hyperspy, load, signals, to_hyperspy
from bayesspec.phases import Segmentation
from bayesspec.posterior import Estimate
from bayesspec.report import report
from bayesspec.results import FitError
from bayesspec.results import open_result as open
from bayesspec.segment import segment
from bayesspec.spectrum_image import Acquisition, SpectrumImage
from bayesspec.unmix import unmix

__all__ = [
    "Acquisition",
    "Estimate",
    "FitError",
    "InputError",
    "LineMaps",
    "MissingExtraError",
    "Segmentation",
    "SpectrumImage",
    "Unmixing",
    "classical",
    "compare",
    "element_maps",
    "fit",
    "from_hyperspy",
    "load",
    "open",
    "plot",
    "report",
    "save_image",
    "segment",
    "signals",
    "simulate",
    "to_hyperspy",
    "unmix",
]
