"""The provenance of every workflow names a model that is there, and every step after sampling."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

import bayesspec as bs
from bayesspec.inference.after_sampling import AFTER_SAMPLING, Step
from bayesspec.results.result import Result

MODELS = {path.stem for path in (Path(__file__).parents[2] / "models").glob("*.py")} - {"__init__"}


@cache
def oxides() -> bs.SpectrumImage:
    return bs.simulate.iron_oxides(400, (12, 12), seed=0).rebin(energy=8)


def small() -> bs.SpectrumImage:
    return oxides().rebin(y=6, x=6, energy=5)


@cache
def fine() -> bs.SpectrumImage:
    return bs.simulate.iron_oxides(400, (12, 12), seed=0)


@cache
def maps(counts: float = 8000) -> bs.LineMaps:
    return bs.simulate.iron_oxide_lines(counts, (16, 16), seed=0)


@cache
def edges() -> bs.SpectrumImage:
    return bs.simulate.eels_edges(500, 16, seed=0)


class Factors:
    DIMS = {"spectra": ("component", "energy"), "abundances": ("pixel", "component")}

    @staticmethod
    def model(counts):
        spectra = numpyro.sample("spectra", dist.Dirichlet(np.ones(counts.shape[1])).expand([1]).to_event(1))
        flat = dist.Gamma(np.ones((counts.shape[0], 1)), 0.01).to_event(2)
        abundances = numpyro.sample("abundances", flat)
        numpyro.sample("counts", dist.Poisson(abundances @ spectra + 1e-9).to_event(2), obs=counts)


QUICK = {"draws": 20, "warmup": 10, "neighbours": False}
BAND, UNRESOLVED = [Step.BAND], [Step.UNRESOLVED]
WORKFLOWS: dict[str, tuple[Callable[[], Result], str, list[Step]]] = {
    "segment": (lambda: bs.segment(maps(), 2, draws=20), "composition_mixture", []),
    "segment, interior": (
        lambda: bs.segment(maps(), 2, draws=20, interior=True), "composition_mixture", [Step.INTERIOR],
    ),
    "segment, at too low a dose": (
        lambda: bs.segment(maps(200), 2, draws=20),
        "composition_mixture",
        UNRESOLVED,
    ),
    "unmix": (lambda: bs.unmix(oxides(), 1, **QUICK), "poisson_nmf", BAND),
    "unmix, smoothed": (
        lambda: bs.unmix(oxides(), 1, **QUICK | {"neighbours": 0.3}), "poisson_nmf", [Step.SMOOTHED, Step.BAND],
    ),
    "unmix, elements": (lambda: bs.unmix(fine(), 1, elements=["Fe", "O"]), "line_mixture", [Step.AMOUNTS]),
    "pca": (lambda: bs.pca(oxides(), 1, draws=5), "poisson_pca", []),
    "pca, linear": (lambda: bs.pca(oxides(), 1, link="linear", draws=5), "linear_pca", []),
    "fit_lines": (lambda: bs.fit_lines(fine(), ["Fe", "O"], draws=20), "calibrated_lines", []),
    "fit_lines, as in the file": (
        lambda: bs.fit_lines(fine(), ["Fe", "O"], calibrate=False, draws=20), "linear_poisson", [],
    ),
    "fit_edges": (lambda: bs.fit_edges(edges(), ["C", "O"], draws=4), "linear_poisson", [Step.CENTRED]),
    "model_maps": (lambda: bs.model_maps(fine(), ["Fe", "O"]), "linear_poisson", []),
    "ratio_map": (lambda: bs.ratio_map(maps(), "Fe_Ka", "O_Ka", draws=16), "ratio_field", []),
    "fit": (
        lambda: bs.fit(Factors, small(), inference="laplace", draws=5, starts=1, max_steps=200),
        "Factors",
        [Step.NORMALISED],
    ),
}  # fmt: skip


@pytest.mark.parametrize("workflow", WORKFLOWS)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_result_names_its_model_and_what_was_done_to_its_draws(workflow: str) -> None:
    run, model, steps = WORKFLOWS[workflow]
    provenance = run().provenance
    assert provenance["model"] == model
    assert model in MODELS or workflow == "fit"
    assert provenance[AFTER_SAMPLING] == [str(step) for step in steps]
