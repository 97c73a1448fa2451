"""What a camera made of electrons: how well gain, offset and read noise are found, and what is refused.

``python benchmarks/camera.py`` prints 20 cells of dose and camera: a falling background with two edges, 32 x 32 pixels
of 512 channels, uneven thickness and composition. ``--edges N`` refits the ratio of two edges of N such images from the
values of the camera, and prints how often 90 % intervals hold it. ``--errors N`` repeats every cell N times and prints
how often what was found lies within two of its standard deviations of the truth, and how large these are.
"""

import argparse
import warnings

import numpy as np

import bayesspec as bs

ENERGY = 350.0 + np.arange(512)
DOSES = (5, 30, 200, 2000)
"""Electrons of the first channel, in the mean."""
CAMERAS = ((1.37, -4.2, 3.0), (4.0, 12.0, 6.0), (0.6, -1.0, 1.5), (10.0, -50.0, 8.0), (2.0, 0.0, 0.5))
"""Gain, offset and read noise."""


def smooth(rng, shape, width):
    """Random field of mean 0 and sd 1."""
    ky, kx = np.fft.fftfreq(shape[0])[:, None], np.fft.fftfreq(shape[1])[None]
    transfer = np.exp(-2 * (np.pi * width) ** 2 * (ky**2 + kx**2))
    field = np.fft.ifft2(np.fft.fft2(rng.normal(size=shape)) * transfer).real
    return (field - field.mean()) / field.std()


def electrons(rng, dose, shape=(32, 32)):
    """Expected electrons (y, x, energy)."""

    def edge(onset, height):
        above = np.maximum(ENERGY - onset, 0.0)
        return height * (ENERGY / onset) ** -2.5 * (1 - np.exp(-above / 3))

    share = np.clip(0.5 + 0.2 * smooth(rng, shape, 4), 0, 1)[..., None]
    thickness = np.exp(0.2 * smooth(rng, shape, 5))[..., None]
    return dose * thickness * ((ENERGY / 350) ** -3.5 + share * edge(456, 0.3) + (1 - share) * edge(532, 0.25))


def camera(rng, expected, gain, offset, read_noise):
    """What is saved."""
    noise = read_noise * rng.normal(size=expected.shape)
    return (gain * rng.poisson(expected) + offset + noise).astype(np.float32)


def table(seed):
    """Print the cells."""
    print("electrons  camera (gain, offset, read noise)  found")
    for dose in DOSES:
        for truth in CAMERAS:
            rng = np.random.default_rng([seed, dose, int(100 * truth[0])])
            found = bs.camera_noise(camera(rng, electrons(rng, dose), *truth))
            off = [abs(v - t) for (v, _), t in zip((found.gain, found.offset, found.read_noise), truth, strict=True)]
            ok = (off[0] < 0.1 * truth[0], off[1] < 1.0, off[2] < 0.2 * truth[2])
            words = "  ".join(
                f"{name} {'within' if one else 'outside'}"
                for name, one in zip(("10 %", "1 count", "20 %"), ok, strict=True)
            )
            print(f"{dose:>9}  {truth!s:<34} {found!s:<66} {words}")


def errors(replicates, seed):
    """Print how often two standard deviations hold the truth."""
    for dose in DOSES:
        off, sizes = [], []
        for i in range(replicates):
            for truth in CAMERAS:
                rng = np.random.default_rng([seed, dose, int(100 * truth[0]), i])
                found = bs.camera_noise(camera(rng, electrons(rng, dose), *truth))
                pairs = (found.gain, found.offset, found.read_noise)
                off.append([abs(v - t) / sd for (v, sd), t in zip(pairs, truth, strict=True)])
                sizes.append([sd for _, sd in pairs])
        held, middle = np.mean(np.array(off) < 2, axis=0), np.median(sizes, axis=0)
        words = [
            f"{n} {h:.2f} (sd {s:.2g})" for n, h, s in zip(("gain", "offset", "read noise"), held, middle, strict=True)
        ]
        print(f"{dose:>5} electrons, {len(off)} images, within two standard deviations: {', '.join(words)}", flush=True)


def processed(seed):
    """Print what becomes of data that are no more what a camera saved."""
    rng = np.random.default_rng(seed)
    expected = electrons(rng, 200)
    values = camera(rng, expected, *CAMERAS[0])
    background = 1.37 * 200 * (expected[..., :1] / 200) * (ENERGY / 350) ** -3.5
    smoothed = (values + np.roll(values, 1, -1) + np.roll(values, -1, -1)) / 3
    for name, wrong in (
        ("normalised to the sum", values / values.sum(axis=2, keepdims=True)),
        ("normalised to the maximum", values / values.max(axis=2, keepdims=True)),
        ("background subtracted", values - background),
        ("smoothed over three channels", smoothed),
    ):
        try:
            print(f"{name}: taken for a camera, {bs.camera_noise(wrong)}")
        except bs.InputError as error:
            print(f"{name}: refused, {error.found}")


def edges(replicates, seed):
    """Print how often 90 % intervals of an edge ratio hold what the electrons without a camera give, in the mean."""
    fits = []
    for i in range(replicates):
        rng = np.random.default_rng([seed, i])
        expected = electrons(np.random.default_rng(seed), 100, (16, 16))
        counted = rng.poisson(expected)
        saved = (1.37 * counted - 4.2 + 3.0 * rng.normal(size=expected.shape)).astype(np.float32)
        noise = bs.camera_noise(saved)
        for direct in (True, False):
            read = None if direct else noise.read_noise[0]
            acquisition = bs.Acquisition(technique="EELS", camera_read_noise=read)
            counts = counted if direct else noise.events(saved)
            image = bs.SpectrumImage(counts, energy=ENERGY, energy_unit="eV", acquisition=acquisition)
            fit = bs.fit_edges(image, edges=["Ti_L23", "O_K"], seed=i).ratio("Ti_L23", "O_K")
            fits.append((direct, float(fit.mean), *(float(end) for end in fit.interval(0.9))))
    ratios = [mean for direct, mean, _, _ in fits if direct]
    truth = float(np.mean(ratios))
    for direct in (True, False):
        ends = [(low, high) for d, _, low, high in fits if d is direct]
        means = [mean for d, mean, _, _ in fits if d is direct]
        held = np.mean([low <= truth <= high for low, high in ends])
        widths = np.mean([high - low for low, high in ends])
        name = "electrons counted" if direct else "saved by the camera"
        print(f"{name}: mean {np.mean(means):.4f}, 90 % intervals hold {held:.2f} of {replicates}, width {widths:.4f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edges", type=int, default=0)
    parser.add_argument("--errors", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    if asked.edges:
        edges(asked.edges, asked.seed)
    elif asked.errors:
        errors(asked.errors, asked.seed)
    else:
        table(asked.seed)
        processed(asked.seed)
