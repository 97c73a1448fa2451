import dataclasses
import pickle

import numpy as np
import pytest
import scipy.sparse as sp

from bayesspec.errors import InputError
from bayesspec.image.sparse_counts import SparseCounts, sparse_counts, sparse_in_parts
from bayesspec.image.spectrum_image import Acquisition, SpectrumImage
from bayesspec.workflows.element_maps import element_maps

ENERGY = 0.02 * np.arange(600)


def counts(rate=0.004, shape=(9, 7, 600)):
    return np.random.default_rng(0).poisson(rate, shape).astype(np.uint8)


def events(dense):
    """The same, as sparse keeps it."""
    sparse = pytest.importorskip("sparse")
    return sparse.COO.from_numpy(dense)


def pair(**fields):
    dense = counts()
    made = [SpectrumImage(one, energy=ENERGY, elements=["Fe", "O"], **fields) for one in (dense, events(dense))]
    assert "counts" not in vars(made[1])
    return made


def same(dense, thin):
    assert isinstance(thin.stored, SparseCounts)
    assert "counts" not in vars(thin)
    assert thin.shape == dense.shape
    assert thin.checksum == dense.checksum
    np.testing.assert_array_equal(thin.sum_spectrum(), dense.sum_spectrum())
    np.testing.assert_array_equal(thin.intensity(), dense.intensity())
    np.testing.assert_array_equal(thin.energy, dense.energy)
    assert thin.stored.dtype == dense.counts.dtype
    assert thin.counts_per_pixel == dense.counts_per_pixel


def test_says_the_same_as_the_array():
    mask = np.zeros((9, 7), bool)
    mask[2, 3:] = True
    dense, thin = pair(mask=mask, energy_mask=np.arange(600) < 20)
    same(dense, thin)
    for part in ({"energy": (1.0, 8.0)}, {"y": (1, 6), "x": (2, 7)}, {"y": (0, 1)}):
        same(dense.crop(**part), thin.crop(**part))
    for steps in ({"y": 2, "x": 3}, {"energy": 7}, {"y": 9, "energy": 600}):
        whole, summed = dense.rebin(**steps), thin.rebin(**steps)
        np.testing.assert_array_equal(summed.counts, whole.counts)
        assert summed.counts.dtype == whole.counts.dtype
    same(dense.with_mask(ENERGY > 5), thin.with_mask(ENERGY > 5))


def test_counts_are_made_when_asked_for_and_nobody_can_change_them():
    dense, thin = pair()
    np.testing.assert_array_equal(thin.counts, dense.counts)
    assert thin.counts is thin.counts
    assert not thin.counts.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        thin.stored.matrix.data[0] = 9
    with pytest.raises(AttributeError, match="no attribute 'count'"):
        _ = thin.count


def test_lines_are_counted_alike():
    dense, thin = pair(acquisition=Acquisition(resolution_mn_ka_ev=130.0))
    found, expected = (element_maps(one, ["Fe_Ka", "O_Ka"], calibrate=False) for one in (thin, dense))
    np.testing.assert_array_equal(found.window_counts(), expected.window_counts())
    assert found.image_checksum == expected.image_checksum
    assert "counts" not in vars(thin)


def test_copies_and_other_processes():
    dense, thin = pair()
    again = pickle.loads(pickle.dumps(thin))
    same(dense, again)
    assert not again.stored.matrix.data.flags.writeable
    renamed = dataclasses.replace(thin, name="other")
    np.testing.assert_array_equal(renamed.counts, dense.counts)
    same(dense, pair()[1].changed(name="other"))


@pytest.mark.parametrize("kind", [sp.csr_matrix, sp.coo_array, sp.csc_array])
def test_line_scans_of_scipy(kind):
    scan = counts(shape=(40, 600))
    image = SpectrumImage(kind(scan), energy=ENERGY)
    assert isinstance(image.stored, SparseCounts)
    assert image.shape == (1, 40, 600)
    np.testing.assert_array_equal(image.counts[0], scan)


def test_entries_that_stand_twice_add_up():
    twice = sp.coo_array(([200, 100, 3], ([0, 0, 30], [5, 5, 8])), shape=(40, 600))
    image = SpectrumImage(twice, energy=ENERGY)
    assert image.stored.dtype == np.uint16
    assert image.sum_spectrum()[5] == 300


def test_many_counts_are_kept_as_an_array():
    assert sparse_counts(events(counts(rate=1.0))) is None
    image = SpectrumImage(events(counts(rate=1.0)), energy=ENERGY)
    assert isinstance(image.stored, np.ndarray)
    assert sparse_in_parts(counts(rate=1.0)) is None


def test_parts_add_up_to_the_whole(monkeypatch):
    monkeypatch.setattr("bayesspec.image.sparse_counts.PART_ENTRIES", 2 * 7 * 600)
    dense = counts()
    np.testing.assert_array_equal(sparse_in_parts(dense).todense(), dense)


def test_refuses_what_is_no_count():
    wrong = sp.csr_array(counts(shape=(40, 600)).astype(float) * 0.5)
    with pytest.raises(InputError, match="fractional"):
        SpectrumImage(wrong, energy=ENERGY)
