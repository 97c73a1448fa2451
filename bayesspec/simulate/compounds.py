"""Five compounds of C, O, Mg, Cr, Mn and Fe: beside each other in a flat sample, or one above the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from bayesspec.files.public_arguments import checked_arguments
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.simulate.counting import check_sample, count, uneven_thickness
from bayesspec.simulate.detector import ACQUISITION, ENERGY_KEV, FE_L_PER_KA, emission
from bayesspec.spectroscopy.xray_lines import xray_line

Array = npt.NDArray[np.float64]
COMPOUNDS: dict[str, dict[str, int]] = {
    "magnesite": {"Mg": 1, "C": 1, "O": 3},
    "magnetite": {"Fe": 3, "O": 4},
    "chromite": {"Fe": 1, "Cr": 2, "O": 4},
    "manganosite": {"Mn": 1, "O": 1},
    "cementite": {"Fe": 3, "C": 1},
}
COMPOUND_LINES = ("C_Ka", "O_Ka", "Mg_Ka", "Cr_Ka", "Mn_Kb", "Fe_Ka")
_KA_PER_ATOM = {"C": 0.30, "O": 1.0, "Mg": 1.10, "Cr": 1.06, "Mn": 1.05, "Fe": 1.044}
_AREAS = (0.36, 0.22, 0.16, 0.14, 0.12)
"""Shares of the five compounds in the area."""
_BACKGROUND_SHARE = 0.10
"""Share of the counts that is bremsstrahlung."""
_LAMELLA_NM = 60.0
"""Mean thickness of the lamella, in nm."""
_RADII_NM = (10.0, 29.0)
"""Smallest and largest radius of the spheres, in nm."""
_COVERED = 0.55
"""Share of the pixels that spheres cover, at least."""


@checked_arguments()
def compounds(
    counts_per_pixel: float = 200,
    shape: tuple[int, int] = (128, 128),
    *,
    seed: int,
    blur: float = 6.0,
    uneven: float = 0.0,
) -> SpectrumImage:
    """Simulate a flat sample of magnesite, magnetite, chromite, manganosite and cementite grains.

    It stands for an even lamella in which every pixel holds one phase, and for the overlap of Mn Kb (6.49 keV)
    with Fe Ka (6.40 keV): window sums see manganese where there is only iron. Lines: C Ka 0.28, O Ka 0.52,
    Mg Ka 1.25, Cr Ka 5.41, Fe Ka 6.40, Mn Kb 6.49 keV, with all else that the same vacancies emit (Mn Ka
    among it), L lines of Cr, Mn and Fe, and a tenth of bremsstrahlung; channels of 10 eV.

    Parameters
    ----------
    counts_per_pixel : float
        Mean number of counts of a pixel's spectrum.
    shape : tuple of int
        Number of pixels (y, x).
    seed : int
        Seed of sample and noise.
    blur : float
        Size of the grains: standard deviation, in pixels, of the blur that makes them.
    uneven : float
        Largest relative deviation of the thickness from its mean; 0 for a flat sample.

    Returns
    -------
    SpectrumImage
        Counts; ``truth`` holds ``labels`` (y, x), ``thickness`` (y, x), ``spectra`` (phase, energy) summing to
        1, ``intensities`` (phase, line) of ``lines`` in the same unit for all phases, ``ratio`` (phase,) of the
        lines ``ratio_lines`` (NaN where one of them is absent), and ``phases``.

    Raises
    ------
    InputError
        When the dose is not positive or the shape is smaller than 2 x 2.

    Notes
    -----
    Intensities are atoms times a sensitivity per atom, close to 1 but for carbon (0.3): they stand for a
    windowless detector and give magnetite the Fe/O ratio of `iron_oxides`. Absorption is left out.
    """
    check_sample("compounds", counts_per_pixel, shape)
    rng = np.random.default_rng(seed)
    labels = _grains(rng, shape, blur)
    thickness = uneven_thickness(rng, shape, uneven) if uneven else np.ones(shape)
    truth = _truth() | {"labels": labels, "thickness": thickness}
    dose = counts_per_pixel * thickness[..., None] * np.eye(len(COMPOUNDS))[labels]
    counts = count(rng, dose, truth["spectra"])
    return _image(counts, f"compounds, {counts_per_pixel:g} counts/pixel", truth)


@checked_arguments()
def particles(
    counts_per_pixel: float = 200,
    shape: tuple[int, int] = (128, 128),
    *,
    seed: int,
    uneven: float = 0.3,
) -> SpectrumImage:
    """Simulate particles of four compounds inside a lamella of magnesite, projected along the beam.

    It stands for a three-dimensional sample: spheres of magnetite, chromite, manganosite and cementite with
    radii of 10 to 29 nm in a lamella about 60 nm thick, pixels of 2 nm. The beam sees the sphere and the matrix
    above and below it, and often two spheres, so most pixels with a particle are mixtures; only the largest
    particles reach through the lamella.

    Parameters
    ----------
    counts_per_pixel : float
        Mean number of counts of a pixel's spectrum.
    shape : tuple of int
        Number of pixels (y, x).
    seed : int
        Seed of sample and noise.
    uneven : float
        Largest relative deviation of the lamella's thickness from its mean.

    Returns
    -------
    SpectrumImage
        Counts; ``truth`` holds ``abundances`` (y, x, component) in expected counts, ``spectra`` (component,
        energy) summing to 1, ``intensities`` (component, line) of ``lines``, ``thickness`` (y, x) in nm,
        ``ratio`` (component,) of ``ratio_lines``, and ``components``. There are no labels.

    Raises
    ------
    InputError
        When the dose is not positive or the shape is smaller than 2 x 2.

    Notes
    -----
    Every compound gives the same counts per nanometre, and absorption is left out.
    """
    check_sample("particles", counts_per_pixel, shape)
    rng = np.random.default_rng(seed)
    lamella = _LAMELLA_NM * uneven_thickness(rng, shape, uneven)
    depth = _spheres(rng, shape)
    inside = depth.sum(axis=2)
    depth *= np.minimum(1, lamella / np.maximum(inside, 1e-12))[..., None]
    paths = np.concatenate([(lamella - depth.sum(axis=2)).clip(0)[..., None], depth], axis=2)
    truth = _truth()
    truth["components"] = truth.pop("phases")
    truth |= {"thickness": lamella, "abundances": counts_per_pixel * paths / lamella.mean()}
    counts = count(rng, truth["abundances"], truth["spectra"])
    return _image(counts, f"particles, {counts_per_pixel:g} counts/pixel", truth, 2.0)


def _image(counts: npt.NDArray[Any], name: str, truth: dict[str, Any], pixel_nm: float = 1.0) -> SpectrumImage:
    return SpectrumImage(
        counts,
        energy=ENERGY_KEV,
        pixel_size=(pixel_nm, pixel_nm),
        pixel_unit="nm",
        elements=("C", "O", "Mg", "Cr", "Mn", "Fe"),
        acquisition=ACQUISITION,
        name=name,
        truth=truth,
    )


def _grains(rng: np.random.Generator, shape: tuple[int, int], blur: float) -> npt.NDArray[np.int64]:
    """Each compound in turn takes the pixels, among those left, where its own smooth field is highest."""
    labels = np.zeros(shape, np.int64)
    free = np.ones(shape, bool)
    left = 1.0
    for phase in range(len(_AREAS) - 1, 0, -1):
        field = gaussian_filter(rng.normal(size=shape), blur, mode="wrap")
        taken = free & (field > np.quantile(field[free], 1 - _AREAS[phase] / left))
        labels[taken] = phase
        free &= ~taken
        left -= _AREAS[phase]
    return labels


def _spheres(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Length of the beam's path inside the spheres of each compound but the first, in nm."""
    y, x = np.indices(shape) * 2.0
    depth = np.zeros((*shape, len(COMPOUNDS) - 1))
    n = 0
    while (depth.sum(axis=2) > 0).mean() < _COVERED or n < depth.shape[2]:
        cy, cx = rng.uniform(0, 2 * np.array(shape))
        radius = rng.uniform(*_RADII_NM)
        depth[..., n % depth.shape[2]] += 2 * np.sqrt(np.clip(radius**2 - (y - cy) ** 2 - (x - cx) ** 2, 0, None))
        n += 1
    return depth


