"""What holds for every compiled program: whoever uses JAX imports this file, and with it before the first of them."""

from __future__ import annotations

from bayesspec.image.forked_process import watch_use
from bayesspec.inference.abandoned_compilation import watch
from bayesspec.inference.compilation_cache import keep_programs

LARGEST_PADDED = 2**17
"""Length up to which arrays are padded: above it the run takes longer than the compiler."""

keep_programs()
watch()
watch_use()


def padded_size(length: int, shortest: int = 8) -> int:
    """Next length of a short list, eight for each doubling: another one in between needs no other program.

    Parameters
    ----------
    length : int
        Length of an array.
    shortest : int
        Distance of the shortest lengths.

    Returns
    -------
    int
        The length to pad to, at most an eighth longer; `length` itself where that is long.
    """
    if length > LARGEST_PADDED:
        return length
    step = max(shortest, 2 ** ((length - 1).bit_length() - 4))
    return -(-length // step) * step
