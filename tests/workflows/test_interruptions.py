"""Ctrl-C ends every fit with an error that holds what was found so far; nothing goes on as if the fit had ended."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from tqdm import tqdm

import bayesspec as bs


def model(counts: Any) -> None:
    """Two unknown rates."""
    rate = numpyro.sample("rate", dist.LogNormal(3.0, 1.0).expand([2]).to_event(1))
    numpyro.sample("counts", dist.Poisson(rate), obs=counts)


def image() -> bs.SpectrumImage:
    return bs.simulate.iron_oxides(300, (12, 12), seed=0).rebin(energy=8)


def maps() -> bs.LineMaps:
    return bs.simulate.iron_oxide_lines(300, (12, 12), seed=0)


RATES = SimpleNamespace(DIMS={"rate": ("element",)}, model=model)
FITS: dict[str, tuple[Callable[[], bs.Result], str, int]] = {
    "unmix": (lambda: bs.unmix(image(), 1, draws=50, warmup=10), "spectra", 100),
    "unmix, at the start": (lambda: bs.unmix(image(), 1, draws=50, warmup=10), "spectra", 1),
    "pca, linear": (lambda: bs.pca(image(), 1, draws=5), "components", 2),
    "pca, log": (lambda: bs.pca(image(), 1, link="log", draws=5), "components", 2),
    "fit": (lambda: bs.fit(RATES, np.array([[21, 30], [19, 33]]), inference="svi", draws=5), "fit", 3),
    "ratio_map": (lambda: bs.ratio_map(maps(), "Fe_Ka", "O_Ka", draws=200), "Fe_Ka/O_Ka", 12),
}
NOTHING_YET = {"unmix, at the start"}


@pytest.mark.parametrize("name", FITS)
def test_an_interrupted_fit_raises_with_what_it_has(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fit, described, calls = FITS[name]
    seen, whole, begun = [], tqdm.update, tqdm.__init__

    def named(bar: tqdm, *given: Any, desc: str = "", **more: Any) -> None:
        begun(bar, *given, desc=desc, **more)
        bar.told = desc

    def pressed(bar: tqdm, n: float | None = 1) -> bool | None:
        if bar.told.startswith(described):
            seen.append(n)
            if len(seen) == calls:
                raise KeyboardInterrupt
        return whole(bar, n)

    monkeypatch.setattr(tqdm, "__init__", named)
    monkeypatch.setattr(tqdm, "update", pressed)
    with pytest.raises(KeyboardInterrupt) as caught:
        fit()
    assert len(seen) == calls, "the fit went on, or never came so far"
    assert isinstance(caught.value, bs.Interrupted)
    partial = caught.value.partial
    assert (partial is None) == (name in NOTHING_YET)
    if partial is not None:
        assert not partial.converged
        assert partial.status.startswith("Interrupted")


def test_a_choice_of_the_rank_is_not_made_from_fits_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    from bayesspec.inference.nmf import em

    def pressed(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(em, "extrapolated", pressed)
    with pytest.raises(bs.Interrupted):
        bs.select_rank(image(), range(1, 3))