def _line_intensities(formula: dict[str, int]) -> dict[str, float]:
    lines = {f"{element}_Ka": atoms * _KA_PER_ATOM[element] for element, atoms in formula.items()}
    soft = {f"{e}_La": FE_L_PER_KA * lines[f"{e}_Ka"] for e in ("Cr", "Mn", "Fe") if e in formula}
    return lines | soft


def _truth() -> dict[str, Any]:
    emitted = [_line_intensities(formula) for formula in COMPOUNDS.values()]
    spectra = np.stack([emission(lines, _BACKGROUND_SHARE) for lines in emitted])
    table = np.array([[_intensity(lines, name) for name in COMPOUND_LINES] for lines in emitted])
    iron, oxygen = table[:, COMPOUND_LINES.index("Fe_Ka")], table[:, COMPOUND_LINES.index("O_Ka")]
    defined = (iron > 0) & (oxygen > 0)
    ratio = np.where(defined, iron / np.where(defined, oxygen, 1), np.nan)
    return {
        "spectra": spectra,
        "lines": COMPOUND_LINES,
        "intensities": table,
        "ratio": ratio,
        "ratio_lines": ("Fe_Ka", "O_Ka"),
        "phases": tuple(COMPOUNDS),
    }


def _intensity(lines: dict[str, float], name: str) -> float:
    if name != "Mn_Kb":
        return lines.get(name, 0.0)
    kb_per_ka = sum(weight for family, _, weight in xray_line("Mn_Ka").satellites if family == "Kb")
    return kb_per_ka * lines.get("Mn_Ka", 0.0)
