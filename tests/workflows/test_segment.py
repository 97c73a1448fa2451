"""Segmentation, from counts to ratios with intervals."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import bayesspec as bs
from bayesspec.inference.mixture import search
from bayesspec.labels import interior as labels_interior
from bayesspec.simulate import OXIDE_RATIOS


@pytest.fixture(scope="module")
def maps() -> bs.LineMaps:
    return bs.simulate.iron_oxide_lines(3000, shape=(64, 64), seed=0)


@pytest.fixture(scope="module")
def seg(maps: bs.LineMaps) -> bs.Segmentation:
    return bs.segment(maps, phases=range(1, 4), seed=0)


def test_two_oxides_are_found_with_their_ratios(seg: bs.Segmentation) -> None:
    assert (seg.n_phases, seg.verdict) == (2, "2 phases")
    assert (seg.scatter == 0).all()
    ratio = seg.ratio("Fe_Ka", "O_Ka")
    assert (np.abs(ratio.mean.values - OXIDE_RATIOS) < 4 * ratio.sd.values).all()
    assert (ratio.sd.values < 0.004).all()
    lower, upper = ratio.interval(0.95)
    np.testing.assert_allclose(upper - lower, 2 * 1.96 * ratio.sd, rtol=0.15)
    assert seg.converged


def test_labels_follow_the_truth_and_the_probabilities(maps: bs.LineMaps, seg: bs.Segmentation) -> None:
    assert maps.truth is not None
    labels = maps.truth["labels"]
    both = np.array(OXIDE_RATIOS)[:, None] ** [1, 0] / (1 + np.array(OXIDE_RATIOS))[:, None]
    best = (maps.counts @ np.log(both).T + np.log([0.6, 0.4])).argmax(axis=2)
    assert (seg.labels == labels).mean() >= (best == labels).mean() - 0.01
    np.testing.assert_array_equal(seg.labels, seg.probabilities.argmax("phase"))
    np.testing.assert_allclose(seg.probabilities.sum("phase"), 1, rtol=1e-5)
    assert abs(float(seg.fractions.mean[0]) - 0.6) < 4 * float(seg.fractions.sd[0])
    assert seg.fractions.name == "area fraction"


def test_selection_shows_every_candidate(seg: bs.Segmentation) -> None:
    table = seg.selection
    assert table["candidate"].values.tolist() == [1, 2, 3]
    assert set(table.data_vars) == {"score", "error", "bic", "verdict"}
    assert float(table["bic"].min()) == 0
    assert table["verdict"].values[1] == "chosen"
    assert float(table["score"][0]) < -2 * float(table["error"][0])


def test_same_seed_same_result_and_line_order_does_not_matter(maps: bs.LineMaps, seg: bs.Segmentation) -> None:
    again = bs.segment(maps, phases=range(1, 4), seed=0)
    np.testing.assert_array_equal(again.data["intensity_draws"], seg.data["intensity_draws"])
    turned = bs.LineMaps(maps.counts[:, :, ::-1], lines=maps.lines[::-1])
    other = bs.segment(turned, phases=2, seed=0).ratio("Fe_Ka", "O_Ka")
    np.testing.assert_allclose(other.mean, seg.ratio("Fe_Ka", "O_Ka").mean, rtol=2e-3)


def test_masked_and_empty_pixels_have_no_label(maps: bs.LineMaps) -> None:
    mask = np.zeros(maps.counts.shape[:2], bool)
    mask[:20] = True
    counts = maps.counts.copy()
    counts[-1, -1] = 0
    part = bs.segment(replace(maps, counts=counts, mask=mask), phases=2, seed=0)
    assert (part.labels.values[:20] == -1).all()
    assert part.labels.values[-1, -1] == -1
    assert np.isnan(part.probabilities.values[:20]).all()
    cut = bs.segment(bs.LineMaps(counts[20:], lines=maps.lines), phases=2, seed=0)
    a, b = (s.ratio("Fe_Ka", "O_Ka") for s in (part, cut))
    assert (np.abs(a.mean - b.mean).values < 0.5 * a.sd.values).all()


def test_one_phase_is_one_phase_and_low_dose_says_what_it_cannot() -> None:
    rng = np.random.default_rng(4)
    flat = bs.LineMaps(rng.poisson([60, 90], (48, 48, 2)), lines=("Fe_Ka", "O_Ka"))
    seg = bs.segment(flat, phases=range(1, 4), seed=0)
    assert (seg.n_phases, seg.verdict) == (1, "1 phase")
    iron, oxygen = flat.counts.sum(axis=(0, 1))
    ratio = seg.ratio("Fe_Ka", "O_Ka")
    assert float(ratio.sd[0] / ratio.mean[0]) == pytest.approx(np.sqrt(1 / iron + 1 / oxygen), rel=0.1)
    low = bs.segment(bs.simulate.iron_oxide_lines(20, shape=(96, 96), seed=0), phases=range(1, 4), seed=0)
    assert "at least two phases" in low.verdict
    assert "cannot be resolved" in low.verdict
    assert np.isnan(low.ratio("Fe_Ka", "O_Ka").mean).all() or low.n_phases == 1


def test_two_phases_that_the_dose_does_not_resolve_are_labelled_without_ratios() -> None:
    maps = bs.simulate.iron_oxide_lines(25, shape=(128, 128), seed=1)
    seg = bs.segment(maps, phases=range(1, 4), seed=0)
    assert "at least two phases" in seg.verdict
    assert seg.n_phases == 2
    assert np.isnan(seg.ratio("Fe_Ka", "O_Ka").mean).all()
    assert maps.truth is not None
    right = float((seg.labels == maps.truth["labels"]).mean())
    assert max(right, 1 - right) > 0.75


def test_two_phases_that_lie_too_close_for_a_normal_posterior_have_no_ratios(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    oxides = np.array([[0.783 / 1.783, 1 / 1.783], [0.698 / 1.698, 1 / 1.698]])
    labels = (rng.random((128, 128)) > 0.6).astype(int)
    maps = bs.LineMaps(rng.poisson(80 * oxides[labels]), lines=("Fe_Ka", "O_Ka"))
    seg = bs.segment(maps, phases=[1, 2], seed=0)
    assert "2 phases, but at this dose their ratios cannot be resolved" in seg.verdict
    assert np.isnan(seg.ratio("Fe_Ka", "O_Ka").mean).all()
    monkeypatch.setattr(search, "SETTINGS", replace(search.SETTINGS, resolved_distance=0.0))
    claimed = bs.segment(maps, phases=[1, 2], seed=0).ratio("Fe_Ka", "O_Ka")
    assert np.ptp(np.asarray(claimed.mean)) < 5 * np.hypot(*np.asarray(claimed.sd))


def test_neighbours_resolve_what_pixels_alone_cannot() -> None:
    maps = bs.simulate.iron_oxide_lines(60, shape=(128, 128), seed=0)
    seg = bs.segment(maps, phases=range(1, 4), seed=0)
    assert seg.verdict == "2 phases"
    ratio = seg.ratio("Fe_Ka", "O_Ka")
    assert (np.abs(ratio.mean.values - OXIDE_RATIOS) < 4 * ratio.sd.values).all()
    assert (ratio.sd.values < 0.006).all()
    assert maps.truth is not None
    assert float((seg.labels == maps.truth["labels"]).mean()) > 0.85
    assert "intervals can be short" in seg.fractions.name
    assert seg.area_note in seg.table().note


def test_phases_that_only_neighbours_tell_apart_have_ratios_that_hold() -> None:
    shares = np.array([[0.55, 0.35, 0.10], [0.61, 0.29, 0.10], [0.15, 0.15, 0.70]])
    rng = np.random.default_rng(0)
    fields = [gaussian_filter(rng.normal(size=(72, 72)), 5, mode="wrap") for _ in range(2)]
    labels = np.where(fields[0] > 0.5 * fields[0].std(), 2, (fields[1] > 0).astype(int))
    maps = bs.LineMaps(rng.poisson(22 * shares[labels]), lines=("O_Ka", "Fe_Ka", "Si_Ka"))
    seg = bs.segment(maps, phases=range(1, 5), seed=0)
    assert seg.verdict == "3 phases"
    for line, column in (("Fe_Ka", 1), ("Si_Ka", 2)):
        ratio, truth = seg.ratio(line, "O_Ka"), shares[:, column] / shares[:, 0]
        off = np.abs(np.sort(ratio.mean.values) - np.sort(truth))
        assert (off < 4 * ratio.sd.values[np.argsort(ratio.mean.values)]).all()
        assert (ratio.sd.values < 0.12 * ratio.mean.values).all()
    merged = bs.segment(maps, phases=2, seed=0)
    both = int(merged.labels.values[labels < 2].mean() > 0.5)
    assert f"neighbouring pixels of phase {both} deviate together" in merged.verdict


def test_phases_asked_for_but_not_resolved_have_no_ratios() -> None:
    seg = bs.segment(bs.simulate.iron_oxide_lines(20, shape=(64, 64), seed=0), phases=2, seed=0)
    assert "cannot be resolved" in seg.verdict
    assert np.isnan(seg.ratio("Fe_Ka", "O_Ka").mean).all()
    assert str(seg.ratio("Fe_Ka", "O_Ka")) == "phase 0: not resolved; phase 1: not resolved"


def test_spectrum_image_is_segmented_through_its_lines() -> None:
    image = bs.simulate.iron_oxides(3000, shape=(48, 48), seed=1)
    seg = bs.segment(image, phases=2, elements=["Fe", "O"], seed=0)
    assert seg.lines == ("Fe_Ka", "O_Ka")
    ratio = seg.ratio("Fe_Ka", "O_Ka")
    assert (np.abs(np.sort(ratio.mean)[::-1] - OXIDE_RATIOS) < 4 * float(ratio.sd.max())).all()
    atoms = seg.composition({"Fe_Ka": 1.3, "O_Ka": (1.9, 0.1)})["atomic_percent"]
    assert atoms.mean.dims == ("phase", "element")
    np.testing.assert_allclose(atoms.mean.sum("element"), 100)


def test_what_is_not_known_of_the_background_moves_all_phases_together(maps: bs.LineMaps, seg: bs.Segmentation) -> None:
    errors = 0.05 * np.asarray(maps.response)[None] * np.array([[1.0], [0.0]])
    moved = bs.segment(replace(maps, response_errors=errors), phases=2, seed=0).ratio("Fe_Ka", "O_Ka")
    plain = seg.ratio("Fe_Ka", "O_Ka")
    relative = moved.sd.values / moved.mean.values
    np.testing.assert_allclose(relative, np.hypot(0.05, plain.sd.values / plain.mean.values), rtol=0.1)
    assert np.corrcoef(moved.draws.values.T)[0, 1] > 0.95


def test_saved_and_opened_again(seg: bs.Segmentation, tmp_path: Path) -> None:
    path = seg.save(tmp_path / "seg.nc")
    again = bs.open(path)
    assert isinstance(again, bs.Segmentation)
    assert again.verdict == seg.verdict
    assert again.provenance["seed"] == 0
    np.testing.assert_array_equal(again.ratio("Fe_Ka", "O_Ka").draws, seg.ratio("Fe_Ka", "O_Ka").draws)
    with pytest.raises(bs.InputError, match="overwrite=True"):
        seg.save(path)


@pytest.mark.parametrize(
    ("counts", "options", "said"),
    [
        (np.ones((4, 4, 1), int), {"phases": 1}, "two lines or more"),
        (np.zeros((4, 4, 2), int), {"phases": 1}, "no counts"),
        (np.ones((2, 2, 2), int), {"phases": 5}, "from 1 to 4"),
        (np.ones((2, 2, 2), int), {"phases": 0}, "from 1 to 4"),
        (np.full((2, 2, 2), 2**31 - 1), {"phases": 1}, "2\\^31"),
        (np.ones((2, 2, 2), int), {"phases": 1.5}, "whole number"),
        (np.ones((2, 2, 2), int), {"phases": 1, "draws": 1}, "from 2 to"),
        (np.ones((2, 2, 2), int) * [5, 0], {"phases": 1}, "two or more"),
    ],
)
def test_what_cannot_be_segmented_is_refused(counts: np.ndarray, options: dict[str, int], said: str) -> None:
    lines = ("Fe_Ka", "O_Ka")[: counts.shape[2]]
    with pytest.raises(bs.InputError, match=said):
        bs.segment(bs.LineMaps(counts, lines=lines), **options)  # type: ignore[arg-type]


def test_lines_outside_the_axis_and_bare_arrays_are_refused() -> None:
    image = bs.simulate.iron_oxides(100, shape=(8, 8), seed=0).crop(energy=(0.3, 5.0))
    with pytest.raises(bs.InputError, match=r"outside the energy axis 0\.300\.\.5\.000"):
        bs.segment(image, lines=["Fe_Ka", "O_Ka"])
    with pytest.raises(bs.InputError, match="a spectrum image"):
        bs.segment(image.counts)  # type: ignore[arg-type]


def test_a_mask_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(bs.InputError, match="0 pixels that are not excluded"):
        bs.segment(bs.LineMaps(np.ones((4, 4, 2), int), lines=("Fe_Ka", "O_Ka"), mask=np.ones((4, 4), bool)))


def test_unknown_line_in_a_ratio_is_refused(seg: bs.Segmentation) -> None:
    with pytest.raises(bs.InputError, match=r"one of \['Fe_Ka', 'O_Ka'\]"):
        seg.ratio("Fe_Ka", "Mg_Ka")


def test_scatter_within_phases_is_found_and_said() -> None:
    maps = bs.simulate.iron_oxide_lines(5000, shape=(64, 64), seed=3)
    assert maps.truth is not None
    rng = np.random.default_rng(5)
    ratio = np.log(np.array(OXIDE_RATIOS))[maps.truth["labels"]] + 0.04 * rng.normal(size=(64, 64))
    total = maps.counts.sum(axis=2, dtype=np.int64)
    iron = rng.binomial(total, 1 / (1 + np.exp(-ratio)))
    seg = bs.segment(bs.LineMaps(np.stack([iron, total - iron], axis=2), lines=maps.lines), phases=range(1, 3), seed=0)
    assert seg.n_phases == 2
    assert "2 phases whose compositions scatter from pixel to pixel by up to 4" in seg.verdict
    np.testing.assert_allclose(seg.scatter, 0.04, atol=0.01)
    found = seg.ratio("Fe_Ka", "O_Ka")
    assert (np.abs(np.sort(found.mean.values)[::-1] - OXIDE_RATIOS) < 4 * found.sd.values.max()).all()
    assert (found.sd.values < 0.01).all()


def test_phases_in_projection_are_not_measured_but_pointed_to_unmixing() -> None:
    rng = np.random.default_rng(2)
    fields = np.stack([gaussian_filter(rng.normal(size=(32, 32)), 4, mode="wrap") for _ in range(2)], axis=2)
    amounts = np.clip(fields / fields.std() + 0.5, 0.02, None)
    shares = np.array([[0.60, 0.10, 0.30], [0.10, 0.50, 0.40]])
    counts = rng.poisson(500 * (amounts / amounts.sum(axis=2, keepdims=True)) @ shares)
    seg = bs.segment(bs.LineMaps(counts, lines=("Fe_Ka", "O_Ka", "Si_Ka")), phases=2, seed=0)
    assert "overlap within" in seg.verdict
    assert "bs.unmix" in seg.verdict
    assert seg.mixed_share > 0.2
    assert np.isnan(seg.ratio("Fe_Ka", "O_Ka").mean).all()
    assert "cannot be compared" in str(seg.compare_phases(0, 1))


def grains(counts: float, seed: int = 0) -> tuple[bs.LineMaps, np.ndarray]:
    """Two oxides whose boundaries cross pixels, and the shares (y, x, phase) of the larger ratio and the smaller."""
    rng = np.random.default_rng(seed)
    labels = (gaussian_filter(rng.normal(size=(192, 192)), 16, mode="wrap") > 0).astype(int)
    shares = np.eye(2)[labels].reshape(48, 4, 48, 4, 2).mean(axis=(1, 3))
    oxides = np.array([[ratio, 1.0] for ratio in OXIDE_RATIOS])
    rates = counts * shares @ (oxides / oxides.sum(axis=1, keepdims=True))
    return bs.LineMaps(rng.poisson(rates), lines=("Fe_Ka", "O_Ka")), shares


def test_pixels_that_hold_two_phases_are_part_of_the_answer() -> None:
    maps, shares = grains(8000)
    seg = bs.segment(maps, phases=range(1, 4), seed=0)
    mixed = (shares.max(axis=2) < 0.99).mean()
    assert seg.n_phases == 2
    assert f"; {100 * seg.mixed_share:.0f} % of the pixels hold two phases, whose shares are fitted" in seg.verdict
    assert seg.mixed_share == pytest.approx(mixed, abs=0.08)
    turn = np.argsort(-seg.ratio("Fe_Ka", "O_Ka").mean.values)
    ratio = seg.ratio("Fe_Ka", "O_Ka")
    assert (np.abs(ratio.mean.values[turn] - OXIDE_RATIOS) < 4 * ratio.sd.values[turn]).all()
    assert np.abs(seg.probabilities.values[..., turn] - shares).mean() < 0.04
    assert abs(float(seg.fractions.mean[turn[0]]) - shares[..., 0].mean()) < 4 * float(seg.fractions.sd[0])
    assert bs.check(seg).attrs["ok"]
    assert any("hold two phases" in fact for fact in seg.facts())
    inside = bs.segment(maps, phases=range(1, 4), seed=0, interior=True)
    pooled = inside.ratio("Fe_Ka", "O_Ka")
    labels = shares.argmax(axis=2)
    pure = labels_interior(labels) & (labels == 0)
    expected = maps.counts[pure].sum(axis=0)
    assert float(pooled.mean[turn[0]]) == pytest.approx(expected[0] / expected[1], rel=1e-3)
    assert float((pooled.sd / pooled.mean)[turn[0]]) == pytest.approx(np.sqrt((1 / expected).sum()), rel=0.1)
    assert "ratios from the" in inside.verdict


def test_a_gain_is_divided_out_before_phases_are_counted() -> None:
    counts = 2 * np.random.default_rng(4).poisson([200, 300], (48, 48, 2))
    with pytest.warns(UserWarning, match="divided by the gain of"):
        seg = bs.segment(bs.LineMaps(counts, lines=("Fe_Ka", "O_Ka")), phases=range(1, 4), seed=0)
    assert seg.n_phases == 1
    assert "gain of 2" in seg.verdict
    ratio = seg.ratio("Fe_Ka", "O_Ka")
    assert float(ratio.sd[0] / ratio.mean[0]) == pytest.approx(
        np.sqrt(2 / counts.sum(axis=(0, 1))).sum() / 1.41, rel=0.2
    )


def test_hot_pixels_and_channels_are_left_out_and_named() -> None:
    counts = np.random.default_rng(2).poisson([400, 600], (24, 24, 2))
    clean = bs.segment(bs.LineMaps(counts, lines=("Fe_Ka", "O_Ka")), phases=[1, 2], seed=0)
    counts[5, 7, 0] += 8000
    with pytest.warns(UserWarning, match=r"left out: 1 hot pixel: \(5, 7\)"):
        seg = bs.segment(bs.LineMaps(counts, lines=("Fe_Ka", "O_Ka")), phases=[1, 2], seed=0)
    assert seg.labels.values[5, 7] == -1
    with_it, without = (found.ratio("Fe_Ka", "O_Ka") for found in (seg, clean))
    assert abs(float(with_it.mean[0] - without.mean[0])) < 0.2 * float(without.sd[0])
    image = bs.simulate.iron_oxides(3000, shape=(24, 24), seed=1)
    place = int(np.argmin(np.abs(image.energy - 6.4)))
    hot = image.counts.astype(np.int64)
    hot[:, :, place] += 200
    with pytest.warns(UserWarning, match="hot channel"):
        named = bs.segment(replace(image, counts=hot), phases=1, elements=["Fe", "O"], seed=0)
    assert f"left out: 1 hot channel: {place}" in named.verdict


def test_noise_below_that_of_counts_is_said_and_averaged_frames_are_summed() -> None:
    counts = np.random.default_rng(3).poisson([400, 600], (48, 48, 2))
    between = np.rint(0.5 * (counts + np.roll(counts, 1, axis=1))).astype(int)
    with pytest.warns(UserWarning, match="averaged or interpolated frames"):
        seg = bs.segment(bs.LineMaps(between, lines=("Fe_Ka", "O_Ka")), phases=[1, 2], seed=0)
    assert "intervals are too wide by up to 1." in seg.verdict
    mean = np.rint(np.random.default_rng(3).poisson([1600, 2400], (48, 48, 2)) / 4).astype(int)
    with pytest.warns(UserWarning, match="averaged frames"):
        seg = bs.segment(bs.LineMaps(mean, lines=("Fe_Ka", "O_Ka")), phases=[1, 2], seed=0)
    assert "counts multiplied by 4" in seg.verdict
    assert float(seg.ratio("Fe_Ka", "O_Ka").sd[0]) == pytest.approx(
        2 / 3 * np.sqrt((1 / (4.0 * mean.sum(axis=(0, 1)))).sum()), rel=0.1
    )


def test_a_composition_that_varies_from_pixel_to_pixel_is_said_to_and_has_no_ratios_of_phases() -> None:
    rng = np.random.default_rng(2)
    end = rng.gamma(2.0, 1.0, (1, 5)) + 0.05
    ends = np.concatenate([end, end * np.exp(0.1 * rng.choice([-1, 1], (1, 5)))])
    ends /= ends.sum(axis=1, keepdims=True)
    place = np.linspace(0, 1, 64)[None, :, None] * np.ones((64, 1, 1))
    counts = rng.poisson(1000 * ((1 - place) * ends[0] + place * ends[1]))
    seg = bs.segment(bs.LineMaps(counts, lines=["O_Ka", "Si_Ka", "Fe_Ka", "Mg_Ka", "Al_Ka"]), range(1, 4), seed=0)
    assert "varies from pixel to pixel" in seg.verdict
    assert "bs.ratio_map" in seg.verdict
    assert np.isnan(seg.ratio("Si_Ka", "O_Ka").mean).all()
    assert any("Map the ratio" in warning for warning in seg.warnings())
