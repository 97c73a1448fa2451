from pathlib import Path

import numpy as np
import pytest

import bayesspec as bs
from bayesspec.inference.simplex_mixture import fit_simplex, share_moments, simplex_grid
from bayesspec.simulate import bremsstrahlung, line_profile

AXIS = 0.15 + 0.01 * np.arange(790)
COMPONENTS = ({"O_Ka": 0.6, "Mg_Ka": 0.4}, {"O_Ka": 0.5, "Fe_Ka": 0.5})


def spectrum(lines: dict[str, float]) -> np.ndarray:
    peaks = sum(weight * line_profile(name, AXIS) for name, weight in lines.items())
    return 0.75 * peaks / peaks.sum() + 0.25 * bremsstrahlung(AXIS, 200.0)


@pytest.fixture(scope="module")
def image() -> bs.SpectrumImage:
    share = np.clip(np.linspace(-0.3, 1.2, 30), 0.02, 0.97)[None].repeat(24, axis=0)
    shares = np.stack([1 - share, share], axis=2)
    rate = 300 * shares @ np.stack([spectrum(c) for c in COMPONENTS])
    return bs.SpectrumImage(
        np.random.default_rng(0).poisson(rate),
        energy=AXIS,
        elements=("O", "Mg", "Fe"),
        acquisition=bs.Acquisition("EDS", 200.0, 130.0),
        truth={"shares": shares},
    )


@pytest.fixture(scope="module")
def fit(image: bs.SpectrumImage) -> bs.LineUnmixing:
    return bs.unmix(image, rank=2, elements=["O", "Mg", "Fe"])


def test_compositions_and_shares_are_found(fit: bs.LineUnmixing, image: bs.SpectrumImage) -> None:
    mean = fit.intensities(["O_Ka", "Mg_Ka", "Fe_Ka"]).mean("draw").values
    mean = mean[np.argsort(mean[:, 2])]
    first, second = mean / mean.sum(axis=1, keepdims=True)
    assert np.allclose(first, [0.6, 0.4, 0.0], atol=0.03)
    assert np.allclose(second, [0.5, 0.0, 0.5], atol=0.03)
    abundances = fit.abundances["mean"].values
    assert np.allclose(abundances.sum(axis=2).mean(), 300, rtol=0.02)
    found = abundances / abundances.sum(axis=2, keepdims=True)
    error = min(np.abs(found - image.truth["shares"]).mean(), np.abs(found[..., ::-1] - image.truth["shares"]).mean())
    assert error < 0.05


def test_no_interval_is_claimed(fit: bs.LineUnmixing) -> None:
    ratio = fit.ratio("Mg_Ka", "O_Ka")
    assert not ratio.known_error
    assert np.isnan(ratio.interval(0.9)[0]).all()
    assert not fit.converged
    assert "do not rely" in fit.status
    assert np.isnan(fit.spectra["lower"]).all()
    assert np.isnan(fit.abundances["sd"]).all()


def test_spectra_sum_to_one_and_results_open_again(fit: bs.LineUnmixing, tmp_path: Path) -> None:
    assert np.allclose(fit.spectra["mean"].sum("energy"), 1.0, atol=1e-4)
    again = bs.open(fit.save(tmp_path / "fit.nc"))
    assert np.array_equal(again.line_counts.draws, fit.line_counts.draws)


def test_bad_input(fit: bs.LineUnmixing, image: bs.SpectrumImage) -> None:
    with pytest.raises(bs.InputError, match="Ti_Ka"):
        fit.ratio("Ti_Ka", "O_Ka")
    with pytest.raises(bs.InputError, match="Xx"):
        bs.unmix(image, rank=2, elements=["Xx"])
    with pytest.raises(bs.InputError, match="no more components than pixels or lines"):
        bs.unmix(image, rank=9, elements=["O", "Mg"])
    with pytest.raises(bs.InputError, match="elements alone"):
        bs.unmix(image, rank=2, elements=["O", "Mg"], background="bremsstrahlung")


def test_the_grid_divides_the_simplex() -> None:
    grid = simplex_grid(3, 4)
    assert grid.shape == (15, 3)
    assert np.allclose(grid.sum(axis=1), 1.0)
    assert {tuple(row) for row in np.eye(3)} <= {tuple(row) for row in grid}


def test_mixtures_of_known_columns_are_at_a_maximum(strict: None) -> None:
    rng = np.random.default_rng(1)
    design = np.kron(np.eye(4), np.ones((3, 1))) + 0.02
    truth = np.array([[0.7, 0.3, 0.0, 0.0], [0.1, 0.0, 0.5, 0.4]])
    shares = rng.beta(0.5, 0.5, 400)
    rate = 200 * np.column_stack([shares, 1 - shares]) @ truth @ (design / design.sum(axis=0)).T
    counts = rng.poisson(rate)
    found = fit_simplex(counts, design, np.array([[0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4]]))
    assert np.allclose(found.weights, truth, atol=0.03)
    free = found.weights > 1e-3
    slope = found.gradient.reshape(2, 4)
    assert np.abs(slope[free]).max() < 0.2 * np.sqrt(found.information.diagonal().max())
    mean, variance = share_moments(counts, design, found)
    assert np.corrcoef(mean[:, 0], shares)[0, 1] > 0.97
    assert (variance >= 0).all()
