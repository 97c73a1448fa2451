import pickle

import pytest

from bayesspec.errors import InputError, MissingExtraError


def test_an_error_has_three_parts_and_is_a_value_error():
    error = InputError("a count of -3", "counts", "abs(counts)")
    assert str(error) == "Found: a count of -3\nNeeded: counts\nType: abs(counts)"
    with pytest.raises(ValueError, match="a count of -3"):
        raise error


def test_an_error_survives_a_process_boundary():
    copy = pickle.loads(pickle.dumps(InputError("found", "needed", "do")))
    assert (copy.found, copy.needed, copy.do) == ("found", "needed", "do")


def test_a_missing_extra_names_the_command_that_installs_it():
    error = MissingExtraError("rosettasciio", "to read .bcf files", "io")
    assert isinstance(error, ImportError)
    assert "'rosettasciio' is not installed" in str(error)
    assert "pip install 'bayesspec[io]'" in str(error)
