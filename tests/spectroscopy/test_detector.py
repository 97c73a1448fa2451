"""Widths of lines and their shares of the channels."""

import numpy as np
import pytest

from bayesspec.errors import InputError
from bayesspec.spectroscopy.detector import SpreadLines, fwhm_kev, gaussian_columns, gaussian_shares


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


def test_several_lines_are_spread_as_one_by_one() -> None:
    axis = 0.105 + 0.01 * np.arange(900)
    lines = [([0.5, 0.53], [1.0, 0.2]), ([6.4, 7.06, 0.7], [0.88, 0.12, 0.4]), ([0.05], [1.0])]
    found = gaussian_columns(lines, axis, 135.0)
    for column, (energies, weights) in zip(found.T, lines, strict=True):
        np.testing.assert_allclose(
            column, gaussian_shares(np.array(energies), np.array(weights), axis, 135.0), atol=1e-15
        )


def test_derivatives_are_those_of_the_shares() -> None:
    axis = 0.105 + 0.01 * np.arange(900)
    energies, sigma, owners = np.array([1.74, 1.83, 6.4]), np.array([0.033, 0.034, 0.056]), np.array([0, 0, 1])
    weights = np.array([1.0, 0.1, 2.0])

    def shares(shift: float = 0.0, wider: float = 0.0, gain: float = 1.0) -> np.ndarray:
        return SpreadLines(energies + shift, sigma + wider, owners, 2, gain * axis).shares(weights)

    lines = SpreadLines(energies, sigma, owners, 2, axis)
    for found, step in zip(lines.derivatives(), ({"shift": 1e-5}, {"wider": 1e-5}, {"gain": 1e-6}), strict=True):
        ((name, size),) = step.items()
        centre = 1.0 if name == "gain" else 0.0
        expected = (shares(**{name: centre + size}) - shares(**{name: centre - size})) / (2 * size)
        np.testing.assert_allclose(
            lines.summed(found * weights[lines.transition]), expected, atol=1e-5 * np.abs(expected).max()
        )
