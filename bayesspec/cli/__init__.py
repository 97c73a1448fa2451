"""The command line."""

import os

# Threads of the linear algebra wait for each other over small matrices, most of all on a machine that others use.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")

from bayesspec.cli.commands import main  # noqa: E402

__all__ = ["main"]
