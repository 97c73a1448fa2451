"""Bayesian segmentation and unmixing of spectrum images, with calibrated uncertainties."""

from bayesspec import simulate
from bayesspec.element_maps import LineMaps, element_maps
from bayesspec.errors import InputError
from bayesspec.spectrum_image import Acquisition, SpectrumImage

__all__ = ["Acquisition", "InputError", "LineMaps", "SpectrumImage", "element_maps", "simulate"]
