"""Unmixing, from counts to components with intervals."""

import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import bayesspec as bs
from bayesspec.image import counts as counts_file
from bayesspec.simulate import bremsstrahlung, line_profile
from bayesspec.spectroscopy.windows import line_windows

ENERGY = 0.2 + 0.04 * np.arange(220)


def phantom(counts_per_pixel: float = 400, side: int = 24, seed: int = 0) -> tuple[bs.SpectrumImage, np.ndarray]:
    """Two components, iron and silicon rich, side by side with a mixed zone between them."""
    lines = [{"Fe_Ka": 3.0, "O_Ka": 1.0}, {"Si_Ka": 3.0, "O_Ka": 2.0}]
    spectra = np.stack([sum(w * line_profile(name, ENERGY) for name, w in own.items()) for own in lines])
    spectra = spectra / spectra.sum(axis=1, keepdims=True) * 0.95 + 0.05 * bremsstrahlung(ENERGY, 200.0)
    share = np.clip(np.linspace(-0.5, 1.5, side), 0, 1)[None, :, None] * np.ones((side, 1, 1))
    rng = np.random.default_rng(seed)
    counts = rng.poisson(counts_per_pixel * np.concatenate([share, 1 - share], axis=2) @ spectra)
    acquisition = bs.Acquisition("EDS", beam_energy_kev=200.0, resolution_mn_ka_ev=130.0)
    image = bs.SpectrumImage(counts, energy=ENERGY, elements=("Fe", "Si", "O"), acquisition=acquisition)
    return image, spectra


@pytest.fixture(scope="module")
def fit() -> bs.Unmixing:
    return bs.unmix(phantom()[0], rank=range(1, 4), seed=0, draws=100, warmup=50)


