"""The zero loss comes to 0 eV by whole channels, and the core loss goes along."""

import numpy as np
import pytest

import bayesspec as bs

STEP, CORE_STEP = 0.2, 0.5
LOW = -6.0 + STEP * np.arange(300)
CORE = 300.0 + CORE_STEP * np.arange(400)


def recorded(seed: int = 0, counts: float = 4000.0) -> tuple[bs.SpectrumImage, bs.SpectrumImage, np.ndarray]:
    """Low loss with plasmons and core loss with a step at 401 eV, both moved by up to 2 eV in every pixel."""
    rng = np.random.default_rng(seed)
    shifts = rng.uniform(-2, 2, (5, 6))
    loss = LOW - shifts[..., None]
    zero = np.exp(-0.5 * (loss / 0.35) ** 2) / (0.35 * np.sqrt(2 * np.pi))
    plasmon = np.exp(-0.5 * ((loss - 22) / 4) ** 2) / (4 * np.sqrt(2 * np.pi))
    low = rng.poisson(counts * STEP * (np.exp(-0.5) * zero + (1 - np.exp(-0.5)) * plasmon))
    core = rng.poisson(np.where(CORE - shifts[..., None] > 401.0, 60.0, 20.0))
    acquisition = bs.Acquisition("EELS", 200.0)
    images = [
        bs.SpectrumImage(values, energy=axis, energy_unit="eV", acquisition=acquisition)
        for values, axis in ((low, LOW), (core, CORE))
    ]
    return images[0], images[1], shifts


def test_positions_are_found_and_every_count_is_kept() -> None:
    low, core, shifts = recorded()
    found = bs.align_zero_loss(low, core)
    assert np.abs(found.shifts.values - shifts).max() < 0.05
    assert found.low_loss.counts.dtype.kind == "u"
    assert found.core_loss is not None
    # the counts of a pixel are those of a run of its own channels
    start = round((shifts[2, 3] - shifts.min()) / STEP)
    runs = [low.counts[2, 3, s : s + found.low_loss.shape[2]] for s in (start - 1, start, start + 1)]
    assert any(np.array_equal(found.low_loss.counts[2, 3], run) for run in runs)


def test_the_zero_loss_lies_at_zero_and_the_edge_where_it_belongs() -> None:
    low, core, _ = recorded(1)
    found = bs.align_zero_loss(low, core)
    spectrum = found.low_loss.sum_spectrum()
    near = np.abs(found.low_loss.energy) < 1.5
    centre = (spectrum * found.low_loss.energy)[near].sum() / spectrum[near].sum()
    assert abs(centre) < 0.02
    assert found.core_loss is not None
    below = found.core_loss.energy < 401.0 - 0.6 * CORE_STEP
    above = found.core_loss.energy > 401.0 + 0.6 * CORE_STEP
    counts = found.core_loss.counts.reshape(-1, found.core_loss.shape[2]).mean(axis=0)
    assert counts[below].max() < 35 < 45 < counts[above].min()
    smeared = core.counts.reshape(-1, core.shape[2]).mean(axis=0)
    assert smeared[(core.energy > 401.5) & (core.energy < 402.5)].max() < 58


def test_thickness_is_the_logarithm_of_the_share_of_the_zero_loss() -> None:
    low, _, _ = recorded(2, counts=40000.0)
    thickness = bs.thickness_map(bs.align_zero_loss(low).low_loss)
    z = (thickness["t_over_lambda"] - 0.5) / thickness["sd"]
    assert float(thickness["t_over_lambda"].mean()) == pytest.approx(0.5, abs=0.005)
    assert 0.7 < float(z.std()) < 1.35
    # counting alone: 1 / I0 - 1 / I
    expected = np.sqrt((np.exp(0.5) - 1) / 40000.0)
    assert float(thickness["sd"].mean()) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda low, core: bs.align_zero_loss(core, low), "with the zero loss"),
        (lambda low, core: bs.align_zero_loss(low, core.crop(y=(0, 3))), "the same pixels"),
        (lambda low, core: bs.align_zero_loss(low.with_mask(np.abs(low.energy) < 15)), "20 or more"),
        (lambda low, core: bs.thickness_map(core), "with the zero loss"),
        (lambda low, core: bs.thickness_map(low.crop(energy=(-5.0, 1.0))), "plasmons"),
    ],
)
def test_what_has_no_zero_loss_is_refused(call, said: str) -> None:
    low, core, _ = recorded(3, counts=20.0)
    with pytest.raises(bs.InputError, match=said):
        call(low, core)
