"""Seeds are checked at one door; a process forked from one that computed is told so, and does not wait for ever."""

import subprocess
import sys

import jax
import numpy as np
import pytest

from bayesspec.errors import InputError
from bayesspec.inference.random_keys import random_key

FORKED = """
import os, sys, time, warnings
warnings.simplefilter("ignore")
import numpy as np
import bayesspec as bs

image = bs.simulate.iron_oxides(300, (12, 12), seed=0).rebin(energy=8)
maps = bs.element_maps(image, ["Fe_Ka", "O_Ka"])
first = bs.model_maps(image, ["Fe", "O"])  # JAX has its threads from here on
calls = {
    "segment": lambda: bs.segment(maps, 2, draws=10),
    "unmix": lambda: bs.unmix(image, 2, draws=10, warmup=5),
    "unmix elements": lambda: bs.unmix(image, 2, elements=["Fe", "O"]),
    "pca": lambda: bs.pca(image, 2),
    "pca log": lambda: bs.pca(image, 2, link="log"),
    "select_rank": lambda: bs.select_rank(image, range(1, 3)),
    "poisson_check": lambda: bs.poisson_check(image),
    "model_maps": lambda: bs.model_maps(image, ["Fe", "O"]),
    "spectral_maps": lambda: bs.spectral_maps(image, ["Fe", "O"]),
    "fit_lines": lambda: bs.fit_lines(image, ["Fe", "O"]),
    "calibrate": lambda: bs.calibrate_energy(image, ["Fe", "O"]),
    "identify": lambda: bs.identify_lines(image),
    "plan": lambda: bs.plan_dose((0.5, 2.0), shape=(12, 12), doses=[100]),
    "maps": lambda: bs.element_maps(image, ["Fe_Ka", "Fe_La", "O_Ka"]),
    "kmeans": lambda: bs.classical.kmeans(maps, 2),
    "compare": lambda: bs.compare(image, {"nmf": lambda i: bs.classical.nmf(i, 2)}),
}
for name, call in calls.items():
    child = os.fork()
    if child == 0:
        try:
            call()
            os._exit(0)
        except bs.InputError as error:
            os._exit(1 if "forked" in error.found else 2)
        except BaseException:
            os._exit(3)
    end = time.monotonic() + 60
    ended = 0
    while not ended and time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        time.sleep(0.01)
    if not ended:
        os.kill(child, 9)
        os.waitpid(child, 0)
    print(name, os.waitstatus_to_exitcode(status) if ended else "hangs", sep=": ")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="processes are not forked there")
def test_a_forked_process_computes_without_jax_or_says_that_it_cannot() -> None:
    ended = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    found = dict(line.split(": ") for line in ended.stdout.splitlines())
    assert set(found.values()) <= {"0", "1"}, found
    refused = {name for name, code in found.items() if code == "1"}
    assert {"segment", "unmix", "pca", "select_rank", "poisson_check", "model_maps"} <= refused


@pytest.mark.parametrize("seed", [-1, 2**32, 0.0, 1.5, "0", None, True, [1], np.float64(2)])
def test_seeds_that_are_none_are_refused(seed: object) -> None:
    with pytest.raises(InputError, match="seed="):
        random_key(seed)


def test_equal_seeds_make_equal_keys() -> None:
    one, other, largest = (random_key(seed) for seed in (3, np.uint8(3), 2**32 - 1))
    assert (jax.random.key_data(one) == jax.random.key_data(other)).all()
    assert (jax.random.key_data(largest) != jax.random.key_data(random_key(0))).any()
