"""Spectra: bands equal to the data, units, lines at their energies."""

import numpy as np
import pytest

from bayesspec import SpectrumImage, classical, plot
from bayesspec.spectroscopy.xray_lines import xray_line


def test_a_panel_a_component_with_its_band(fit):
    figure = plot.component_spectra(fit)
    assert len(figure.axes) == 2
    band = figure.axes[1].collections[0].get_paths()[0].vertices[:, 1]
    assert band.max() == pytest.approx(100 * float(fit.spectra["upper"].values[1].max()), rel=1e-6)
    curve = figure.axes[0].lines[0].get_ydata()
    assert np.allclose(curve, 100 * fit.spectra["mean"].values[0])
    assert figure.axes[-1].get_xlabel() == "energy (keV)"
    assert figure.get_supylabel() == "share per channel (%)"


def test_lines_are_marked_at_their_energies(fit):
    ax = plot.component_spectra(fit, lines=["Fe_Ka"]).axes[0]
    assert [text.get_text() for text in ax.texts if "K" in text.get_text()] == ["Fe Kα"]
    energies = [line.get_xdata()[0] for line in ax.lines if len(line.get_xdata()) == 2]
    assert energies == pytest.approx([xray_line("Fe_Ka").energy_kev])


def test_negative_spectra_get_a_linear_axis(image, fit):
    assert plot.component_spectra(classical.svd(image, 2)).axes[0].get_yscale() == "linear"
    assert plot.component_spectra(fit).axes[0].get_yscale() == "function"


def test_the_summed_spectrum_has_units_and_all_counts(image, fit):
    figure = plot.sum_spectrum(image, energy=(0.3, 8.0))
    ax = figure.axes[0]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("energy (keV)", "counts per channel")
    assert ax.get_xlim() == (0.3, 8.0)
    assert ax.lines[0].get_ydata().sum() == pytest.approx(image.sum_spectrum().sum(), rel=1e-3)
    assert np.array_equal(plot.sum_spectrum(fit).axes[0].lines[0].get_ydata(), ax.lines[0].get_ydata())


def test_electron_energy_losses_are_named_so_and_get_no_x_ray_lines():
    from bayesspec import Acquisition

    counts = np.random.default_rng(0).poisson(50, (4, 4, 80))
    losses = SpectrumImage(
        counts, energy=400 + np.arange(80.0), energy_unit="eV", elements=("Ti",), acquisition=Acquisition("EELS")
    )
    ax = plot.component_spectra(classical.svd(losses, 1)).axes[0]
    assert ax.get_xlabel() == "energy loss (eV)"
    assert not [text for text in ax.texts if "Ti" in text.get_text()]
