from pathlib import Path

import numpy as np
import pytest

import bayesspec as bs
from bayesspec.plot.style import EXCLUDED

LINES = ("Fe_Ka", "O_Ka")
SIDE = 20
TRUTH = np.where(np.arange(SIDE) < 10, 0.6, 0.9)[None] * np.ones((SIDE, SIDE))


def line_maps(counts: float = 200.0, seed: int = 0, **more: object) -> bs.LineMaps:
    rng = np.random.default_rng(seed)
    dose = counts * rng.uniform(0.5, 1.5, (SIDE, SIDE))
    share = TRUTH / (1 + TRUTH)
    return bs.LineMaps(rng.poisson(dose[..., None] * np.stack([share, 1 - share], axis=-1)), LINES, **more)


@pytest.fixture(scope="module")
def masked() -> bs.LineMaps:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[3:6, 12:15] = True
    maps = line_maps(mask=mask)
    counts = maps.counts.astype(int)
    counts[mask] = 60_000  # must not be looked at
    return bs.LineMaps(counts, LINES, mask=mask, pixel_size=(2.0, 2.0), pixel_unit="nm")


@pytest.fixture(scope="module")
def found(masked: bs.LineMaps) -> bs.RatioMap:
    return bs.ratio_map(masked, *LINES, draws=200, seed=1)


@pytest.fixture(scope="module")
def across(masked: bs.LineMaps) -> bs.Profile:
    return bs.profile(masked, *LINES, [(10, 0), (10, 19)], across=11, draws=200)


def test_intervals_of_pixels_hold_and_the_verdict_says_what_varies(found: bs.RatioMap, masked: bs.LineMaps) -> None:
    low, high = found.ratio.interval(0.9)
    inside = ((low <= TRUTH) & (high >= TRUTH)).values[masked.valid]
    assert 0.8 < inside.mean() < 0.99
    assert found.verdict.startswith("Fe_Ka/O_Ka varies, standard deviation 2")
    assert float(found.spread.mean) == pytest.approx(np.log(TRUTH).std(), rel=0.08)
    error = np.abs(found.ratio.mean.values / TRUTH - 1)[masked.valid]
    divided = np.abs((masked.counts[..., 0] + 0.5) / (masked.counts[..., 1] + 0.5) / TRUTH - 1)[masked.valid]
    assert np.sqrt((error**2).mean()) < 0.5 * np.sqrt((divided**2).mean())


def test_excluded_pixels_are_not_looked_at_and_not_told(found: bs.RatioMap, masked: bs.LineMaps) -> None:
    for name in ("ratio_mean", "ratio_lower", "counts"):
        values = found.data[name].values
        assert np.isnan(values[masked.mask]).all() or name == "counts"
        assert np.isfinite(values[masked.valid]).all()
    assert not found.data["counts"].values[masked.mask].any()


def test_numerator_and_denominator_change_places(masked: bs.LineMaps, found: bs.RatioMap) -> None:
    other = bs.ratio_map(masked, *LINES[::-1], draws=200, seed=2)
    product = (found.ratio.mean * other.ratio.mean).values[masked.valid]
    assert product == pytest.approx(1.0, abs=0.1)
    assert product.mean() == pytest.approx(1.0, abs=0.01)


def test_an_even_ratio_is_not_said_to_vary() -> None:
    rng = np.random.default_rng(5)
    maps = bs.LineMaps(rng.poisson(np.full((SIDE, SIDE, 2), [3.0, 5.0])), LINES)
    found = bs.ratio_map(maps, *LINES, draws=200)
    assert "not shown at this dose" in found.verdict
    low, high = found.ratio.interval()
    assert float(((low < 0.6) & (high > 0.6)).mean()) > 0.9


