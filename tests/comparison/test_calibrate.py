"""Simulated repeats say of good intervals that they hold, and of short ones by how much they are too short."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import xarray as xr

import bayesspec as bs
from bayesspec.errors import Interrupted
from bayesspec.results.schema import Schema, Variable

IMAGE = bs.SpectrumImage(np.full((3, 4, 2), 9), energy=[1.0, 2.0], name="flat")


def counting(width: float = 1.0, bias: float = 0.0) -> tuple[Any, list[int]]:
    """A workflow whose posterior is known, with intervals as wide as asked for; and the calls that were made of it."""
    calls: list[int] = []

    class Rate(bs.Result):
        kind = "rate of a test"
        schema = Schema({"rate": Variable(("draw", "energy"), "counts per pixel", "counts")})

        def quantities(self) -> Any:
            return {"rate": bs.Estimate(self.data["rate"], "rate")}

        def replicate(self, data: Any, rng: np.random.Generator) -> tuple[bs.Result, Any]:
            one = self.data["rate"].values[rng.integers(self.draws)]
            truth = Rate(self.data.drop_dims("draw").assign(rate=(("draw", "energy"), one[None])))
            made = rng.poisson(np.broadcast_to(one, data.shape))
            return truth, bs.SpectrumImage(made, energy=data.energy, name=data.name)

    def workflow(si: Any, *, fails_at: int | None = None) -> bs.Result:
        calls.append(len(calls))
        if fails_at is not None and len(calls) > fails_at:
            raise bs.InputError("a repeat that fails", "luck", "again")
        total, pixels = si.sum_spectrum(), si.valid.sum()
        rng = np.random.default_rng(total)
        draws = rng.gamma(total + 0.5, 1 / pixels, (400, 2))
        draws = draws.mean(axis=0) + width * (draws - draws.mean(axis=0)) + bias * draws.std(axis=0)
        return Rate.from_values({"rate": draws}, name="flat", method="conjugate", verdict="a rate")

    return workflow, calls


def test_good_intervals_hold() -> None:
    workflow, _ = counting()
    found = bs.calibrate(workflow, like=IMAGE, replicates=120, processes=1)
    table = found.coverage
    assert found.names == ("rate, energy 0", "rate, energy 1")
    assert (abs(table["coverage"] - 0.9) < 3 * np.sqrt(0.09 / 120)).all()
    assert (abs(table["factor"] - 1) < 0.15).all()
    assert (table["answers"] == 1).all()
    assert found.short == found.wide == found.uneven == ()
    assert found.verdict == "intervals of all 2 quantities hold as often as they claim, as far as 120 repeats tell"


def test_short_intervals_are_called_so_with_the_factor() -> None:
    workflow, _ = counting(width=0.5)
    found = bs.calibrate(workflow, like=IMAGE, replicates=120, processes=1)
    assert found.short == found.names
    np.testing.assert_allclose(found.coverage["factor"], 2.0, rtol=0.2)
    assert "too short, by a factor of" in found.verdict
    assert "too short" in found.table().to_text()
    assert len([sentence for sentence in found.warnings() if "too short" in sentence]) == 2


def test_wide_intervals_and_biased_ones_are_called_so() -> None:
    wide = bs.calibrate(counting(width=2.0)[0], like=IMAGE, replicates=120, processes=1)
    assert wide.wide == wide.names
    assert "wider than they claim, by a factor of 2" in wide.verdict or "by a factor of 1.9" in wide.verdict
    biased = bs.calibrate(counting(width=1.3, bias=1.0)[0], like=IMAGE, replicates=120, processes=1)
    assert biased.uneven == biased.names
    assert (biased.coverage["shift"] < -0.2).all()


def test_repeats_are_kept_and_gone_on_from(tmp_path: Path) -> None:
    workflow, calls = counting()
    first = bs.calibrate(workflow, like=IMAGE, replicates=12, folder=tmp_path / "kept", processes=1)
    assert len(calls) == 13
    more = bs.calibrate(workflow, like=IMAGE, replicates=20, folder=tmp_path / "kept", processes=1)
    assert len(calls) == 13 + 1 + 8
    np.testing.assert_array_equal(more.data["deviation"][:12], first.data["deviation"])
    with pytest.raises(bs.InputError, match="another folder"):
        bs.calibrate(workflow, like=IMAGE, replicates=12, folder=tmp_path / "kept", processes=1, prob=0.5)


def test_interrupted_it_hands_out_what_is_done() -> None:
    workflow, _ = counting()
    whole = bs.calibrate(workflow, like=IMAGE, replicates=20, processes=1)
    stopping, calls = counting()

    def stopped(si: Any) -> bs.Result:
        if len(calls) > 12:
            raise KeyboardInterrupt
        return stopping(si)

    with pytest.raises(Interrupted) as error:
        bs.calibrate(stopped, like=IMAGE, replicates=20, processes=1)
    found = error.value.partial
    assert found.status == str(bs.Status.INTERRUPTED)
    assert not found.converged
    np.testing.assert_array_equal(found.data["rank"], whole.data["rank"][:12])


def test_repeats_that_raise_are_counted() -> None:
    workflow, _ = counting()
    found = bs.calibrate(workflow, like=IMAGE, replicates=20, processes=1, fails_at=16)
    assert found.data.sizes["replicate"] == 15
    assert "5 more raised an error: InputError" in found.verdict
    np.testing.assert_allclose(found.coverage["answers"], 0.75)
    with pytest.raises(bs.InputError, match="a repeat that fails"):
        bs.calibrate(counting()[0], like=IMAGE, replicates=4, processes=1, fails_at=1)


def test_processes_find_the_same() -> None:
    workflow, _ = counting()
    found = [bs.calibrate(workflow, like=IMAGE, replicates=12, processes=n) for n in (1, 2)]
    xr.testing.assert_equal(found[0].data.drop_vars("seconds"), found[1].data.drop_vars("seconds"))


def test_it_is_saved_and_opened(tmp_path: Path) -> None:
    found = bs.calibrate(counting()[0], like=IMAGE, replicates=12, processes=1)
    again = bs.open(found.save(tmp_path / "calibration.nc"))
    assert isinstance(again, bs.Calibration)
    assert again.table().to_text() == found.table().to_text()


def program(counts: Any) -> None:
    rate = numpyro.sample("rate", dist.Gamma(4.0, 0.2).expand([counts.shape[1]]).to_event(1))
    numpyro.sample("counts", dist.Poisson(jnp.broadcast_to(rate, counts.shape)).to_event(2), obs=counts)


def test_a_model_is_simulated_from_its_prior() -> None:
    model = SimpleNamespace(DIMS={"rate": ("line",)}, model=program)
    counts = np.zeros((3, 2), int)
    found = bs.calibrate(model, like=counts, replicates=40, processes=1, inference="laplace", draws=300)
    assert found.names == ("rate, line 0", "rate, line 1")
    assert found.short == found.wide == found.uneven == ()
    assert found.provenance["truth"] == "the prior"
    assert float(found.coverage["coverage"].mean()) > 0.75


@pytest.mark.parametrize("of_image", [False, True])
def test_repeats_of_a_segmentation_have_its_ratios_and_areas(*, of_image: bool) -> None:
    si = bs.simulate.iron_oxides(3000, (16, 16), seed=0)
    data: Any = si if of_image else bs.element_maps(si, ["Fe_Ka", "O_Ka"])
    labels = si.truth["labels"]
    maps = bs.element_maps(si, ["Fe_Ka", "O_Ka"])
    pooled = np.stack([maps.window_counts()[labels == k].sum(axis=0) for k in range(2)])
    draws = np.stack([np.random.default_rng(k).dirichlet(pooled[k] + 1.0, 50) for k in range(2)], axis=1)
    seg = bs.Segmentation.from_draws(
        maps, draws, np.eye(2)[labels], method="known", fraction_draws=np.full((50, 2), 0.5)
    )
    truth, made = seg.replicate(data, np.random.default_rng(1))
    np.testing.assert_allclose(truth.quantities()["area"].mean, [(labels == k).mean() for k in range(2)], atol=1e-6)
    again = made if not of_image else bs.element_maps(made, ["Fe_Ka", "O_Ka"])
    for k in range(2):
        counts = again.window_counts()[labels == k].sum(axis=0)
        ratio = np.divide(*(np.asarray(maps.response) @ counts))
        true = float(truth.quantities()["Fe_Ka/O_Ka"].mean[k])
        assert abs(ratio / true - 1) < 5 * np.sqrt((1 / counts[:2]).sum())
    swapped = bs.Segmentation(seg.data.isel(phase=[1, 0]).assign(labels=1 - seg.labels))
    np.testing.assert_allclose(swapped.matched(truth).ratio("Fe_Ka", "O_Ka").mean, seg.ratio("Fe_Ka", "O_Ka").mean)


def test_repeats_have_the_counts_of_the_sample_up_to_the_edge_of_what_is_excluded() -> None:
    counts = np.random.default_rng(0).poisson([600.0, 400.0], (16, 16, 2))
    mask = np.zeros((16, 16), bool)
    mask[:, 8:] = True
    maps = bs.LineMaps(counts, lines=["O_Ka", "Fe_Ka"], mask=mask)
    draws = np.random.default_rng(1).dirichlet([60_000, 40_000], (50, 1))
    seg = bs.Segmentation.from_draws(maps, draws, np.ones((16, 16, 1)), method="known", fraction_draws=np.ones((50, 1)))
    _, made = seg.replicate(maps, np.random.default_rng(2))
    of_columns = made.counts[:, :8].sum(axis=2).mean(axis=0)
    np.testing.assert_allclose(of_columns, 1000, rtol=0.05)


def test_repeats_of_components_and_lines_have_their_rates(fit: bs.Unmixing, image: bs.SpectrumImage) -> None:
    truth, made = fit.replicate(image, np.random.default_rng(0))
    rates = truth.expected_counts()
    excess = (made.counts - rates).sum() / np.sqrt(rates.sum())
    assert abs(excess) < 5
    swapped = bs.Unmixing(fit.data.isel(component=[1, 0]))
    np.testing.assert_allclose(swapped.matched(truth).data["spectra_mean"], fit.data["spectra_mean"])
    lines = bs.fit_lines(image, ["Fe", "O"], draws=50)
    truth, made = lines.replicate(image, np.random.default_rng(0))
    assert made.shape == (1, 1, image.shape[2])
    expected = float(lines.data["rate"].sum())
    assert abs(made.counts.sum() - expected) < 5 * np.sqrt(expected) + 0.001 * expected
    np.testing.assert_allclose(truth.quantities()["counts"].mean, lines.intensities.mean)


def test_what_cannot_be_calibrated_is_refused() -> None:
    with pytest.raises(bs.InputError, match="a result with quantities"):
        bs.calibrate(bs.spectral_maps, like=bs.simulate.iron_oxides(300, (6, 6), seed=0), replicates=2)
    with pytest.raises(bs.InputError, match="truth='prior'"):
        bs.calibrate(counting()[0], like=IMAGE, truth="prior")
    with pytest.raises(bs.InputError, match="a workflow, or a model"):
        bs.calibrate("segment", like=IMAGE)
