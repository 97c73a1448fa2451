import numpy as np

from bayesspec import Acquisition, SpectrumImage
from bayesspec.simulate import bremsstrahlung, line_profile
from bayesspec.spectroscopy.line_design import line_design
from bayesspec.spectroscopy.unnamed_lines import with_unnamed_lines

AXIS = 0.3 + 0.01 * np.arange(1200)
RATE = 1e5 * bremsstrahlung(AXIS, 200.0) + 2e4 * line_profile("Si_Ka", AXIS) + 3e4 * line_profile("Fe_Ka", AXIS)


def searched(rate: np.ndarray, seed: int):
    counts = np.random.default_rng(seed).poisson(rate)
    image = SpectrumImage(counts, energy=AXIS, elements=("Si", "Fe"), acquisition=Acquisition("EDS", 200.0, 130.0))
    design = line_design(image)
    return design, *with_unnamed_lines(image, design, image.sum_spectrum()[design.channels])


def test_a_line_joins_as_its_element_and_is_named() -> None:
    before, design, (found,) = searched(RATE + 2000 * line_profile("Ca_Ka", AXIS), 0)
    assert found.candidates[0] == "Ca_Ka"
    assert abs(found.counts - 2000) < 400
    assert design.lines[: before.n_lines] == before.lines
    assert design.n_named == before.n_lines
    assert "Ca_Ka" in design.lines[design.n_named :]
    assert "3.69" in str(found)


def test_a_peak_of_no_element_joins_at_its_energy() -> None:
    _, design, (found,) = searched(RATE + 150 * np.exp(-0.5 * ((AXIS - 5.16) / 0.052) ** 2), 1)
    assert abs(found.energy_kev - 5.16) < 0.03
    assert design.unnamed >= 1


def test_noise_and_errors_of_a_line_shape_are_no_lines() -> None:
    before, design, found = searched(RATE, 2)
    assert found == []
    assert design is before
    assert searched(RATE + 300 * line_profile("Fe_Ka", AXIS + 0.003), 3)[2] == []