@pytest.mark.parametrize("options", [{"rank": range(1, 3)}, {"rank": 2, "background": "bremsstrahlung"}])
def test_every_set_of_counts_is_cut_into_blocks_once(
    options: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    sets, cut = [], counts_file.cut

    def noted(matrix: np.ndarray) -> counts_file.CountBlocks:
        sets.append((matrix.shape, matrix.tobytes()))
        return cut(matrix)

    monkeypatch.setattr(counts_file, "cut", noted)
    image = phantom(60, side=24)[0]
    bs.unmix(image, seed=0, draws=10, warmup=5, **options)  # type: ignore[arg-type]
    assert len(sets) == len(set(sets))
    shapes = [shape for shape, _ in sets]
    pixels = image.valid.sum()
    assert (pixels, 220) in shapes  # where the maps are smoothed
    assert min(shapes)[0] < pixels  # where the spectra are sampled


def angles(spectra: np.ndarray, truth: np.ndarray) -> np.ndarray:
    a, b = (s / np.linalg.norm(s, axis=1, keepdims=True) for s in (spectra, truth))
    return np.degrees(np.arccos(np.clip((a @ b.T).max(axis=1), -1, 1)))


def test_rank_and_spectra_are_found(fit: bs.Unmixing) -> None:
    assert (fit.rank, fit.verdict.split(";")[0]) == (2, "2 components")
    assert (angles(fit.spectra["mean"].values, phantom()[1]) < 3).all()
    np.testing.assert_allclose(fit.spectra["mean"].sum("energy"), 1, rtol=1e-4)
    np.testing.assert_allclose(
        fit.abundances["mean"].sum(("y", "x", "component")), phantom()[0].counts.sum(), rtol=2e-3
    )
    assert fit.spectra.attrs["prob"] == 0.95


def test_intervals_bracket_the_mean_and_shrink_with_probability(fit: bs.Unmixing) -> None:
    for table in (fit.spectra, fit.abundances):
        assert (table["lower"] <= table["upper"]).all()
        assert float((table["lower"] <= table["mean"]).mean()) > 0.95
    wide, narrow = (bs.unmix(phantom()[0], rank=1, seed=0, draws=100, warmup=20, prob=p) for p in (0.95, 0.5))
    spread = [float((f.abundances["upper"] - f.abundances["lower"]).mean()) for f in (wide, narrow)]
    assert wide.identifiability["identified"].all()
    assert spread[1] < 0.5 * spread[0]


def test_line_ratios_come_from_the_spectra(fit: bs.Unmixing) -> None:
    silicon = fit.ratio("Si_Ka", "O_Ka")
    best = int(np.argmax(fit.intensities_of(["Si_Ka", "O_Ka"]).mean.sel(line="Si_Ka").values))
    assert float(silicon.mean[best]) == pytest.approx(1.5, abs=4 * float(silicon.sd[best]) + 0.03)
    weights = fit.composition({"Si_Ka": 1.0, "O_Ka": 1.9})["weight_percent"]
    np.testing.assert_allclose(weights.mean.sum("element"), 100)


def test_ratios_carry_what_is_not_known_of_the_background_shape(fit: bs.Unmixing) -> None:
    draws = fit.data["spectra_draws"]
    same = type(fit)(fit.data.assign(spectra_draws=xr.ones_like(draws) * draws.mean("draw")))
    windows = line_windows(fit.sum_image, ["Si_Ka", "O_Ka"])
    sums = windows.sums(draws.mean("draw").values, np.float64)
    net = sums @ windows.response.T
    change = sums @ windows.errors.swapaxes(1, 2) / net
    best = int(np.argmax(net[:, 0]))
    expected = np.sqrt(np.square(change[..., 0] - change[..., 1]).sum(axis=0))[best]
    found = same.ratio("Si_Ka", "O_Ka")
    assert expected > 1e-5
    own = found.draws.std("draw", ddof=1)
    assert float(own[best] / found.mean[best]) == pytest.approx(expected, rel=0.25)


def test_the_band_stays_part_of_the_interval_where_a_line_is_not_detected(fit: bs.Unmixing) -> None:
    draws = fit.data["spectra_draws"].copy(deep=True)
    draws[0] = 0.0  # a draw without any line: its ratios are infinite
    found = type(fit)(fit.data.assign(spectra_draws=draws)).ratio("Si_Ka", "O_Ka")
    whole = fit.ratio("Si_Ka", "O_Ka")
    assert np.isinf(found.mean).any()
    assert np.isfinite(found.interval()[0]).all()
    np.testing.assert_array_less(found.interval()[0], fit.band("Si_Ka", "O_Ka")["lower"] + 1e-9)
    assert not found.identified[np.isinf(found.mean)].any()
    assert np.isfinite(whole.interval()[1]).all()


def test_draws_are_joint_and_can_be_thinned(fit: bs.Unmixing) -> None:
    assert fit.spectra_draws().sizes["draw"] == 100
    assert fit.spectra_draws(10).dims == ("draw", "component", "energy")
    with pytest.raises(bs.InputError, match="1 to 100"):
        fit.spectra_draws(101)
    np.testing.assert_allclose(fit.fractions.draws.sum("component"), 1)


def test_masks_leave_gaps(fit: bs.Unmixing) -> None:
    image, _ = phantom()
    mask = np.zeros(image.shape[:2], bool)
    mask[:4] = True
    masked = image.with_mask(mask).with_mask(ENERGY > 8.5)
    part = bs.unmix(masked, rank=2, seed=0, draws=20, warmup=20)
    assert np.isnan(part.abundances["mean"].values[:4]).all()
    assert not np.isnan(part.abundances["mean"].values[4:]).any()
    assert (part.spectra["mean"].values[:, ENERGY > 8.5] == 0).all()


def test_saved_and_opened_again(fit: bs.Unmixing, tmp_path: Path) -> None:
    again = bs.open(fit.save(tmp_path / "fit.nc"))
    assert isinstance(again, bs.Unmixing)
    np.testing.assert_array_equal(again.spectra_draws(), fit.spectra_draws())
    np.testing.assert_allclose(again.ratio("Si_Ka", "O_Ka").mean, fit.ratio("Si_Ka", "O_Ka").mean)
    assert again.selection["verdict"].values.tolist().count("chosen") == 1


def test_few_counts_a_pixel_take_their_spectra_from_blocks() -> None:
    image, spectra = phantom(counts_per_pixel=100, side=32)
    fit = bs.unmix(image, rank=2, seed=0, draws=60, warmup=60)
    assert fit.provenance["pixels summed for the spectra"] == "3 x 3"
    assert (angles(fit.spectra["mean"].values, spectra) < 6).all()
    share = np.clip(np.linspace(-0.5, 1.5, 32), 0, 1)
    iron = int(np.argmax(fit.spectra["mean"].sel(energy=6.4, method="nearest").values))
    found = fit.abundances["mean"].values[..., iron].mean(axis=0)
    assert np.corrcoef(found, share)[0, 1] > 0.99
    np.testing.assert_allclose(fit.abundances["mean"].sum(("y", "x", "component")), image.counts.sum(), rtol=0.01)


def test_what_the_counts_cannot_tell_is_said(fit: bs.Unmixing) -> None:
    table = fit.identifiability
    assert (table["lower"] <= table["fraction"] + 1e-3).all()
    assert (table["fraction"] <= table["upper"] + 1e-3).all()
    assert ((table["spectra_lower"] <= fit.spectra["mean"]) & (fit.spectra["mean"] <= table["spectra_upper"])).all()
    named = [str(i) for i in np.flatnonzero(~table["identified"].values)]
    assert ("not identified" in fit.verdict) == bool(named)
    known = fit.fractions.sd.notnull()
    assert (known == table["identified"]).all()
    band = fit.band("Si_Ka", "O_Ka")
    assert (band["lower"] <= fit.ratio("Si_Ka", "O_Ka").mean).all()
    with pytest.raises(bs.InputError, match="no background|without a background"):
        fit.background  # noqa: B018


def mixed_everywhere(side: int = 16) -> tuple[bs.SpectrumImage, np.ndarray]:
    """Two components that no pixel holds alone, of line-like spectra without a continuum."""
    rng = np.random.default_rng(0)
    spectra = rng.dirichlet(np.full(80, 0.4), 2)
    share = np.clip(np.linspace(0.25, 0.75, side), 0, 1)[None] * np.ones((side, 1))
    counts = rng.poisson(3000 * np.stack([share, 1 - share], axis=-1) @ spectra)
    return bs.SpectrumImage(counts, energy=200.0 + np.arange(80.0), energy_unit="eV"), spectra


def test_what_would_narrow_a_share_is_said_and_does() -> None:
    image, spectra = mixed_everywhere()
    fit = bs.unmix(image, 2, seed=0, draws=60, warmup=40, neighbours=False)
    table = fit.identifiability
    assert not table["identified"].any()
    assert "not identified" in fit.verdict
    assert "elements=" not in fit.verdict  # of energy losses
    width = table["upper"] - table["lower"]
    assert table["narrowed_widths"].sizes == {"knowledge": 3, "component": 2}
    assert (table["helped_width"] < 0.7 * width).all()
    assert all("the spectrum of component" in what for what in table["helps"].values)
    assert sum("to narrow that most" in fact for fact in fit.facts()) == 2
    known = int(table["helps"].values[0].split()[-1])
    reference = spectra[np.argmax(spectra @ fit.spectra["mean"].values[known])]
    again = bs.unmix(image, 2, spectra=reference, seed=0, draws=60, warmup=40, neighbours=False).identifiability
    assert float((again["upper"] - again["lower"])[0]) < 1.6 * float(table["helped_width"][0]) + 0.02
    assert float((again["upper"] - again["lower"])[0]) < 0.8 * float(width[0])


def test_the_status_does_not_depend_on_the_seed() -> None:
    image = mixed_everywhere(12)[0]
    fits = [bs.unmix(image, 2, seed=seed, draws=60, warmup=40, neighbours=False) for seed in range(5)]
    assert {fit.status for fit in fits} == {str(bs.Status.CONVERGED)}
    assert max(float(fit.data["interval_error"].max()) for fit in fits) < 0.1
    assert len({tuple(fit.identifiability["identified"].values) for fit in fits}) == 1


def test_an_image_of_elements_that_is_not_identified_says_that_their_lines_leave_less_open() -> None:
    energy = 0.2 + 0.02 * np.arange(300)
    lines = np.stack([line_profile("Fe_Ka", energy) + line_profile("O_Ka", energy), line_profile("O_Ka", energy)])
    lines = 0.8 * lines / lines.sum(axis=1, keepdims=True) + 0.2 * bremsstrahlung(energy, 15.0)
    share = np.linspace(0.3, 0.7, 12)[None] * np.ones((12, 1))
    counts = np.random.default_rng(0).poisson(1000 * np.stack([share, 1 - share], axis=-1) @ lines)
    beam = bs.Acquisition("EDS", beam_energy_kev=15.0)
    image = bs.SpectrumImage(counts, energy=energy, elements=("Fe", "O"), acquisition=beam)
    fit = bs.unmix(image, 2, seed=0, draws=20, warmup=20, neighbours=False)
    assert "elements=['Fe', 'O']" in fit.verdict


def edges(side: int = 16, counts: float = 800.0) -> tuple[bs.SpectrumImage, np.ndarray, np.ndarray]:
    """Two edges on a power law whose exponent differs between them; net spectra and background counts."""
    energy = 200.0 + 6.0 * np.arange(100)
    step = np.stack([0.5 * (1 + np.tanh((energy - at) / 8.0)) * (energy / at) ** -3.0 for at in (300.0, 520.0)])
    step = step / step.sum(axis=1, keepdims=True)
    laws = np.stack([energy**-2.4, energy**-2.9])
    laws = laws / laws.sum(axis=1, keepdims=True)
    share = np.clip(np.linspace(-0.5, 1.5, side), 0, 1)[None] * np.ones((side, 1))
    shares = np.stack([share, 1 - share], axis=-1)
    rng = np.random.default_rng(0)
    image = bs.SpectrumImage(rng.poisson(counts * shares @ (0.5 * step + 0.5 * laws)), energy=energy, energy_unit="eV")
    return image, step, np.full((side, side), 0.5 * counts)


def test_a_background_is_kept_apart_from_the_components() -> None:
    image, step, counts = edges()
    fit = bs.unmix(image, rank=2, background="power_law", seed=0, draws=60, warmup=60)
    own = step[np.argmax(fit.spectra["mean"].values @ step.T, axis=1)]
    assert sorted(own.argmax(axis=1)) == sorted(step.argmax(axis=1))
    assert float(((fit.spectra["lower"] <= own) & (own <= fit.spectra["upper"])).mean()) > 0.95
    assert (fit.spectra["mean"].values[:, image.energy < 270].sum(axis=1) < 0.02).all()  # none is left before the edges
    background = fit.background
    assert background["mean"].shape == (16, 16)
    np.testing.assert_allclose(background["mean"].mean(), counts.mean(), rtol=0.1)
    np.testing.assert_allclose(background["spectrum"].sum(), background["mean"].sum(), rtol=1e-2)
    inside = (background["lower"] <= counts) & (counts <= background["upper"])
    assert float(inside.mean()) > 0.85
    assert fit.rank == 2
    assert float(fit.fractions.mean.sum()) == pytest.approx(0.5, abs=0.06)


def test_a_background_of_one_unknown_shape_covers_what_it_claims() -> None:
    rng, channels = np.random.default_rng(3), 60
    spectra = rng.dirichlet(np.full(channels, 0.5), 2)
    shapes = np.exp(-np.arange(channels) / np.array([8.0, 20.0, 100.0])[:, None])
    shapes /= shapes.sum(axis=1, keepdims=True)
    background = np.array([0.5, 0.1, 0.4]) @ shapes
    abundances = rng.gamma(1.0, 150.0, (256, 3))
    counts = rng.poisson(abundances @ np.append(spectra, background[None], axis=0)).reshape(16, 16, channels)
    image = bs.SpectrumImage(counts, energy=1.0 + 0.1 * np.arange(channels))
    fit = bs.unmix(image, 2, background=shapes, neighbours=False, prob=0.9)
    assert fit.background["shapes"].shape == (1, channels)
    assert np.abs(fit.background["shapes"].values[0] - background).sum() < 0.05
    low, high = np.quantile(fit.data["background_total_draws"].values[:, 0], (0.005, 0.995))
    assert low < abundances[:, 2].sum() < high
    order = np.argmax(fit.spectra["mean"].values @ spectra.T, axis=1)
    low, high = np.quantile(fit.spectra_draws().values, (0.05, 0.95), axis=0)
    assert ((low <= spectra[order]) & (spectra[order] <= high)).mean() > 0.8
    assert "one mixture of 3 shapes" in fit.provenance["background"]


def test_another_fit_is_knowledge(fit: bs.Unmixing) -> None:
    image, spectra = phantom(counts_per_pixel=400, side=12, seed=3)
    iron = int(np.argmin(angles(fit.spectra["mean"].values, spectra[:1])))
    prior = fit.component(iron)
    found = bs.unmix(image, rank=2, prior_from=prior, seed=0, draws=20, warmup=20)
    own = angles(found.spectra["mean"].values[:1], prior.mean.values[None])[0]
    assert own < 2
    with pytest.raises(bs.InputError, match="component 7 of 2"):
        fit.component(7)


def test_a_known_spectrum_stays_and_comes_last() -> None:
    image, spectra = phantom(side=12)
    fit = bs.unmix(image, rank=2, spectra=2.0 * spectra[1], seed=0, draws=20, warmup=20)
    np.testing.assert_allclose(fit.spectra["mean"][1], spectra[1], atol=1e-6)
    assert angles(fit.spectra["mean"].values[:1], spectra[:1])[0] < 5


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rank": 2, "background": "cubic"}, "'cubic'"),
        ({"rank": 2, "background": np.ones((1, 7))}, "shape .1, 7."),
        ({"rank": 2, "spectra": -np.ones(220)}, "smallest entry of -1"),
        ({"rank": 1, "spectra": np.ones(220)}, "one rank, above"),
        ({"background": "bremsstrahlung"}, "one rank"),
        ({"rank": 500}, "from 1 to"),
        ({"rank": 0}, "from 1 to"),
        ({"model": "svd"}, "'svd'"),
        ({"prob": 95.0}, "prob=95"),
    ],
)
def test_impossible_requests_are_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(bs.InputError, match=said):
        bs.unmix(phantom(20, 8)[0], **options)  # type: ignore[arg-type]


