import numpy as np

from bayesspec import Acquisition, SpectrumImage
from bayesspec.inference.linear_poisson.score_test import ScoreGains
from bayesspec.spectroscopy.line_catalogue import emission_ratio, line_catalogue

AXIS = 0.2 + 0.01 * np.arange(1980)
IMAGE = SpectrumImage(np.ones(1980, int), energy=AXIS, acquisition=Acquisition("EDS", 200.0, 130.0))


def test_an_element_whose_harder_line_is_absent_is_contradicted() -> None:
    catalogue = line_catalogue(IMAGE, np.arange(1980), without=("Fe",))
    names = [family.name for family in catalogue.families]
    assert not any(name.startswith("Fe_") for name in names)
    intensity = np.array([1000.0 if name in ("Lu_Ma", "S_Ka") else 0.0 for name in names])
    gains = ScoreGains(np.where(intensity > 0, 100.0, 0.0), intensity, np.full(len(names), 5.0))
    contradicted = dict(zip(names, catalogue.contradicted(gains), strict=True))
    assert contradicted["Lu_Ma"]
    assert not contradicted["S_Ka"]


def test_most_of_a_family_must_be_recorded() -> None:
    short = line_catalogue(IMAGE, np.flatnonzero(AXIS < 10.0))
    mostly = {family.name: told for family, told in zip(short.families, short.mostly, strict=True)}
    assert mostly["Pb_Ma"]
    assert not mostly["Pb_La"]


def test_ratios_are_those_of_cross_sections() -> None:
    assert emission_ratio("Fe_Ka", "Fe_Ka", 200.0) == 1
    assert 0.5 < emission_ratio("Fe_Ka", "Fe_La", 200.0) < 2.0
    assert emission_ratio("Pb_La", "Pb_Ma", 10.0) == 0  # the beam does not excite it
