"""Calls of the whole public API with arguments that do not fit: what becomes of them.

One argument of a call that works, or two, are replaced by others, drawn from a pool with a stated seed. A call ends
well when it returns or raises `InputError` (or `MissingExtraError`, or `FitError` where it was asked for), or is
refused by scikit-learn's own checks of the estimators' arguments; the rest is counted: other exceptions, calls that
take longer than `SLOW_S`, and arguments that are another array afterwards.
"""

import contextlib
import signal
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

SLOW_S = 120
"""Seconds of the processor after which a call counts as one that hangs; a first call compiles for some twenty."""
WAITING = 10
"""Times as many seconds by the clock, for one that waits: the machine may be doing something else."""
CHANNELS = 120


class Hangs(BaseException):
    """Raised by the clock."""


@contextlib.contextmanager
def clock(seconds: int) -> Iterator[None]:
    def ring(*_: Any) -> None:
        raise Hangs

    before = {kind: signal.signal(kind, ring) for kind in (signal.SIGALRM, signal.SIGPROF)}
    signal.alarm(WAITING * seconds)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.setitimer(signal.ITIMER_PROF, 0)
        for kind, handler in before.items():
            signal.signal(kind, handler)


class Pool:
    """What is put in the place of arguments."""

    def __init__(self, folder: Path) -> None:
        import bayesspec as bs

        self.folder = folder
        self.image = bs.simulate.iron_oxides(300, (6, 6), seed=0).rebin(energy=8)
        self.image = self.image.crop(energy=(0.25, float(self.image.energy[-1])))
        self.maps = bs.element_maps(self.image, ["Fe_Ka", "O_Ka"])
        self.losses = bs.simulate.eels_edges(300, 16, seed=0).crop(y=(0, 6), x=(0, 6))
        self.seg = bs.segment(self.maps, 2, draws=20)
        self.fit = bs.classical.nmf(self.image, 2, max_iterations=20)
        self.pca = bs.pca(self.image, 2, draws=10)
        self.lines = bs.fit_lines(self.image, ["Fe", "O"], calibrate=False, draws=20)
        self.plan = bs.plan_dose((0.5, 2.0), shape=(8, 8), doses=[300.0])
        self.glass = self._standard()
        self.k_ratios = bs.k_ratios(self.glass, {"Fe2O3": self.glass}, ["Fe", "O"], coating=None, draws=20)
        acquisition = bs.Acquisition("EELS", 200.0, convergence_mrad=10.0, collection_mrad=20.0)
        self.losses = replace(self.losses, acquisition=acquisition)
        self.low_loss = replace(self.losses, energy=self.losses.energy - 230.0)
        self.model_maps = bs.model_maps(self.image, ["Fe", "O"], calibrate=False)
        self.edges = bs.fit_edges(self.losses, ["C", "O"], low_loss=self.low_loss, draws=20)
        self.ratios = bs.ratio_map(self.maps, "Fe_Ka", "O_Ka", draws=40)
        self.file = bs.save_image(self.image, folder / "image.npz")
        self.saved = self.seg.save(folder / "seg.nc")
        self.images = list(self._images())
        with contextlib.suppress(ImportError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.images.append(bs.to_hyperspy(self.image.to_xarray()))

    def _standard(self) -> Any:
        """A sum spectrum with all that a standard has to say of itself."""
        import bayesspec as bs

        acquisition = bs.Acquisition("EDS", 15.0, 130.0, 60.0, 40.0, 66.0, 1.0)
        counts = np.array(self.image.counts).sum(axis=(0, 1))
        return bs.SpectrumImage(counts, energy=self.image.energy, elements=("Fe", "O"), acquisition=acquisition)

    def _images(self) -> Iterator[Any]:
        import bayesspec as bs

        image, counts = self.image, np.array(self.image.counts)
        zero, one, filled = np.zeros_like(counts), np.zeros_like(counts), np.zeros_like(counts)
        one[2, 3, 40] = 1
        filled[:, :, 30] = 9
        yield from (
            replace(image, counts=c)
            for c in (zero, one, filled, counts.astype(np.int64) * 1000, counts // counts.max())
        )
        yield replace(image, counts=np.full(counts.shape, 2**31 - 1))
        yield image.with_mask(np.ones((6, 6), bool))
        yield image.with_mask(np.ones(counts.shape[2], bool))
        yield image.with_mask(np.arange(36).reshape(6, 6) > 0)
        yield image.with_mask(np.arange(counts.shape[2]) != 30)
        yield bs.SpectrumImage(counts[0, 0], energy=image.energy)
        yield bs.SpectrumImage(counts[:, :, :1], energy=image.energy[:1])
        yield bs.SpectrumImage(counts[:, :, :2], energy=image.energy[:2])
        yield bs.SpectrumImage(counts[:1, :1, :1], energy=image.energy[:1])
        yield replace(image, elements=(), acquisition=bs.Acquisition())
        yield replace(image, acquisition=bs.Acquisition("EDS", 1e-3, 1.0, 1e-6, -90.0))
        yield replace(image, acquisition=bs.Acquisition("EELS", 200.0))
        yield replace(image, energy=image.energy - 5.0)
        yield replace(image, energy=image.energy * 1e3)
        yield replace(image, energy=image.energy * 1e3, energy_unit="eV")
        yield replace(image, energy=np.cumsum(np.random.default_rng(0).random(counts.shape[2])))
        yield self.losses
        yield self.maps
        yield replace(
            self.maps, counts=np.zeros_like(self.maps.counts), side_counts=np.zeros_like(self.maps.side_counts)
        )
        yield bs.LineMaps(counts[:, :, 20:21], ["Fe_Ka"])
        yield bs.LineMaps(counts[:, :, 20:22], ["a", "b"])
        yield counts
        yield counts.tolist()
        yield image.to_xarray()
        yield xr.DataArray(counts, dims=("y", "x", "energy"))
        yield self.seg
        yield self.fit


def scalars() -> list[Any]:
    """Numbers, text and containers that hardly any argument takes."""
    numbers = [True, -1, 0, 1, 2, 7, 0.5, 3.5, -2.5, 2**32, 2**63, 10**30, np.nan, np.inf, -np.inf, 1e300, 1j]
    others = [
        None,
        "a",
        "",
        "Fe_Ka",
        "fe_ka",
        b"x",
        [],
        (),
        {},
        [1],
        [0.5, 2.0],
        (1, 2),
        (None, 0.3),
        {"Fe_Ka": 1.0},
        {1, 2},
    ]
    arrays = [
        np.array(3),
        np.arange(3),
        np.full(3, np.nan),
        np.zeros((2, 2), bool),
        np.array(["a", "b"]),
        np.float32(0.5),
    ]
    lines = [
        ["Fe_Ka", "O_Ka"],
        ["Fe_Ka"],
        ["Xx_Ka"],
        ["Fe_Ka", "Fe_Ka"],
        ["Pt_La"],
        ["Fe"],
        ["Xx"],
        ["U", "H"],
        [None],
        "Fe,O",
    ]
    odd = [object(), len, range(1, 3), range(0), iter([1, 2]), slice(None), Path("x"), np.int8(3), Ellipsis]
    return numbers + others + arrays + lines + odd


Target = tuple[str, Callable[..., Any], dict[str, Any], float]
"""Name, function, arguments that work, and how often it is called."""


def targets(pool: Pool) -> list[Target]:
    """Functions and methods of the public API with arguments that work."""
    import bayesspec as bs
    from bayesspec.models import poisson_nmf

    image, maps, seg, fit, pca, lines, plan = pool.image, pool.maps, pool.seg, pool.fit, pool.pca, pool.lines, pool.plan
    energy, counts = np.array(image.energy), np.array(image.counts)
    elements, pair = ["Fe", "O"], ["Fe_Ka", "O_Ka"]
    factors = {"Fe_Ka": 1.4, "O_Ka": (2.0, 0.1)}
    estimate, component = seg.ratio("Fe_Ka", "O_Ka"), fit.component
    new = str(pool.folder / "new.nc")
    quick: list[tuple[str, Callable[..., Any], dict[str, Any]]] = [
        (
            "SpectrumImage",
            bs.SpectrumImage,
            {
                "counts": counts,
                "energy": energy,
                "energy_unit": "keV",
                "pixel_size": (1.0, 2.0),
                "mask": np.zeros((6, 6), bool),
                "energy_mask": np.zeros(len(energy), bool),
                "elements": elements,
                "acquisition": bs.Acquisition(),
                "name": "a",
                "truth": None,
            },
        ),
        (
            "LineMaps",
            bs.LineMaps,
            {
                "counts": counts[:, :, :2],
                "lines": pair,
                "side_counts": counts[:, :, 2:3],
                "sides": ("s",),
                "response": np.eye(2, 3),
                "mask": np.zeros((6, 6), bool),
                "pixel_size": (1.0, 1.0),
                "truth": None,
                "response_errors": np.zeros((1, 2, 3)),
                "acquisition": bs.Acquisition(),
            },
        ),
        (
            "Acquisition",
            bs.Acquisition,
            {
                "technique": "EDS",
                "beam_energy_kev": 200.0,
                "resolution_mn_ka_ev": 130.0,
                "live_time_s": 1.0,
                "elevation_deg": 20.0,
            },
        ),
        ("Film", bs.Film, {"mass_thickness": 5e-4, "dose_electrons": None, "elevation_deg": 22.0}),
        ("crop", image.crop, {"energy": (0.3, 5.0), "y": (0, 3), "x": (1, 4)}),
        ("rebin", image.rebin, {"y": 2, "x": 2, "energy": 2}),
        ("with_mask", image.with_mask, {"mask": np.zeros((6, 6), bool)}),
        (
            "load",
            bs.load,
            {
                "path": str(pool.file),
                "elements": elements,
                "signal": None,
                "mask": None,
                "energy_unit": None,
                "resolution_mn_ka_ev": 130.0,
                "reader": None,
                "reader_options": None,
            },
        ),
        ("signals", bs.signals, {"path": str(pool.file), "reader": None}),
        (
            "from_hyperspy",
            bs.from_hyperspy,
            {
                "signal": pool.images[-1],
                "elements": elements,
                "mask": None,
                "energy_unit": None,
                "resolution_mn_ka_ev": None,
            },
        ),
        ("to_hyperspy", bs.to_hyperspy, {"array": fit.spectra["mean"]}),
        ("open", bs.open, {"path": str(pool.saved)}),
        ("save_image", bs.save_image, {"image": image, "path": new, "overwrite": True}),
        ("seg.save", seg.save, {"path": new, "overwrite": True}),
        ("maps.save", maps.save, {"path": new, "overwrite": True}),
        ("element_maps", bs.element_maps, {"image": image, "lines": pair, "elements": None}),
        ("identify_lines", bs.identify_lines, {"image": image}),
        ("divide_gain", bs.divide_gain, {"image": image, "gain": 2.0}),
        (
            "plan_dose",
            bs.plan_dose,
            {
                "ratios": (0.5, 2.0),
                "areas": (0.5, 0.5),
                "shape": (8, 8),
                "blur": 1.0,
                "background": 0.1,
                "doses": [300.0],
                "counts_per_second": 10.0,
                "name": "r",
                "seed": 0,
            },
        ),
        ("plan.counts_for", plan.counts_for, {"error": 0.01}),
        ("plan.pixels_for", plan.pixels_for, {"error": 0.01, "counts_per_pixel": 300.0}),
        ("plan.seconds", replace(plan, counts_per_second=3.0).seconds, {"counts_per_pixel": 300.0}),
        ("seg.ratio", seg.ratio, {"numerator": "Fe_Ka", "denominator": "O_Ka"}),
        (
            "seg.ratio_difference",
            seg.ratio_difference,
            {"numerator": "Fe_Ka", "denominator": "O_Ka", "first": 0, "second": 1},
        ),
        ("seg.compare_phases", seg.compare_phases, {"first": 0, "second": 1, "reference": "O_Ka", "margin": 0.01}),
        ("seg.composition", seg.composition, {"k_factors": factors, "film": None, "seed": 0}),
        ("interval", estimate.interval, {"prob": 0.9}),
        ("summary", estimate.summary, {"prob": 0.9}),
        ("scaled", estimate.scaled, {"factor": 2.0, "name": "x"}),
        ("fit.ratio", fit.ratio, {"numerator": "Fe_Ka", "denominator": "O_Ka"}),
        ("fit.intensities_of", fit.intensities_of, {"lines": pair}),
        ("fit.composition", fit.composition, {"k_factors": factors, "film": None, "seed": 0}),
        ("fit.component", component, {"number": 0}),
        ("fit.spectra_draws", fit.spectra_draws, {"n": 1}),
        ("pca.denoise", pca.denoise, {"y": slice(0, 2), "x": slice(0, 2), "prob": 0.9}),
        ("lines.ratio", lines.ratio, {"numerator": "Fe_Ka", "denominator": "O_Ka"}),
        ("lines.composition", lines.composition, {"k_factors": factors, "lines": None, "film": None, "seed": 0}),
        ("lines.k_ratio", lines.k_ratio, {"line": "Fe_Ka", "standard": lines}),
        ("kmeans", bs.classical.kmeans, {"data": maps, "n": 2, "seed": 0, "of": "ratio", "smooth": 1.0}),
        ("svd", bs.classical.svd, {"image": image, "rank": 2}),
        ("ica", bs.classical.ica, {"image": image, "rank": 2, "seed": 0, "max_iterations": 50}),
        (
            "nmf",
            bs.classical.nmf,
            {"image": image, "rank": 2, "seed": 0, "start": None, "max_iterations": 20, "tolerance": 1e-3},
        ),
        ("compare", bs.compare, {"data": image, "results": [seg, fit], "truth": None, "seed": 0}),
        ("check", bs.check, {"result": seg, "image": None}),
        (
            "report",
            bs.report,
            {
                "results": [seg],
                "path": str(pool.folder / "r.tex"),
                "comparison": None,
                "title": "t",
                "reference": None,
                "overwrite": True,
            },
        ),
        (
            "zeta",
            bs.zeta_factors_composition,
            {"intensities": lines.intensities.draws, "zeta_factors": factors, "dose_electrons": 1e9, "seed": 0},
        ),
        (
            "absorbed",
            bs.absorbed_composition,
            {
                "intensities": lines.intensities.draws,
                "k_factors": factors,
                "mass_thickness": 5e-4,
                "elevation_deg": 22.0,
                "seed": 0,
            },
        ),
        (
            "iron_oxides",
            bs.simulate.iron_oxides,
            {"counts_per_pixel": 50, "shape": (6, 6), "seed": 0, "blur": 1.0, "uneven": 0.2},
        ),
        (
            "compounds",
            bs.simulate.compounds,
            {"counts_per_pixel": 50, "shape": (6, 6), "seed": 0, "blur": 1.0, "uneven": 0.2},
        ),
        ("particles", bs.simulate.particles, {"counts_per_pixel": 50, "shape": (6, 6), "seed": 0, "uneven": 0.2}),
        (
            "beatles",
            bs.simulate.beatles,
            {"counts_per_mixture": 50, "shape": (6, 6), "seed": 0, "size": 16, "noise": "poisson"},
        ),
        ("eels_edges", bs.simulate.eels_edges, {"counts_per_pixel": 50, "size": 16, "seed": 0, "noise": "poisson"}),
        ("accuracy", bs.labels.accuracy, {"found": seg.labels, "reference": seg.labels}),
        (
            "match_components",
            bs.labels.match_components,
            {"found": fit.spectra["mean"].values, "reference": fit.spectra["mean"].values},
        ),
        ("plot.element_maps", bs.plot.element_maps, {"data": maps}),
        ("plot.phase_map", bs.plot.phase_map, {"result": seg, "numerator": "Fe_Ka", "denominator": "O_Ka"}),
        (
            "plot.ratios",
            bs.plot.ratios,
            {"results": [seg], "numerator": "Fe_Ka", "denominator": "O_Ka", "truth": None, "prob": 0.9},
        ),
        ("plot.sum_spectrum", bs.plot.sum_spectrum, {"data": image, "lines": pair, "energy": (0.3, 5.0)}),
        ("plot.component_spectra", bs.plot.component_spectra, {"result": fit, "lines": pair, "energy": (0.3, 5.0)}),
        ("plot.abundance_maps", bs.plot.abundance_maps, {"result": fit}),
        ("plot.count_scatter", bs.plot.count_scatter, {"result": seg, "numerator": "Fe_Ka", "denominator": "O_Ka"}),
        ("plot.selection", bs.plot.selection, {"result": seg}),
    ]
    slow: list[tuple[str, Callable[..., Any], dict[str, Any]]] = [
        (
            "segment",
            bs.segment,
            {
                "data": maps,
                "phases": 2,
                "lines": None,
                "elements": None,
                "method": "windows",
                "seed": 0,
                "draws": 10,
                "strict": False,
            },
        ),
        (
            "unmix",
            bs.unmix,
            {
                "image": image,
                "rank": 2,
                "elements": None,
                "model": "nmf",
                "background": None,
                "spectra": None,
                "prior_from": None,
                "neighbours": False,
                "seed": 0,
                "draws": 6,
                "warmup": 3,
                "prob": 0.9,
                "strict": False,
            },
        ),
        ("unmix elements", bs.unmix, {"image": image, "rank": 2, "elements": elements, "seed": 0, "prob": 0.9}),
        (
            "pca",
            bs.pca,
            {
                "image": image,
                "rank": 2,
                "link": "linear",
                "neighbours": False,
                "seed": 0,
                "draws": 10,
                "prob": 0.9,
                "strict": False,
            },
        ),
        (
            "fit",
            bs.fit,
            {
                "model": poisson_nmf,
                "counts": counts.reshape(36, -1),
                "rank": 2,
                "seed": 0,
                "draws": 5,
                "max_steps": 500,
                "strict": False,
            },
        ),
        (
            "fit_lines",
            bs.fit_lines,
            {
                "image": image,
                "elements": elements,
                "lines": (),
                "calibrate": False,
                "escape": False,
                "seed": 0,
                "draws": 10,
            },
        ),
        (
            "fit_edges",
            bs.fit_edges,
            {"image": pool.losses, "elements": ["C", "O"], "edges": (), "seed": 0, "draws": 10},
        ),
        ("calibrate_energy", bs.calibrate_energy, {"image": image, "elements": elements, "lines": ()}),
        ("model_maps", bs.model_maps, {"image": image, "elements": elements, "lines": (), "calibrate": False}),
        ("spectral_maps", bs.spectral_maps, {"image": image, "elements": elements, "lines": (), "calibrate": False}),
        ("select_rank", bs.select_rank, {"image": image, "ranks": range(1, 3), "seed": 0}),
        ("poisson_check", bs.poisson_check, {"image": image, "seed": 0}),
        ("seg.plan", seg.plan, {"numerator": "Fe_Ka", "denominator": "O_Ka", "doses": [300.0], "seed": 0}),
    ]
    quick += quantities(pool) + results(pool) + pictures(pool)
    return [(*one, 1.0) for one in quick] + [(*one, 0.7) for one in slow] + [(*one, 0.5) for one in repeated(pool)]


def repeated(pool: Pool) -> list[tuple[str, Callable[..., Any], dict[str, Any]]]:
    """Calibration of workflows, and the estimators."""
    import bayesspec as bs
    from bayesspec import sklearn

    counts = np.array(pool.image.counts).reshape(36, -1)

    def calibrated(**given: Any) -> Any:
        return bs.calibrate(bs.segment, **given)

    def transformed(kind: type, X: Any, other: Any, number: Any, **given: Any) -> Any:  # noqa: N803
        estimator = kind(number, **given).fit(X)
        return estimator.inverse_transform(estimator.transform(other))

    estimators = (sklearn.PoissonNMF, sklearn.PoissonPCA, sklearn.CompositionMixture)
    of_rows = {"X": counts, "other": counts[:5], "number": 2, "draws": 6, "random_state": 0}
    given = {"like": pool.maps, "phases": 1, "draws": 10, "replicates": 2, "truth": "auto", "prob": 0.9}
    folders = {"folder": None, "processes": 1, "seed": 0}
    return [
        ("calibrate", calibrated, given | folders),
        *((kind.__name__, partial(transformed, kind), of_rows) for kind in estimators),
    ]


def results(pool: Pool) -> list[tuple[str, Callable[..., Any], dict[str, Any]]]:
    """What every result answers, and a result of a user's own kind."""
    import bayesspec as bs

    seg, fit, lines = pool.seg, pool.fit, pool.lines
    values = {"rate": ("entry", np.arange(3.0)), "rate_draws": (("draw", "entry"), np.ones((4, 3)))}
    asked = [
        (f"{kind}.{name}", getattr(result, name), arguments)
        for kind, result in (("seg", seg), ("fit", fit), ("lines", lines))
        for name, arguments in (
            ("table", {"reference": "O_Ka"}),
            ("facts", {"reference": "O_Ka"}),
            ("to_arviz", {"groups": ["posterior"]}),
            ("is_of", {"data": pool.image}),
            ("own_image", {"image": pool.image}),
            ("expected_counts", {"rows": slice(0, 3)}),
            ("save", {"path": str(pool.folder / "new.nc"), "overwrite": True}),
        )
    ]
    return [
        *asked,
        ("seg.intensities_of", seg.intensities_of, {"lines": ["Fe_Ka", "O_Ka"]}),
        ("seg.agreement", seg.agreement, {"other": seg}),
        ("seg.matched", seg.matched, {"truth": seg}),
        ("seg.interior", partial(bs.segment, draws=10), {"data": pool.maps, "phases": 2, "interior": True}),
        (
            "Result.from_values",
            bs.Result.from_values,
            {"values": values, "name": "a", "method": "own", "verdict": "v", "settings": {"seed": 0}},
        ),
        (
            "camera_noise",
            bs.camera_noise,
            {"values": pool.losses.counts * 2.5 - 3.0, "gain": None, "offset": None, "read_noise": None},
        ),
    ]


def pictures(pool: Pool) -> list[tuple[str, Callable[..., Any], dict[str, Any]]]:
    """Figures, and simulated pieces."""
    import bayesspec as bs

    calibrated = bs.calibrate(bs.segment, like=pool.maps, phases=1, draws=10, replicates=2, processes=1)
    return [
        ("plot.calibration", bs.plot.calibration, {"found": calibrated}),
        ("plot.checks", bs.plot.checks, {"found": bs.check(pool.seg)}),
        ("plot.comparison", bs.plot.comparison, {"scores": bs.compare(pool.image, [pool.seg, pool.fit])}),
        ("plot.dose_plan", bs.plot.dose_plan, {"plan": pool.plan}),
        ("plot.principal_components", bs.plot.principal_components, {"result": pool.pca}),
        ("plot.scree", bs.plot.scree, {"evidence": bs.select_rank(pool.image, range(1, 3), seed=0)}),
        ("plot.thickness", bs.plot.thickness, {"result": bs.thickness_map(pool.low_loss)}),
        ("iron_oxide_lines", bs.simulate.iron_oxide_lines, {"counts_per_pixel": 50, "shape": (6, 6), "seed": 0}),
        ("pictures", bs.simulate.pictures, {"size": 16}),
        (
            "line_profile",
            bs.simulate.line_profile,
            {"line": "Fe_Ka", "energy_kev": np.array(pool.image.energy), "resolution_mn_ka_ev": 130.0},
        ),
        (
            "bremsstrahlung",
            bs.simulate.bremsstrahlung,
            {"energy_kev": np.array(pool.image.energy), "beam_energy_kev": 200.0},
        ),
        ("beatles_gaussian", bs.simulate.beatles_gaussian, {"snr": 10.0, "mixtures": 9, "seed": 0, "size": 16}),
    ]


def quantities(pool: Pool) -> list[tuple[str, Callable[..., Any], dict[str, Any]]]:
    """Functions and methods from ratios to compositions, and results made from a user's own draws."""
    import bayesspec as bs

    seg, fit, lines, edges, k, glass = pool.seg, pool.fit, pool.lines, pool.edges, pool.k_ratios, pool.glass
    pair, factors = ["Fe_Ka", "O_Ka"], {"Fe_Ka": 1.4, "O_Ka": (2.0, 0.1)}
    ratio = seg.ratio("Fe_Ka", "O_Ka")
    spectra = np.repeat(fit.spectra["mean"].values[None], 4, axis=0)
    shares = np.full((6, 6, 2), 0.5)
    named = {"numerator": "Fe_Ka", "denominator": "O_Ka"}
    return [
        (
            "k_ratios",
            bs.k_ratios,
            {
                "image": glass,
                "standards": {"Fe2O3": glass},
                "elements": ["Fe", "O"],
                "lines": (),
                "standard_of": None,
                "coating": "C",
                "seed": 0,
                "draws": 10,
            },
        ),
        ("Standard", bs.Standard, {"image": glass, "composition": "Fe2O3"}),
        (
            "quantify",
            bs.quantify,
            {
                "k": k,
                "lines": None,
                "oxygen": "measured",
                "oxides": None,
                "elevation_deg": 40.0,
                "normalise": False,
                "seed": 0,
            },
        ),
        ("k.ratio", k.ratio, {"line": "Fe_Ka"}),
        ("Detector", bs.Detector, {"window": "polymer", "dead_layer_nm": 50.0, "thickness_mm": 0.45}),
        (
            "k_factors",
            bs.k_factors,
            {"lines": pair, "beam_energy_kev": 200.0, "detector": None, "reference": None, "seed": 0},
        ),
        (
            "k_factors_from",
            bs.k_factors_from,
            {"fit": lines, "composition": "Fe2O3", "lines": None, "reference": None, "film": None, "seed": 0},
        ),
        (
            "compare_samples",
            bs.compare_samples,
            {"first": lines, "second": pool.lines, **named, "margin": 0.0},
        ),
        (
            "composition_maps",
            bs.composition_maps,
            {"maps": pool.model_maps, "k_factors": factors, "film": None, "prob": 0.9, "draws": 20, "seed": 0},
        ),
        ("lines.budget", lines.budget, {"k_factors": factors, "film": None, "seed": 0}),
        ("edges.ratio", edges.ratio, {"numerator": "C_K", "denominator": "O_K"}),
        ("edges.areal_density", edges.areal_density, {"cross_section_sd": None, "seed": 0}),
        (
            "edges.atomic_ratio",
            edges.atomic_ratio,
            {"numerator": "C_K", "denominator": "O_K", "cross_section_sd": 0.1, "seed": 0},
        ),
        ("ratio_map", bs.ratio_map, {"data": pool.maps, **named, "draws": 20, "seed": 0, "strict": False}),
        (
            "profile",
            bs.profile,
            {"data": pool.maps, **named, "path": [(2, 0), (2, 5)], "across": 3.0, "draws": 20, "seed": 0},
        ),
        ("plot.ratio_map", bs.plot.ratio_map, {"result": pool.ratios}),
        ("align_zero_loss", bs.align_zero_loss, {"low_loss": pool.low_loss, "core_loss": None}),
        ("thickness_map", bs.thickness_map, {"low_loss": pool.low_loss}),
        ("estimate.sel", lambda phase: ratio.sel(phase=phase), {"phase": 0}),
        ("estimate - ", lambda other: ratio - other, {"other": ratio}),
        ("estimate / ", lambda other: ratio / other, {"other": 2.0}),
        (
            "Unmixing.from_draws",
            bs.Unmixing.from_draws,
            {
                "image": pool.image,
                "spectra_draws": spectra,
                "abundances": np.repeat(shares[None], 4, axis=0),
                "method": "own",
                "prob": 0.9,
            },
        ),
        (
            "Segmentation.from_draws",
            bs.Segmentation.from_draws,
            {
                "maps": pool.maps,
                "composition_draws": seg.data["composition_draws"].values,
                "probabilities": shares,
                "fraction_draws": np.full((20, 2), 0.5),
                "method": "own",
                "seed": 0,
            },
        ),
    ]


IMAGES = ("image", "data", "signal", "array", "counts")


def fuzzed(rng: np.random.Generator, given: dict[str, Any], pool: Pool, values: list[Any]) -> dict[str, Any]:
    """Arguments of which one or two are others."""
    changed = dict(given)
    for name in rng.choice(list(given), size=min(len(given), int(rng.integers(1, 3))), replace=False):
        images = name in IMAGES and rng.random() < 0.8 or rng.random() < 0.05
        choice = pool.images if images else values
        changed[str(name)] = choice[int(rng.integers(len(choice)))]
    return changed


def arrays_of(arguments: dict[str, Any]) -> list[np.ndarray]:
    """Arrays among the arguments, those of images and labelled arrays included."""
    found = []
    for value in arguments.values():
        for part in (
            value,
            getattr(value, "counts", None),
            getattr(value, "energy", None),
            getattr(value, "data", None),
        ):
            inner = getattr(part, "values", part) if isinstance(part, xr.DataArray) else part
            found += [inner] if isinstance(inner, np.ndarray) and inner.dtype != object else []
    return found


def told(arguments: dict[str, Any], given: dict[str, Any]) -> str:
    changed = {name: value for name, value in arguments.items() if value is not given[name]}
    return ", ".join(f"{name}={repr(value)[:90]}" for name, value in changed.items())


def ended(error: Exception) -> tuple[str, str]:
    """Whether scikit-learn refused the arguments of its own accord, and the last line of the package."""
    place = traceback.extract_tb(error.__traceback__)
    own = [f for f in place if "bayesspec" in f.filename and "benchmarks" not in f.filename]
    where = f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else "?"
    refused = place[-1].filename.endswith(("sklearn/utils/validation.py", "sklearn/base.py"))
    return ("refused by scikit-learn" if refused else "OTHER EXCEPTION"), where


def run(calls: int, seed: int, only: list[str] | None = None, *, verbose: bool = False) -> tuple[Counter, list[str]]:
    """Make the calls; outcomes, and a line about each that did not end well."""
    import matplotlib as mpl

    import bayesspec as bs

    mpl.use("Agg")
    warnings.simplefilter("ignore")
    rng, counted, bad = np.random.default_rng(seed), Counter(), []
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        pool, values = Pool(Path(folder)), scalars()
        able = [one for one in targets(pool) if not only or one[0] in only]
        weights = np.array([one[3] for one in able])
        for number in range(calls):
            name, function, given, _ = able[int(rng.choice(len(able), p=weights / weights.sum()))]
            arguments = fuzzed(rng, given, pool, values)
            before = [array.copy() for array in arrays_of(arguments)]
            start = time.perf_counter()
            try:
                with clock(SLOW_S):
                    function(**arguments)
                outcome = "returned"
            except (bs.InputError, bs.MissingExtraError, bs.FitError) as error:
                outcome = type(error).__name__
            except Hangs:
                outcome = "HANGS"
            except Exception as error:
                outcome, where = ended(error)
                if outcome == "OTHER EXCEPTION":
                    what = f"{type(error).__name__}: {str(error)[:120]}"
                    bad.append(f"{number} {name}({told(arguments, given)}): {what} at {where}")
            took = time.perf_counter() - start
            if outcome == "HANGS":
                bad.append(f"{number} {name}({told(arguments, given)}): hangs")
            same = all(
                np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
                for a, b in zip(before, arrays_of(arguments), strict=True)
            )
            if not same:
                counted["MUTATED ARGUMENTS"] += 1
                bad.append(f"{number} {name}({told(arguments, given)}): an argument was changed")
            counted[outcome] += 1
            if verbose and (took > 10 or outcome in ("HANGS", "OTHER EXCEPTION")):
                shown = bad[-1] if outcome in ("HANGS", "OTHER EXCEPTION") else name + told(arguments, given)
                print(f"{took:6.1f} s {outcome} {shown}", flush=True)
    return counted, bad
