import pytest

from bayesspec.files.nested_metadata import dig, mapped, nested, put, text


@pytest.mark.parametrize("value", [None, "", "  ", "<undefined>", "t.Undefined", "None", object()])
def test_what_was_left_undefined_is_empty(value):
    assert text(value) == ""


def test_names_are_kept_without_the_space_around_them():
    assert text(" Energy loss ") == "Energy loss"


def test_values_are_found_along_a_path():
    tree = {"Microscope Info": {"Probe Current (nA)": 1.5}, "a": 1}
    assert dig(tree, "Microscope Info.Probe Current (nA)") == 1.5
    assert dig(tree, "Microscope_Info.Probe_Current__nA_") == 1.5
    assert dig(tree, "a.b") is None
    assert dig(tree, "c") is None


def test_values_are_put_without_changing_the_branches_of_others():
    branch = {"TEM": {"beam_energy": 1}}
    tree = {"Acquisition": branch, "Signal": "text"}
    put(tree, "Acquisition.TEM.beam_energy", 200)
    put(tree, "Signal.signal_type", "EELS")
    assert tree == {"Acquisition": {"TEM": {"beam_energy": 200}}, "Signal": {"signal_type": "EELS"}}
    assert branch == {"TEM": {"beam_energy": 1}}


def test_metadata_that_readers_leave_to_be_computed():
    mapping = {
        "Voltage": ("TEM.beam_energy", lambda volts: volts / 1e3),
        "Name": ("General.title", None),
        "Two": [("A", None), ("B", lambda value: value + 1)],
        "Odd": ("TEM.camera_length", float),
        "Missing": ("TEM.magnification", None),
        "Branch": ("TEM.microscope", None),
    }
    original = {"Voltage": 200000, "Name": "scan", "Two": 1, "Odd": "x", "Branch": {"a": 1}}
    expected = {"TEM.beam_energy": 200.0, "General.title": "scan", "A": 1, "B": 2}
    assert mapped(mapping, original) == expected


def test_anything_else_than_a_tree_is_an_empty_one():
    assert nested(None) == {}
    assert nested({"a": 1}) == {"a": 1}
