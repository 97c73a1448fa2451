"""What a camera made of electrons is found from its noise, and what is no such thing is refused."""

import numpy as np
import pytest

from bayesspec.errors import InputError
from bayesspec.files.camera import camera_noise, countable, counts_times_constant
from bayesspec.files.load import load
from bayesspec.files.stated import Stated
from bayesspec.image.spectrum_image import SpectrumImage

ENERGY = 350.0 + np.arange(384)


def rate(rng, dose, shape=(24, 24)):
    """A falling background and an edge whose height varies, under an uneven thickness: electrons a channel."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    thickness = np.exp(0.2 * np.sin(x / 3))[..., None]
    edge = (0.5 + 0.3 * np.sin(y / 4))[..., None] * (ENERGY > 456) * (ENERGY / 456) ** -2.5
    return dose * thickness * ((ENERGY / 350) ** -4 + 0.3 * edge)


def camera(rng, electrons, gain, offset, read_noise):
    noise = read_noise * rng.normal(size=electrons.shape)
    return (gain * rng.poisson(electrons) + offset + noise).astype(np.float32)


CAMERAS = [(1.37, -4.2, 3.0), (4.0, 12.0, 6.0), (0.6, -1.0, 1.5)]


@pytest.mark.parametrize("truth", CAMERAS)
@pytest.mark.parametrize("dose", [5, 30])
def test_what_a_camera_did_is_found(truth, dose):
    rng = np.random.default_rng(dose)
    found = camera_noise(camera(rng, rate(rng, dose), *truth))
    for (value, sd), true in zip((found.gain, found.offset, found.read_noise), truth, strict=True):
        assert abs(value - true) < 4 * sd + 0.01 * abs(true)
    assert found.gain[0] == pytest.approx(truth[0], rel=0.1)
    assert found.offset[0] == pytest.approx(truth[1], abs=1.0)
    assert found.read_noise[0] == pytest.approx(truth[2], rel=0.2)


def test_few_electrons_leave_the_gain_unbiased():
    """The mean and the variance of few electrons go up and down together, which is no slope of one in the other."""
    found = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        found.append(camera_noise(camera(rng, rate(rng, 3), 2.0, 0.0, 0.5)).gain)
    gain, sd = np.array(found).T
    assert abs(np.mean((gain - 2.0) / sd)) < 1.0
    assert np.mean(gain) == pytest.approx(2.0, rel=0.01)


@pytest.mark.parametrize("dose", [3, 2000])
def test_stated_errors_hold_the_truth(dose):
    held = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        found = camera_noise(camera(rng, rate(rng, dose), *CAMERAS[1]))
        pairs = (found.gain, found.offset, found.read_noise)
        held.append([abs(value - true) < 2 * sd for (value, sd), true in zip(pairs, CAMERAS[1], strict=True)])
    assert (np.mean(held, axis=0) >= 0.7).all()


def test_an_offset_that_the_noise_does_not_tell_is_said_to_be_uncertain():
    rng = np.random.default_rng(0)
    found = camera_noise(camera(rng, rate(rng, 3000), *CAMERAS[0]))
    assert found.gain[0] == pytest.approx(1.37, rel=0.05)
    assert found.offset[1] > 10
    assert abs(found.offset[0] + 4.2) < 4 * found.offset[1]


@pytest.mark.parametrize("dose", [2, 30, 1000])
def test_events_have_the_variance_of_their_mean(dose):
    """Repeats of one pixel: nothing but the noise differs between them."""
    rng = np.random.default_rng(1)
    electrons = rate(rng, dose)
    found = camera_noise(camera(rng, electrons, *CAMERAS[0]))
    one = np.broadcast_to(electrons[3, 3], (4000, len(ENERGY)))
    events = found.events(camera(rng, one, *CAMERAS[0]))
    assert np.mean(events.var(axis=0) / events.mean(axis=0)) == pytest.approx(1.0, abs=0.06)
    read = (found.read_noise[0] / found.gain[0]) ** 2
    if dose < 1000:
        assert np.mean(events.mean(axis=0) - one[0]) == pytest.approx(read, abs=1.0)


def test_what_is_known_wins():
    rng = np.random.default_rng(2)
    values = camera(rng, rate(rng, 30), *CAMERAS[0])
    found = camera_noise(values, gain=2.0, read_noise=5.0)
    assert (found.gain, found.read_noise) == ((2.0, 0.0), (5.0, 0.0))
    known = camera_noise(values, gain=1.37, offset=-4.2, read_noise=3.0)
    assert (known.gain[0], known.offset[0], known.read_noise[0]) == CAMERAS[0]
    assert camera_noise(values, offset=-4.2, read_noise=3.0).gain[0] == pytest.approx(1.37, rel=0.03)
    assert camera_noise(values, offset=-4.2).read_noise[0] == pytest.approx(3.0, rel=0.1)


def test_what_was_processed_is_refused():
    rng = np.random.default_rng(3)
    electrons = rate(rng, 200)
    values = camera(rng, electrons, *CAMERAS[0])
    background = 1.37 * 200 * np.exp(0.2 * np.sin(np.arange(24) / 3))[None, :, None] * (ENERGY / 350) ** -4
    smoothed = (values + np.roll(values, 1, -1) + np.roll(values, -1, -1)) / 3
    for wrong, words in (
        (values / values.sum(axis=2, keepdims=True), "same sum.*normalised"),
        (values / values.max(axis=2, keepdims=True), "same maximum.*normalised"),
        (values - background, "background was subtracted"),
        (smoothed, "smoothed or interpolated"),
        (np.where(values > 100, np.nan, values), "not finite"),
        (values[..., :10], "10 channels"),
    ):
        with pytest.raises(InputError, match=words):
            camera_noise(wrong)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("unit", [0.0123, 1 / 60, 250.0])
def test_counts_times_a_constant(dtype, unit):
    counts = np.random.default_rng(0).poisson(np.geomspace(0.01, 3000, 200), (5, 5, 200))
    values = (counts * unit).astype(dtype)
    assert counts_times_constant(values) == pytest.approx(unit, rel=1e-6)
    found = countable(values + 0.0, "EDS", Stated())
    np.testing.assert_array_equal(found.counts, counts if unit < 1 else values)
    assert ("divided out" in found.note) == (unit < 1)


def test_a_peak_that_was_removed_is_excluded():
    values = np.random.default_rng(0).poisson(50.0, (2, 2, 400)).astype(float)
    values[..., 100:104] = 41.3
    found = countable(values, "EDS", Stated())
    np.testing.assert_array_equal(np.flatnonzero(found.excluded), [100, 101, 102, 103])
    np.testing.assert_array_equal(found.counts[..., :100], values[..., :100])
    assert "4 channels from 100 to 103" in found.note


def test_fractions_of_x_rays_that_are_no_multiples_stay_refused():
    rng = np.random.default_rng(0)
    values = rng.poisson(3.0, (5, 5, 100)) * rng.uniform(0.5, 1, (5, 5, 1))
    assert counts_times_constant(values) is None
    with pytest.raises(InputError, match="fractional"):
        countable(values, "EDS", Stated())


def test_a_file_of_a_camera_is_loaded(tmp_path):
    rng = np.random.default_rng(4)
    electrons = rate(rng, 30)
    path = tmp_path / "camera.npz"
    np.savez(path, counts=camera(rng, electrons, *CAMERAS[0]), energy=ENERGY, energy_unit="eV", technique="EELS")
    with pytest.warns(UserWarning, match=r"those of a camera: gain 1\.3.* ±"):
        image = load(path)
    assert image.acquisition.camera_gain == pytest.approx(1.37, rel=0.05)
    assert image.acquisition.camera_offset == pytest.approx(-4.2, abs=1.0)
    assert image.counts.mean() == pytest.approx(electrons.mean() + (3 / 1.37) ** 2, rel=0.02)
    with pytest.warns(UserWarning, match="gain 1.37, offset -4.2, read noise 0\\."):
        exact = load(path, gain=1.37, offset=-4.2, read_noise=0.0)
    assert exact.counts.mean() == pytest.approx(electrons.mean(), rel=0.02)


def test_whole_numbers_of_a_camera_are_divided_by_what_is_known(tmp_path):
    path = tmp_path / "counts.npz"
    np.savez(path, counts=np.full((2, 2, 40), 60), energy=350.0 + np.arange(40), energy_unit="eV", technique="EELS")
    with pytest.warns(UserWarning, match="gain 10"):
        assert load(path, gain=10.0, offset=10.0).counts.max() == 5
    assert isinstance(load(path), SpectrumImage)
