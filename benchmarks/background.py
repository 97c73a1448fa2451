"""Coverage of line ratios on a continuum that is itself an estimate; all samples are simulated.

`pooled` (the default) counts summed spectra: iron and oxygen alone, nine lines of a silicate, and six lines among the
L lines of Cr, Mn and Fe, on five continua (that of a light-element detector, with a step of 15 % at the K edge of Si,
bent, strongly absorbed, with a thin window), at several totals and widths of the line windows. It prints the coverage
of the nominal 90 % interval of each ratio with the counts' own uncertainty alone, and with that of the curve.
`phases` takes two oxides (Fe/O 0.783 and 0.698) on the first continuum through `bayesspec.workflows.segment`.

    python benchmarks/background.py --replicates 200
    python benchmarks/background.py phases --replicates 100 --dose 200 2000 --widths 1 2 3
"""

import argparse

import numpy as np
from scipy.ndimage import gaussian_filter

import bayesspec as bs
from bayesspec.image.spectrum_image import Acquisition
from bayesspec.simulate import bremsstrahlung, line_profile
from bayesspec.spectroscopy.windows import line_windows

ENERGY = 0.1 + 0.01 * np.arange(1000)
ACQUISITION = Acquisition("EDS", beam_energy_kev=200.0, resolution_mn_ka_ev=130.0)
SIZE = 128
RATIOS = np.array([0.783, 0.698])
SAMPLES = {
    "oxide": ({"O_Ka": 1.0, "Fe_Ka": 0.783}, 0.2),
    "silicate": (dict(zip(
        ["Si_Ka", "O_Ka", "Na_Ka", "Mg_Ka", "Al_Ka", "K_Ka", "Ca_Ka", "Ti_Ka", "Fe_Ka"],
        [8.0, 10.0, 1.0, 2.0, 3.0, 1.0, 2.0, 0.3, 3.0], strict=True)), 0.75),
    "spinel": ({"Fe_Ka": 3.0, "C_Ka": 1.0, "O_Ka": 4.0, "Mg_Ka": 1.0, "Cr_Ka": 2.0, "Mn_Ka": 1.0}, 0.75),
}  # fmt: skip
CONTINUA = {
    "window": lambda e: bremsstrahlung(e, 200.0),
    "step": lambda e: bremsstrahlung(e, 200.0) * (1 - 0.15 / (1 + np.exp(-(e - 1.84) / 0.02))),
    "bent": lambda e: bremsstrahlung(e, 200.0) * np.exp(-0.02 * (e - 3) ** 2),
    "absorbed": lambda e: bremsstrahlung(e, 15.0) * np.exp(-0.5 * (0.6 / e) ** 3),
    "thin": lambda e: (15 - e).clip(0) / e * np.exp(-((0.2 / e) ** 3)),
}


def spectrum(lines: dict[str, float], soft_iron: float, continuum: str, share: float) -> np.ndarray:
    """Shares of the counts per channel, `share` of them continuum."""
    emitted = sum(value * line_profile(line, ENERGY) for line, value in lines.items())
    emitted = emitted + soft_iron * line_profile("Fe_La", ENERGY)
    background = CONTINUA[continuum](ENERGY)
    return np.asarray((1 - share) * emitted / emitted.sum() + share * background / background.sum())


def pooled(chosen: argparse.Namespace) -> None:
    for sample, (lines, soft) in SAMPLES.items():
        for continuum in CONTINUA:
            expected = spectrum(lines, soft, continuum, chosen.share)
            for total in SIZE**2 * np.array(chosen.dose):
                for width in chosen.widths:
                    rows = [judged(lines, expected * total, width, k) for k in range(chosen.replicates)]
                    bare, known = np.nanmean(rows, axis=0)
                    told = "  ".join(f"{line[:2].strip('_')} {a:.2f} {b:.2f}" for line, a, b in
                                     zip(list(lines)[1:], bare, known, strict=True))  # fmt: skip
                    print(f"{sample:8s} {continuum:8s} {total:.1e} counts, width {width:g}: mean {known.mean():.3f}; "
                          f"without and with: {told}", flush=True)  # fmt: skip