def test_an_image_without_counts_is_refused() -> None:
    with pytest.raises(bs.InputError, match="no counts in 4 pixels x 220 channels"):
        bs.unmix(bs.SpectrumImage(np.zeros((2, 2, 220), int), energy=ENERGY), rank=1)


def test_noise_that_is_not_poisson_is_said() -> None:
    image, _ = phantom(counts_per_pixel=400, side=12)
    scaled = bs.SpectrumImage(10 * image.counts.astype(int), energy=ENERGY, acquisition=image.acquisition)
    with pytest.warns(UserWarning, match="times the variance of Poisson counts"):
        fit = bs.unmix(scaled, rank=2, seed=0, draws=10, warmup=10)
    said = re.search(r"not Poisson: the noise has (\d+) times", fit.verdict)
    assert said is not None
    assert 9 <= int(said[1]) <= 11
    assert "not Poisson" not in bs.unmix(image, rank=2, seed=0, draws=10, warmup=10).verdict


def test_neighbours_sharpen_the_maps_and_can_be_left_out() -> None:
    image, spectra = phantom(counts_per_pixel=60, side=24)
    truth = np.clip(np.linspace(-0.5, 1.5, 24), 0, 1)
    errors, fits = [], []
    for neighbours in (True, False):
        fits.append(bs.unmix(image, rank=2, seed=0, draws=20, warmup=30, neighbours=neighbours))
        iron = int(np.argmax(fits[-1].spectra["mean"].sel(energy=6.4, method="nearest").values))
        found = fits[-1].abundances["mean"].values[..., iron] / 60
        errors.append(np.sqrt(np.square(found - truth).mean()))
        table = fits[-1].abundances
        assert ((table["lower"] <= table["mean"]) & (table["mean"] <= table["upper"])).all() or not neighbours
    assert errors[0] < 0.6 * errors[1]
    name = "strength of the smoothing over neighbours"
    assert fits[0].provenance[name] > 0.1
    assert fits[1].provenance[name] == 0
    np.testing.assert_allclose(fits[0].abundances["mean"].sum(("y", "x", "component")), image.counts.sum(), rtol=0.02)


@pytest.mark.parametrize("strength", [-1.0, float("nan")])
def test_a_strength_that_cannot_be_is_refused(strength: float) -> None:
    with pytest.raises(bs.InputError, match="neighbours"):
        bs.unmix(phantom()[0], rank=2, neighbours=strength)
