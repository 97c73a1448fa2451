"""Deviances: closed forms in the limits."""

import numpy as np
import pytest

from bayesspec import LineMaps, SpectrumImage, classical
from bayesspec.comparison.deviance import component_deviance, phase_deviance


def test_one_phase_without_scatter_has_no_deviance():
    counts = np.einsum("yx,l->yxl", np.arange(1, 13).reshape(3, 4), [3, 5])
    seg = classical.kmeans(LineMaps(counts, lines=("Fe_Ka", "O_Ka")), 1)
    assert phase_deviance(LineMaps(counts, lines=("Fe_Ka", "O_Ka")), seg) == pytest.approx(0, abs=1e-9)


def test_one_phase_with_poisson_noise_has_a_deviance_of_its_degrees_of_freedom():
    counts = np.random.default_rng(0).poisson([400, 300, 200], (60, 60, 3))
    maps = LineMaps(counts, lines=("Fe_Ka", "O_Ka", "Si_Ka"))
    assert phase_deviance(maps, classical.kmeans(maps, 1)) == pytest.approx(2, abs=4 * np.sqrt(4 / 3600))


def test_data_of_rank_one_have_no_deviance_and_every_block_counts():
    counts = np.einsum("yx,e->yxe", np.arange(1, 41).reshape(8, 5), [2, 4, 6, 1])
    image = SpectrumImage(counts, energy=np.arange(1, 5.0))
    fit = classical.svd(image, 1)
    assert component_deviance(image, fit)[0] == pytest.approx(0, abs=1e-9)
    whole = component_deviance(image, classical.nmf(image, 1))
    assert whole[0] == pytest.approx(0, abs=1e-6)


def test_blocks_do_not_change_the_sum(monkeypatch):
    image = SpectrumImage(np.random.default_rng(0).poisson(3, (7, 5, 20)), energy=np.arange(1, 21.0))
    fit = classical.nmf(image, 2)
    once = component_deviance(image, fit)
    monkeypatch.setattr("bayesspec.comparison.deviance._BLOCK_VALUES", 1)
    assert component_deviance(image, fit) == pytest.approx(once, rel=1e-12)
