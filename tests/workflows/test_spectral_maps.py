import numpy as np
import pytest

import bayesspec as bs
from bayesspec.simulate import bremsstrahlung, line_profile
from bayesspec.workflows.spectral_maps import least_squares

AXIS = 0.15 + 0.01 * np.arange(790)
PHASES = ({"O_Ka": 1.0, "Mn_Ka": 0.06, "Fe_Ka": 0.8}, {"O_Ka": 1.0, "Mn_Ka": 0.03, "Fe_Ka": 0.5})


def spectrum(lines: dict[str, float]) -> np.ndarray:
    peaks = sum(weight * line_profile(name, AXIS) for name, weight in lines.items())
    return 0.75 * peaks / peaks.sum() + 0.25 * bremsstrahlung(AXIS, 200.0)


@pytest.fixture(scope="module")
def image() -> bs.SpectrumImage:
    labels = np.zeros((32, 32), int)
    labels[:, 14:] = 1
    rate = 1500 * np.stack([spectrum(phase) for phase in PHASES])[labels]
    return bs.SpectrumImage(
        np.random.default_rng(0).poisson(rate),
        energy=AXIS,
        elements=("O", "Mn", "Fe"),
        acquisition=bs.Acquisition("EDS", 200.0, 130.0),
        truth={"labels": labels},
    )


def test_intensities_are_unbiased_under_overlap(image: bs.SpectrumImage) -> None:
    maps = bs.spectral_maps(image)
    net = maps.net()[image.truth["labels"] == 1].sum(axis=0)
    mn, fe, o = (net[maps.line_index(line)] for line in ("Mn_Ka", "Fe_Ka", "O_Ka"))
    assert mn / fe == pytest.approx(0.06, abs=0.004)
    assert fe / o == pytest.approx(0.5, rel=0.01)
    windows = bs.element_maps(image, ["Mn_Kb", "Fe_Ka"])
    assert maps.window_counts().sum() > 2 * windows.window_counts().sum()


def test_bins_hold_every_count_once(image: bs.SpectrumImage) -> None:
    counts = bs.spectral_maps(image).window_counts().sum(axis=2)
    assert np.array_equal(counts, image.crop(energy=(0.2, 200.0)).intensity())


def test_phases_are_found_with_intervals_that_hold_the_truth(image: bs.SpectrumImage) -> None:
    seg = bs.segment(image, phases=2, method="spectra", draws=400)
    assert (seg.labels.values == 1 - image.truth["labels"]).mean() > 0.99  # the larger phase comes first
    for numerator, denominator in (("Fe_Ka", "O_Ka"), ("Mn_Ka", "Fe_Ka")):
        low, high = seg.ratio(numerator, denominator).interval(0.999)
        for k, phase in enumerate(PHASES[::-1]):
            assert float(low[k]) < phase[numerator] / phase[denominator] < float(high[k])
            assert float(high[k] - low[k]) < 0.5 * phase[numerator] / phase[denominator]


def test_lines_asked_for_are_columns(image: bs.SpectrumImage) -> None:
    assert "Fe_Kb" in bs.spectral_maps(image, lines=["Fe_Kb"]).lines


def test_bad_input(image: bs.SpectrumImage) -> None:
    with pytest.raises(bs.InputError, match="'windows' or 'spectra'"):
        bs.segment(image, method="shapes")
    same = np.repeat(np.array([[1.0], [4.0], [2.0]]), 2, axis=1)
    with pytest.raises(bs.InputError, match="S_Ka and Mo_La coincide"):
        least_squares(np.column_stack([same, [0.0, 1.0, 5.0]]), np.full(3, 10.0), ("S_Ka", "Mo_La"))
