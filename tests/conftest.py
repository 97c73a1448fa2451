"""Fixtures shared by all tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import jax
import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from jaxtyping import install_import_hook

SHAPES_CHECKED = ["blocks", "deviance", "linear_poisson", "newton_proposal", "noise", "pca", "ratio_field"]
SHAPES_CHECKED += ["mixture.em", "mixture.log_joint", "nmf.em", "nmf.newton", "nmf.sweep"]
install_import_hook([f"bayesspec.inference.{name}" for name in SHAPES_CHECKED], "beartype.beartype")

from bayesspec import Segmentation, Unmixing, classical, element_maps, simulate  # noqa: E402

mpl.use("Agg")
jax.config.update("jax_debug_key_reuse", True)  # NumPyro uses keys again: it is given untyped ones, not followed
MAPS = Path("/proc/self/maps")
MOST_MAPS = 20_000
DATA = Path(os.environ.get("BAYESSPEC_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(scope="module", autouse=True)
def few_programs() -> Iterator[None]:
    """Compiled programs are let go in time: Linux ends a process that holds 65,530 memory maps."""
    yield
    if MAPS.exists() and len(MAPS.read_text().splitlines()) > MOST_MAPS:
        jax.clear_caches()


@pytest.fixture
def strict() -> Iterator[None]:
    """Strict rank and dtype promotion."""
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        yield


@pytest.fixture(scope="session")
def data() -> Path:
    """Folder of the measured spectrum images; skips where it is absent."""
    if not DATA.is_dir():
        pytest.skip(f"no measured data at {DATA}: set BAYESSPEC_DATA to the folder that holds them")
    return DATA


@pytest.fixture(scope="session")
def image():
    return simulate.iron_oxides(2000, (20, 26), seed=0)


@pytest.fixture(scope="session")
def maps(image):
    return element_maps(image, ["Fe_Ka", "O_Ka"])


@pytest.fixture(scope="session")
def clusters(maps) -> Segmentation:
    return classical.kmeans(maps, 2)


@pytest.fixture(scope="session")
def seg(clusters) -> Segmentation:
    """Two phases with draws and a choice among three numbers."""
    noise = xr.DataArray(
        1 + 0.002 * np.random.default_rng(0).standard_normal((200, 2, 2)), dims=("draw", "phase", "line")
    )
    data = clusters.data.drop_vars(["intensity_draws", "fraction_draws"])
    data["intensity_draws"] = noise * clusters.intensities.draws.isel(draw=0, drop=True)
    data["fraction_draws"] = noise.isel(line=0) * clusters.data["fraction_draws"].isel(draw=0, drop=True)
    data = data.assign(
        selection_score=("candidate", [-900.0, 0.0, -3.0]),
        selection_error=("candidate", [40.0, 0.0, 2.0]),
        selection_bic=("candidate", [1500.0, 0.0, 12.0]),
        selection_verdict=(
            "candidate",
            ["predicts held-out counts worse", "chosen", "predicts held-out counts as well"],
        ),
    )
    data = data.assign_coords(candidate=[1, 2, 3])
    return Segmentation(data.assign_attrs(method="composition mixture", verdict="2 phases"))


@pytest.fixture(scope="session")
def factors(image) -> Unmixing:
    return classical.nmf(image, 2, max_iterations=60, tolerance=1e-2)


@pytest.fixture(scope="session")
def fit(factors) -> Unmixing:
    """Two components with draws and bands."""
    rng = np.random.default_rng(0)
    data = factors.data.drop_vars(["spectra_draws", "total_draws"])
    for name in ("spectra", "abundances"):
        mean = data[f"{name}_mean"]
        data[f"{name}_sd"] = 0.05 * mean
        data[f"{name}_lower"], data[f"{name}_upper"] = 0.9 * mean, 1.1 * mean
    shape = (30, *data["spectra_mean"].shape)
    noise = 1 + 0.05 * rng.standard_normal(shape).astype(np.float32)
    data["spectra_draws"] = (("draw", "component", "energy"), data["spectra_mean"].values * noise)
    totals = factors.data["total_draws"].values * (1 + 0.01 * rng.standard_normal((30, 2)))
    data["total_draws"] = (("draw", "component"), totals)
    return Unmixing(data.assign_attrs(method="Poisson NMF", verdict="2 components"))
