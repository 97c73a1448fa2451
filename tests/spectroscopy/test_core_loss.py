"""Atoms per area from spectra with plural scattering: the truth at many electrons, and intervals that cover."""

import numpy as np
import pytest
from scipy.signal import fftconvolve

import bayesspec as bs
from bayesspec.spectroscopy.core_edges import chosen_edges, edge_name
from bayesspec.spectroscopy.core_loss import fit_core_loss
from bayesspec.spectroscopy.hydrogenic import differential_cross_section

STEP = 1.0
ENERGY = np.arange(220.0, 560.0, STEP)
LOW = np.arange(-10.0, 120.0, STEP)
ONSETS = {"C_K": 284.2, "N_K": 401.0}
TRUE = {"C_K": 4000.0, "N_K": 2000.0}
ACQUISITION = bs.Acquisition("EELS", 200.0, convergence_mrad=10.0, collection_mrad=20.0)


def low_loss(electrons: float, thickness: float = 0.5) -> np.ndarray:
    """Zero loss and plasmons, scattered once and twice."""
    zero = np.exp(-0.5 * LOW**2)
    once = np.exp(-0.5 * ((LOW - 22) / 4) ** 2)
    twice = np.exp(-0.5 * ((LOW - 44) / 5.6) ** 2)
    weights = np.exp(-thickness) * np.array([1, thickness, thickness**2 / 2])
    return electrons * sum(w * part / part.sum() for w, part in zip(weights, (zero, once, twice), strict=True))


def recorded(electrons: float, seed: int) -> tuple[bs.SpectrumImage, bs.SpectrumImage]:
    rng, low = np.random.default_rng(seed), low_loss(electrons)
    wide = ENERGY[0] - LOW[-1] + STEP * np.arange(len(ENERGY) + len(LOW) - 1)
    expected = 4e-5 * electrons * (ENERGY / ENERGY[0]) ** -3.0
    for name, density in TRUE.items():
        section = differential_cross_section(
            *name.split("_"),
            wide,
            beam_energy_kev=200.0,
            collection_mrad=20.0,
            convergence_mrad=10.0,
            onset_ev=ONSETS[name],
        )
        expected = expected + density * STEP * fftconvolve(section, low, mode="valid")
    core, zero = (
        bs.SpectrumImage(rng.poisson(np.maximum(c, 0)), energy=axis, energy_unit="eV", acquisition=ACQUISITION)
        for c, axis in ((expected, ENERGY), (low, LOW))
    )
    return core, zero


def test_densities_come_back_with_plural_scattering() -> None:
    core, low = recorded(1e9, 0)
    found = fit_core_loss(core, chosen_edges(core, ["C", "N"]), low)
    np.testing.assert_allclose(found.density, list(TRUE.values()), rtol=0.02)
    assert found.converged
    sd = np.sqrt(np.diag(found.covariance))
    assert (np.abs(found.density - list(TRUE.values())) < 4 * sd).all()
    assert (sd >= np.sqrt(np.diag(found.shot_noise))).all()
    assert np.abs(np.array(found.onsets) - list(ONSETS.values())).max() < 5


def test_without_the_low_loss_the_ratio_is_off_and_the_fit_shows_it() -> None:
    core, low = recorded(1e9, 1)
    onsets = chosen_edges(core, ["C", "N"])
    folded, single = (fit_core_loss(core, onsets, spectrum) for spectrum in (low, None))
    off = [abs(fit.density[0] / fit.density[1] / 2.0 - 1.0) for fit in (folded, single)]
    assert off[0] < 0.02 < 0.05 < off[1]
    misfit = [float(np.mean((fit.counts - fit.rate) ** 2 / fit.rate)) for fit in (folded, single)]
    assert misfit[0] < 1.5 < 1.5 * misfit[0] < misfit[1]


