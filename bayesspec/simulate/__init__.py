"""Phantoms: simulated spectrum images that know their truth."""

from bayesspec.simulate.beatles import beatles, beatles_gaussian
from bayesspec.simulate.compounds import COMPOUND_LINES, COMPOUNDS, compounds, particles
from bayesspec.simulate.detector import bremsstrahlung, line_profile
from bayesspec.simulate.eels import EDGE_ENERGIES_EV, EDGES, eels_edges
from bayesspec.simulate.oxides import OXIDE_RATIOS, OXIDES, iron_oxide_lines, iron_oxides
from bayesspec.simulate.pictures import PICTURES, pictures

__all__ = [
    "COMPOUNDS",
    "COMPOUND_LINES",
    "EDGES",
    "EDGE_ENERGIES_EV",
    "OXIDES",
    "OXIDE_RATIOS",
    "PICTURES",
    "beatles",
    "beatles_gaussian",
    "bremsstrahlung",
    "compounds",
    "eels_edges",
    "iron_oxide_lines",
    "iron_oxides",
    "line_profile",
    "particles",
    "pictures",
]
