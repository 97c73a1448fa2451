"""Widths of lines and their shares of the channels."""

import numpy as np
import pytest

from bayesspec.errors import InputError
from bayesspec.spectroscopy.detector import fwhm_kev, gaussian_shares


def test_width_at_mn_ka_is_the_resolution() -> None:
    assert fwhm_kev(5.895, 127.0) == pytest.approx(0.127)
    assert (np.diff(fwhm_kev(np.linspace(0.2, 20, 50), 130.0)) > 0).all()
    with pytest.raises(InputError, match="5.0 eV"):
        fwhm_kev(1.0, 5.0)


def test_shares_conserve_intensity_and_have_the_right_width() -> None:
    axis = 0.005 + 0.01 * np.arange(1000)
    shares = gaussian_shares(np.array([5.0]), np.array([2.0]), axis, 130.0)
    assert shares.sum() == pytest.approx(2.0)
    mean = (shares * axis).sum() / 2
    sd = np.sqrt((shares * (axis - mean) ** 2).sum() / 2)
    assert mean == pytest.approx(5.0, abs=1e-6)
    assert sd == pytest.approx(np.sqrt((float(fwhm_kev(5.0, 130.0)) / 2.3548) ** 2 + 0.01**2 / 12), rel=1e-4)