def test_intervals_cover() -> None:
    inside = []
    for seed in range(20):
        core, low = recorded(1e7, 100 + seed)
        found = fit_core_loss(core, chosen_edges(core, ["C", "N"]), low)
        c, n = found.density
        slope = np.array([1 / n, -c / n**2])
        z = (c / n - 2.0) / np.sqrt(slope @ found.covariance @ slope)
        inside.append(abs(z) < 1.645)
    assert sum(inside) >= 14, "binomial of 20 at .9: 14 or more in 99.8 %"


def test_edges_as_everyone_writes_them() -> None:
    for name, expected in {
        "Ti_L23": "Ti_L",
        "Ti_L2,3": "Ti_L",
        "Ti_L3": "Ti_L",
        "O_K": "O_K",
        "La_M45": "La_M",
        "La_M5": "La_M",
        "Ti_L1": "Ti_L1",
    }.items():
        assert edge_name(name) == expected
    core, low = recorded(1e8, 2)
    fit = bs.fit_edges(core, edges=["C_K1", "N_K"], low_loss=low, draws=3)
    assert fit.edges == ("C_K", "N_K")
    with pytest.raises(bs.InputError, match="'Ti_L1'"):
        bs.fit_edges(core, edges=["Ti_L1"], draws=3)


def test_the_public_face(tmp_path) -> None:
    core, low = recorded(1e8, 3)
    fit = bs.fit_edges(core, ["C", "N"], low_loss=low, draws=3)
    statistical, whole = (fit.atomic_ratio("C_K", "N_K", cross_section_sd=sd) for sd in (0.0, None))
    assert float(statistical.mean) == pytest.approx(2.0, rel=0.05)
    assert float(whole.sd) == pytest.approx(np.hypot(float(statistical.sd), 2.0 * np.hypot(0.1, 0.1)), rel=0.15)
    assert fit.cross_section_sd == {"C_K": 0.10, "N_K": 0.10}
    atoms = fit.composition(cross_section_sd=0.0)["atomic_percent"]
    assert float(atoms.mean.sel(element="C")) == pytest.approx(200 / 3, abs=1.5)
    budget = fit.budget()
    np.testing.assert_allclose(sum(budget[name] for name in budget.data_vars if name != "sd"), 1.0)
    np.testing.assert_allclose(budget["sd"], fit.composition()["atomic_percent"].sd, rtol=0.15)
    assert float(budget["cross_sections"].min()) > 0.5 > float(fit.budget(cross_section_sd=0.0)["cross_sections"].max())
    density = fit.areal_density(cross_section_sd=0.0)
    assert float(density.mean.sel(edge="C_K")) == pytest.approx(4000, rel=0.06)
    again = bs.open(fit.save(tmp_path / "edges.nc"))
    assert float(again.atomic_ratio("C_K", "N_K", cross_section_sd=0.0).mean) == float(statistical.mean)


def test_what_is_missing_is_named() -> None:
    core, low = recorded(1e7, 4)
    blind = bs.SpectrumImage(core.counts, energy=ENERGY, energy_unit="eV", acquisition=bs.Acquisition("EELS"))
    fit = bs.fit_edges(blind, ["C", "N"], draws=3)
    with pytest.raises(bs.InputError, match="no beam energy and no collection angle"):
        fit.atomic_ratio("C_K", "N_K")
    with pytest.raises(bs.InputError, match="no beam energy and no collection angle"):
        bs.fit_edges(blind, ["C", "N"], low_loss=low, draws=3)
    thin = bs.fit_edges(core, ["C", "N"], draws=3)
    assert np.isfinite(float(thin.atomic_ratio("C_K", "N_K").mean))
    with pytest.raises(bs.InputError, match="without a low loss"):
        thin.areal_density()
    with pytest.raises(bs.InputError, match="holds the zero loss"):
        bs.fit_edges(core, ["C", "N"], low_loss=core, draws=3)
    with pytest.raises(bs.InputError, match="edges have cross sections"):
        thin.composition({"C_K": 1.0, "N_K": 1.0})