def test_background_beside_the_lines_is_in_the_rate() -> None:
    maps = line_maps(2000.0)
    rng = np.random.default_rng(3)
    beside = rng.poisson(300.0, (SIDE, SIDE, 1))
    under = rng.poisson(300.0, (SIDE, SIDE, 1)) * [1, 0]
    response = np.array([[1.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    whole = bs.LineMaps(maps.counts + under, LINES, side_counts=beside, sides=["beside"], response=response)
    found = bs.ratio_map(whole, *LINES, draws=200)
    bare = bs.ratio_map(bs.LineMaps(whole.counts, LINES), *LINES, draws=200)
    assert float((found.ratio.mean / TRUTH).mean()) == pytest.approx(1.0, abs=0.02)
    assert float((bare.ratio.mean / TRUTH).mean()) > 1.2
    low, high = found.ratio.interval(0.9)
    assert 0.8 < float(((low <= TRUTH) & (high >= TRUTH)).mean()) <= 1.0


def test_an_uncertain_background_is_in_the_intervals() -> None:
    maps, errors = line_maps(2000.0), np.zeros((1, 2, 2))
    errors[0, 0, 0] = 0.1
    found = bs.ratio_map(bs.LineMaps(maps.counts, LINES, response_errors=errors), *LINES, draws=200)
    middle = np.median(found.ratio.draws.values, axis=(1, 2))
    assert middle.std() / middle.mean() == pytest.approx(0.1, rel=0.25)


def test_an_image_is_counted_by_windows(image: bs.SpectrumImage) -> None:
    found = bs.ratio_map(image, *LINES, draws=60)
    truth = np.asarray(image.truth["ratio"])[image.truth["labels"]]
    assert np.sqrt(np.mean((found.ratio.mean.values / truth - 1) ** 2)) < 0.04
    assert found.data["y"].attrs["units"] == "nm"


def test_a_profile_sums_across_and_ends_where_the_path_ends(across: bs.Profile, masked: bs.LineMaps) -> None:
    counts = np.where(masked.valid[..., None], masked.counts, 0)[5:16]
    assert np.array_equal(across.data["counts"].values, counts.sum(axis=(0, 2)))
    assert np.array_equal(across.distance.values, 2.0 * np.arange(SIDE))
    low, high = across.ratio.interval(0.9)
    assert float(((low <= TRUTH[0]) & (TRUTH[0] <= high)).mean()) > 0.7
    assert float(across.ratio.mean[2]) == pytest.approx(0.6, rel=0.06)
    assert float(across.ratio.mean[17]) == pytest.approx(0.9, rel=0.06)


def test_a_path_with_a_corner_counts_no_pixel_twice() -> None:
    maps = line_maps()
    found = bs.profile(maps, *LINES, [(2, 2), (2, 15), (15, 15)], across=3, draws=40)
    assert found.data.sizes["distance"] == 27
    box = np.zeros((SIDE, SIDE), bool)
    box[1:4, 2:17], box[1:16, 14:17] = True, True
    assert abs(int(found.data["counts"].sum()) - int(maps.counts[box].sum())) <= maps.counts[1, 16].sum()
    assert (found.data["counts"] > 0).all()


@pytest.mark.parametrize("kind", ["found", "across"])
def test_saved_results_open_again(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    result = request.getfixturevalue(kind)
    again = bs.open(result.save(tmp_path / "ratio.nc"))
    assert type(again) is type(result)
    assert np.array_equal(again.ratio.draws, result.ratio.draws, equal_nan=True)
    assert again.verdict == result.verdict
    assert result.verdict in repr(again)


def test_tables(found: bs.RatioMap, across: bs.Profile) -> None:
    assert found.table().rows[0] == ("verdict", found.verdict)
    table = across.table()
    assert table.columns == ("distance (nm)", "counts", "Fe_Ka/O_Ka", "95 % interval")
    assert len(table.rows) == SIDE
    assert table.rows[3][0] == "6"
    assert found.facts()[0].startswith("Fe_Ka/O_Ka: ")


def test_figures(found: bs.RatioMap, across: bs.Profile, masked: bs.LineMaps) -> None:
    figure = bs.plot.ratio_map(found)
    left, right = [ax for ax in figure.axes if ax.images]
    assert np.array_equal(left.images[0].get_array().mask, masked.mask)
    assert left.images[0].cmap.get_bad() is not None
    assert EXCLUDED
    assert left.images[0].get_clim()[0] > 0.5
    assert right.get_title(loc="left") == "half the 95 % interval"
    drawn = bs.plot.profile(across).axes[0]
    assert drawn.get_xlabel() == "distance (nm)"
    assert np.array_equal(drawn.lines[0].get_ydata(), across.data["ratio_mean"].values)
    assert [d.by for d in found.figures() + across.figures()] == ["ratio_map", "profile"]


def test_a_report_shows_both(found: bs.RatioMap, across: bs.Profile, tmp_path: Path) -> None:
    page = bs.report([found, across], tmp_path / "report.html")
    assert found.verdict.split(" about")[0] in Path(page).read_text()


def test_few_draws_are_said() -> None:
    found = bs.ratio_map(line_maps(), *LINES, draws=20)
    assert not found.converged
    with pytest.raises(bs.FitError, match="independent"):
        bs.ratio_map(line_maps(), *LINES, draws=20, strict=True)


def test_bad_input(masked: bs.LineMaps) -> None:
    with pytest.raises(bs.InputError, match="Ti_Ka"):
        bs.ratio_map(masked, "Ti_Ka", "O_Ka")
    with pytest.raises(bs.InputError, match="two different lines"):
        bs.ratio_map(masked, "O_Ka", "O_Ka")
    with pytest.raises(bs.InputError, match="no count of Fe_Ka"):
        bs.ratio_map(bs.LineMaps(masked.counts * [0, 1], LINES), *LINES)
    for path in ([(1, 1)], [(1, 1), (1, 1)], [1, 2, 3]):
        with pytest.raises(bs.InputError, match="corners"):
            bs.profile(masked, *LINES, path)
    with pytest.raises(bs.InputError, match="pixels in use"):
        bs.profile(masked, *LINES, [(100, 100), (100, 120)])
    with pytest.raises(bs.InputError, match="draws"):
        bs.ratio_map(masked, *LINES, draws=4)
    sides = np.ones((SIDE, SIDE, 17), int)
    many = bs.LineMaps(
        masked.counts, LINES, side_counts=sides, sides=[f"s{i}" for i in range(17)], response=np.ones((2, 19))
    )
    with pytest.raises(bs.InputError, match="17 windows"):
        bs.ratio_map(many, *LINES)
