"""Mass absorption coefficients: the published ones where there are, tables elsewhere, and how well they are known."""

import numpy as np
import pytest
import xraydb

from bayesspec.errors import InputError
from bayesspec.spectroscopy.mass_absorption import attenuation, mass_absorption, mass_absorption_sd


def test_measured_values_of_light_elements_come_first() -> None:
    assert mass_absorption("Si", "O_Ka") == 8790
    assert mass_absorption("C", "C_Ka") == 2373
    assert mass_absorption_sd("Si", "O_Ka") == 0.05 < mass_absorption_sd("Ca", "O_Ka") == 0.10


def test_tables_elsewhere() -> None:
    expected = float(xraydb.mu_chantler("Si", 6400.0))
    assert mass_absorption("Si", "Fe_Ka") == pytest.approx(expected, rel=0.01)
    assert attenuation("Fe", np.array([7.0, 7.2])).shape == (2,)
    assert attenuation("Fe", np.array([7.2]))[0] > 5 * attenuation("Fe", np.array([7.0]))[0]
    with pytest.raises(InputError, match="'Xx'"):
        attenuation("Xx", np.array([1.0]))
