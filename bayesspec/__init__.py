"""Bayesian segmentation and unmixing of spectrum images, with calibrated uncertainties.

The public names stand in ``__init__.pyi``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
