"""What the library says with Python, the command line says with its options."""

import pytest

from bayesspec.cli.answers import in_options


@pytest.mark.parametrize(
    ("python", "options"),
    [
        ("bs.load(path, signal=2)", "--signal 2"),
        (
            "bs.SpectrumImage(a, energy=e) where you know the energies",
            "bayesspec.SpectrumImage in Python where you know the energies",
        ),
        (
            "energy_scale=0.01, energy_offset=0.0, energy_unit='keV'",
            "--energy-scale 0.01, --energy-offset 0.0, --energy-unit keV",
        ),
        ("bs.fit_lines(si)", "bayesspec lines FILE"),
        ("bs.load('/tmp/a b.npz')", "'/tmp/a b.npz'"),
        (
            "bs.element_maps(si, lines=['Fe_Ka', 'O_Ka']) or bs.load(path, elements=['Fe'])",
            "--lines Fe_Ka,O_Ka or --elements Fe",
        ),
        ("crop(energy=(30.0, 40.0), y=None, x=None) leaves nothing", "--energy 30.0,40.0 leaves nothing"),
        ("phases=range(1, 7)", "--phases 1-6"),
        ("rank=[1, 2, 9]", "--rank 1,2,9"),
        ("si.rebin(y=2, x=2)", "--rebin 2"),
        ("shape=(8, 8)", "--size 8"),
        ("lines=[...] without Fe_Ka", "--lines without Fe_Ka"),
        ("give bs.load(..., resolution_mn_ka_ev=...) to change it", "give --resolution to change it"),
        ("the same with overwrite=True", "the same with --overwrite"),
        ("bs.plot.ratios(seg)", "bayesspec COMMAND --help"),
        ("bs.load(path, (", "bayesspec COMMAND --help"),
        ("counts of 0 and more", "counts of 0 and more"),
        (
            "use bs.ratio_map, which asks for no phases, or bs.unmix",
            "use bayesspec ratio FILE LINE LINE, which asks for no phases, or bayesspec unmix FILE",
        ),
        ("compare with bs.unmix.", "compare with bayesspec unmix FILE."),
        ("bs.plot.ratios draws it", "bs.plot.ratios draws it"),
    ],
)
def test_options_take_the_place_of_arguments(python: str, options: str) -> None:
    assert in_options(python) == options