def judged(lines: dict[str, float], expected: np.ndarray, width: float, seed: int) -> np.ndarray:
    """Whether the 90 % interval of each ratio to the first line holds the truth: (without or with the curve, line)."""
    counts = np.random.default_rng(seed).poisson(expected)
    elements = tuple(line.split("_")[0] for line in lines)
    image = bs.SpectrumImage(counts[None, None], energy=ENERGY, acquisition=ACQUISITION, elements=elements)
    windows = line_windows(image, list(lines), width=width)
    sums = np.asarray(windows.sums(counts))
    net, true = windows.response @ sums, np.array(list(lines.values()))
    slope, change = windows.response / net[:, None], windows.errors @ sums / net
    slope, change = slope[1:] - slope[0], change[:, 1:] - change[:, :1]
    error = np.abs(np.log(np.maximum(net[1:] / net[0], 1e-12)) - np.log(true[1:] / true[0]))
    counted, curve = (slope**2 * sums).sum(axis=1), (change**2).sum(axis=0)
    return np.array([error < 1.645 * np.sqrt(counted), error < 1.645 * np.sqrt(counted + curve)])


def phases(chosen: argparse.Namespace) -> None:
    of_ratio = ({"O_Ka": 1.0, "Fe_Ka": ratio} for ratio in RATIOS)
    shares = np.stack([spectrum(lines, 0.25 * lines["Fe_Ka"], "window", chosen.share) for lines in of_ratio])
    for dose in chosen.dose:
        for width in chosen.widths:
            inside, counted = [], []
            for k in range(chosen.replicates):
                rng = np.random.default_rng([6, k, int(dose)])
                field = gaussian_filter(rng.normal(size=(SIZE, SIZE)), 6.0, mode="wrap")
                labels = (field > np.quantile(field, 0.6)).astype(int)
                counts = rng.poisson(dose * shares[labels])
                image = bs.SpectrumImage(counts, energy=ENERGY, acquisition=ACQUISITION, elements=("Fe", "O"))
                seg = bs.segment(line_maps(image, ["Fe_Ka", "O_Ka"], width), phases=range(1, 4), seed=k)
                counted.append(seg.n_phases)
                if seg.n_phases == 2 and seg.data.attrs["resolved"]:
                    low, high = (end.values for end in seg.ratio("Fe_Ka", "O_Ka").interval(0.9))
                    inside.append((low <= RATIOS) & (high >= RATIOS))
            cover = np.mean(inside, axis=0).round(2) if inside else "none resolved"
            print(f"{dose:.0f} counts, width {width:g}: cover {cover}, {len(inside)} of {chosen.replicates} resolved",
                  flush=True)  # fmt: skip


def line_maps(image: bs.SpectrumImage, lines: list[str], width: float) -> bs.LineMaps:
    """As `bayesspec.spectroscopy.line_maps` with windows of another width."""
    windows = line_windows(image, lines, width=width)
    counts = windows.sums(image.counts)
    return bs.LineMaps(
        counts[:, :, : len(lines)],
        lines=tuple(lines),
        side_counts=counts[:, :, len(lines) :],
        sides=windows.names[len(lines) :],
        response=windows.response,
        response_errors=windows.errors,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", nargs="?", default="pooled", choices=["pooled", "phases"])
    parser.add_argument("--replicates", type=int, default=100)
    parser.add_argument("--dose", type=float, nargs="+", default=[200.0, 2000.0], help="counts per pixel of 128 x 128")
    parser.add_argument("--widths", type=float, nargs="+", default=[2.0], help="of line windows, in FWHM")
    parser.add_argument("--share", type=float, default=0.23, help="share of the continuum in all counts")
    chosen = parser.parse_args()
    pooled(chosen) if chosen.case == "pooled" else phases(chosen)


if __name__ == "__main__":
    main()
