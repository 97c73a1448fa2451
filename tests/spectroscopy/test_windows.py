"""Windows recover line intensities that are known exactly."""

import numpy as np
import pytest

from bayesspec import element_maps, simulate
from bayesspec.errors import InputError
from bayesspec.image.spectrum_image import Acquisition, SpectrumImage
from bayesspec.simulate import bremsstrahlung, line_profile
from bayesspec.spectroscopy.windows import line_windows

ENERGY = 0.1 + 0.01 * np.arange(1200)
LINES = ["O_Ka", "Na_Ka", "Mg_Ka", "Al_Ka", "Si_Ka", "K_Ka", "Ca_Ka", "Ti_Ka", "Fe_Ka"]


def spectrum_of(intensities: dict[str, float], background: float = 0.0) -> np.ndarray:
    lines = sum(value * line_profile(line, ENERGY) for line, value in intensities.items())
    return np.asarray(lines + background * bremsstrahlung(ENERGY, 200.0))


def image_of(spectrum: np.ndarray, **given: object) -> SpectrumImage:
    acquisition = Acquisition("EDS", beam_energy_kev=200.0, resolution_mn_ka_ev=130.0)
    return SpectrumImage(np.rint(spectrum), energy=ENERGY, acquisition=acquisition, **given)  # type: ignore[arg-type]


def test_intensities_without_background_are_exact() -> None:
    truth = {line: 1e6 * (i + 1) for i, line in enumerate(LINES)}
    image = image_of(spectrum_of(truth))
    windows = line_windows(image, LINES)
    found = np.asarray(windows.sums(spectrum_of(truth), np.float64)) @ windows.response.T
    np.testing.assert_allclose(found, list(truth.values()), rtol=1e-6)


def test_background_is_taken_off_without_bias() -> None:
    truth = dict.fromkeys(["O_Ka", "Si_Ka", "Fe_Ka"], 1e6)
    spectrum = spectrum_of(truth, background=2e7)
    windows = line_windows(image_of(spectrum), list(truth))
    found = np.asarray(windows.sums(spectrum, np.float64)) @ windows.response.T
    np.testing.assert_allclose(found, 1e6, rtol=0.01)
    raw = np.asarray(windows.sums(spectrum, np.float64))[:3]
    assert (raw > 1.1e6).all()


def test_background_of_a_soft_line_in_a_crowd_is_followed_and_its_uncertainty_counts() -> None:
    truth = dict(zip(LINES, (10.0, 1, 2, 3, 8, 1, 2, 0.3, 3), strict=True))
    spectrum = spectrum_of(truth | {"Fe_La": 0.75})
    spectrum = 8e5 * (0.77 * spectrum / spectrum.sum() + 0.23 * bremsstrahlung(ENERGY, 200.0))
    expected = np.log(np.array(list(truth.values())) / truth["Si_Ka"])
    known, bare = [], []
    for seed in range(40):
        counts = np.random.default_rng(seed).poisson(spectrum)
        windows = line_windows(image_of(counts, elements=tuple(line.split("_")[0] for line in LINES)), LINES)
        sums = np.asarray(windows.sums(counts))
        net = windows.response @ sums
        slope = windows.response / net[:, None]
        slope -= slope[LINES.index("Si_Ka")]
        change = windows.errors @ sums / net
        change -= change[:, [LINES.index("Si_Ka")]]
        error = np.delete(np.abs(np.log(net / net[LINES.index("Si_Ka")]) - expected), LINES.index("Si_Ka"))
        counted = np.delete((slope**2 * sums).sum(axis=1), LINES.index("Si_Ka"))
        bare.append(error[0] / np.sqrt(counted[0]))
        known.append(error < 1.645 * np.sqrt(counted + np.delete((change**2).sum(axis=0), LINES.index("Si_Ka"))))
    assert np.mean(bare) < 2
    assert 0.86 <= np.mean(known) <= 0.97


def test_counts_beyond_the_beam_energy_say_nothing_of_the_background() -> None:
    acquisition = Acquisition("EDS", beam_energy_kev=10.0, resolution_mn_ka_ev=130.0)
    lines = spectrum_of({"O_Ka": 1e5, "Fe_Ka": 1e5})
    spectrum = np.random.default_rng(0).poisson(lines + 2e5 * bremsstrahlung(ENERGY, 10.0))
    piled = spectrum + np.where(ENERGY > 10.0, 20, 0)
    errors = [
        line_windows(SpectrumImage(c[None, None], energy=ENERGY, acquisition=acquisition), ["O_Ka", "Fe_Ka"]).errors
        for c in (spectrum, piled)
    ]
    np.testing.assert_allclose(errors[1], errors[0], atol=1e-12)


def test_mn_kb_under_fe_ka_is_accounted_for() -> None:
    truth = {"Mn_Ka": 1e6, "Fe_Ka": 1e5}
    windows = line_windows(image_of(spectrum_of(truth)), list(truth))
    found = np.asarray(windows.sums(spectrum_of(truth), np.float64)) @ windows.response.T
    np.testing.assert_allclose(found, [1e6, 1e5], rtol=1e-6)


def test_windows_are_disjoint_and_skip_excluded_channels() -> None:
    image = simulate.iron_oxides(200, shape=(8, 8), seed=0)
    masked = image.with_mask(np.abs(image.energy - 6.40) < 0.03)
    windows = line_windows(masked, ["Fe_Ka", "O_Ka"])
    used = np.concatenate(windows.channels)
    assert len(used) == len(np.unique(used))
    assert not np.isin(used, np.flatnonzero(~masked.valid_channels)).any()
    found = np.asarray(windows.sums(spectrum_of({"Fe_Ka": 1.0})[:1000], np.float64)) @ windows.response.T
    np.testing.assert_allclose(found, [1, 0], atol=1e-6)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["Fe_Ka", "Fe_Ka"], "each named once"),
        ([], "each named once"),
        (["Fe_Ka", "Mo_Ka"], "outside the energy axis"),
        (["Fe_Ka", "U_La"], "outside the energy axis"),
    ],
)
def test_lines_that_cannot_be_measured_are_refused(lines: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        line_windows(image_of(spectrum_of({"Fe_Ka": 1e4})), lines)


def test_beam_below_the_edge_is_refused() -> None:
    acquisition = Acquisition("EDS", beam_energy_kev=5.0, resolution_mn_ka_ev=130.0)
    image = SpectrumImage(np.ones(1200, int), energy=ENERGY, acquisition=acquisition)
    with pytest.raises(InputError, match="above the beam energy of 5.0 keV"):
        line_windows(image, ["Fe_Ka"])


def test_eels_is_refused() -> None:
    image = SpectrumImage(np.ones(100, int), np.arange(1.0, 101), "eV", acquisition=Acquisition("EELS"))
    with pytest.raises(InputError, match="X-ray lines need an EDS image"):
        line_windows(image, ["Fe_La"])


def test_crowded_soft_lines_keep_their_intensity() -> None:
    image = simulate.compounds(5000, (48, 48), seed=0)
    lines = ["C_Ka", "Cr_Ka", "Fe_Ka", "Mg_Ka", "Mn_Kb", "O_Ka"]
    net, truth = element_maps(image, lines, calibrate=False).net(), image.truth
    order = [truth["lines"].index(line) for line in lines]
    for phase in range(len(truth["phases"])):
        found = net[truth["labels"] == phase].sum(axis=0)
        expected = truth["intensities"][phase, order]
        np.testing.assert_allclose(found / found.sum(), expected / expected.sum(), atol=0.003)
