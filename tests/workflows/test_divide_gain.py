import warnings
from pathlib import Path

import numpy as np
import pytest

import bayesspec as bs

ENERGY = 350.0 + 0.5 * np.arange(400)


def camera(gain: float, seed: int = 0) -> bs.SpectrumImage:
    events = np.random.default_rng(seed).poisson(300 * (ENERGY / 350) ** -2.5, size=(6, 20, 400))
    return bs.SpectrumImage(
        np.rint(gain * events), energy=ENERGY, energy_unit="eV", acquisition=bs.Acquisition("EELS", 200.0)
    )


@pytest.mark.parametrize("gain", [3.0, 10.0])
def test_the_gain_is_found_and_taken_out(gain: float) -> None:
    with pytest.warns(UserWarning, match="estimated from their noise"):
        found = bs.divide_gain(camera(gain))
    assert found.gain == pytest.approx(gain, rel=0.05)
    assert found.left == pytest.approx(1.0, abs=0.06)
    assert found.image.counts_per_pixel == pytest.approx(camera(gain).counts_per_pixel / found.gain, rel=1e-3)


def test_a_gain_that_is_known_is_used_in_silence() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert bs.divide_gain(camera(10.0), 10.0).gain == 10.0


def test_a_wrong_gain_is_reported() -> None:
    with pytest.warns(UserWarning, match="times the variance of Poisson counts"):
        bs.divide_gain(camera(10.0), 3.0)


def test_single_events_and_impossible_gains_are_refused() -> None:
    with pytest.raises(bs.InputError, match="single events already"):
        bs.divide_gain(camera(1.0))
    with pytest.raises(bs.InputError, match=r"gain=0\.5"):
        bs.divide_gain(camera(10.0), 0.5)


def test_measured_losses_are_not_poisson_and_their_gain_is_named(data: Path) -> None:
    image = bs.load(data / "sto_eels" / "DMReader_SpectrumImage_SI-EELS.dm3")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = bs.divide_gain(image)
    assert 7 < found.gain < 15
    assert any(f"a gain of {found.gain:.3g}, estimated" in str(one.message) for one in said)
    assert found.left > 1.25
    assert any("neighbouring channels share" in str(one.message) for one in said)
