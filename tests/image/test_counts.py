import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bayesspec.errors import InputError
from bayesspec.image import counts as counts_module
from bayesspec.image.counts import LARGEST, Counts, as_counts, count_dtype


class Sparse:
    def todense(self):
        return np.eye(3)


@pytest.mark.parametrize(
    ("largest", "dtype"),
    [(0, "u1"), (255, "u1"), (256, "u2"), (65535, "u2"), (65536, "u4"), (LARGEST, "u4")],
)
def test_the_dtype_is_the_smallest_that_holds_the_largest(largest, dtype):
    assert count_dtype(largest) == np.dtype(dtype)
    assert as_counts(np.array([0, largest], np.int64)).dtype == np.dtype(dtype)


@given(
    hnp.arrays(
        st.sampled_from(["i2", "i4", "i8", "u4", "u8", "f4", "f8"]),
        hnp.array_shapes(max_dims=3, max_side=5),
        elements=st.integers(0, 2**15 - 1),
    )
)
def test_values_are_kept_and_the_callers_array_is_left_alone(array):
    before = array.copy()
    counts = as_counts(array)
    assert counts.dtype == count_dtype(int(before.max()))
    np.testing.assert_array_equal(counts, before)
    np.testing.assert_array_equal(array, before)
    assert array.dtype == before.dtype
    assert array.flags.writeable


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[0, 3], [-7, 1]], r"1 negative value, the first -7 at index \(1, 0\)"),
        ([[0.0, 3.0], [-7.0, -1.0]], r"2 negative values, the first -7.0 at index \(1, 0\)"),
        ([[0.0, 3.25]], r"1 fractional value, the first 3.25 at index \(0, 1\)"),
        ([[0.0, np.nan]], r"1 not finite value, the first nan at index \(0, 1\)"),
        ([[np.inf, np.nan]], r"2 not finite values, the first inf at index \(0, 0\)"),
        ([-np.inf, 1.0], r"the first -inf at index \(0,\)"),
        ([0, 2**31], r"1 too large value, the first 2147483648 at index \(1,\)"),
        ([0.0, 1e300], r"1 too large value, the first 1e\+300 at index \(1,\)"),
        (np.zeros((0, 5)), r"an empty array of shape \(0, 5\)"),
        (["a"], "values of dtype <U1"),
        ([True, False], "values of dtype bool"),
        ([1j], "values of dtype complex128"),
        ([None], "values of dtype object"),
        (np.ma.masked_equal([1, 2, 2], 2), "a masked array with 2 masked values"),
        (2.5, r"the first 2.5 at index \(\)"),
    ],
)
def test_what_is_no_count_is_refused_with_value_and_place(values, message):
    with pytest.raises(InputError, match=message) as raised:
        as_counts(values)
    assert raised.value.needed
    assert raised.value.do


def test_a_dtype_beyond_the_largest_count_is_refused():
    with pytest.raises(InputError, match=str(LARGEST + 1)):
        count_dtype(LARGEST + 1)


def test_the_place_is_right_beyond_the_first_block(monkeypatch):
    monkeypatch.setattr(counts_module, "_BLOCK_VALUES", 8)
    values = np.zeros((7, 3, 2))
    values[5, 1, 0] = 0.5
    values[6, 2, 1] = 1.5
    with pytest.raises(InputError, match=r"2 fractional values, the first 0.5 at index \(5, 1, 0\)"):
        as_counts(values)


def test_counts_of_the_right_dtype_are_not_copied():
    counts = np.array([1, 2], np.uint8)
    assert as_counts(counts) is counts


def test_a_sparse_array_is_made_dense():
    np.testing.assert_array_equal(as_counts(Sparse()), np.eye(3))


def test_an_unmasked_masked_array_is_taken():
    np.testing.assert_array_equal(as_counts(np.ma.array([1, 2])), [1, 2])


def placed() -> Counts:
    """Counts of 5 of 6 pixels and 3 of 4 channels."""
    valid, channels = np.ones((2, 3), bool), np.array([True, False, True, True])
    valid[0, 1] = False
    return Counts(np.arange(1, 16, dtype=np.uint8).reshape(5, 3), valid, channels)


def test_counts_in_use_are_taken_as_they_are_and_arrays_are_put_in_one_column() -> None:
    counts = placed()
    assert Counts.of(counts) is counts
    one = Counts.of([[1, 0], [0, 300]])
    assert (one.shape, one.valid.shape, one.channels.shape) == ((2, 2), (2, 1), (2,))
    assert one.matrix.dtype == np.uint16
    with pytest.raises(InputError, match="add to 0"):
        Counts.of(counts.other(np.zeros((5, 3), np.uint8)))
    with pytest.raises(InputError, match=r"shape \(3,\)"):
        Counts.of([1, 2, 3])


def test_pixels_and_channels_that_are_left_out_leave_the_others_in_their_places() -> None:
    counts = placed()
    pixels, channels = np.zeros((2, 3), bool), np.zeros(4, bool)
    assert counts.without(pixels, channels) is counts
    pixels[1, 0] = channels[3] = True
    pixels[0, 1] = channels[1] = True  # not in use anyway
    part = counts.without(pixels, channels)
    np.testing.assert_array_equal(part.matrix, [[1, 2], [4, 5], [10, 11], [13, 14]])
    np.testing.assert_array_equal(part.valid, [[True, False, True], [False, True, True]])
    np.testing.assert_array_equal(part.channels, [True, False, True, False])


@pytest.mark.parametrize(("pixels", "channels"), [(1, 3), (397, 100), (399, 100), (3000, 200), (70, 2**19)])
def test_blocks_are_cut_once_and_hold_as_many_pixels_as_is_said(pixels: int, channels: int) -> None:
    counts = Counts.in_one_column(np.ones((pixels, channels), np.uint8))
    blocks = counts.blocks
    assert counts.blocks is blocks
    assert blocks.counts.shape[0] * blocks.counts.shape[1] == counts.filled
    assert counts.filled % 8 == 0
    np.testing.assert_array_equal(blocks.join(blocks.counts), counts.matrix)
