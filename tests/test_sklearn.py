"""Estimators keep scikit-learn's rules as far as counts allow, and find what the workflows find."""

import pickle
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_estimator

import bayesspec as bs
from bayesspec.labels import accuracy, match_components, spectral_angle
from bayesspec.sklearn import CompositionMixture, PoissonNMF, PoissonPCA

FRACTIONS = (
    "check_dict_unchanged",
    "check_dont_overwrite_parameters",
    "check_dtype_object",
    "check_estimators_dtypes",
    "check_estimators_fit_returns_self",
    "check_estimators_nan_inf",
    "check_estimators_overwrite_params",
    "check_estimators_pickle",
    "check_f_contiguous_array_estimator",
    "check_fit2d_predict1d",
    "check_fit_check_is_fitted",
    "check_fit_idempotent",
    "check_fit_score_takes_y",
    "check_methods_sample_order_invariance",
    "check_methods_subset_invariance",
    "check_n_features_in",
    "check_n_features_in_after_fitting",
    "check_pipeline_consistency",
    "check_readonly_memmap_input",
    "check_transformer_data_not_an_array",
    "check_transformer_general",
    "check_transformer_preserve_dtypes",
    "check_clustering",
)
"""Checks that fit values such as 0.53 or -1.2: no counts, which are refused."""
ESTIMATORS = [PoissonNMF(draws=20), PoissonPCA(draws=20), CompositionMixture(draws=20)]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_checks_of_scikit_learn_pass_but_those_that_fit_no_counts(estimator: Any) -> None:
    refused = dict.fromkeys(FRACTIONS, "fractional or negative values are no counts")
    results = check_estimator(estimator, expected_failed_checks=refused, on_skip=None, on_fail=None)
    assert not [found for found in results if found["status"] == "failed"]
    for found in results:
        if found["status"] == "xfail":
            assert "fractional values" in str(found["exception"]) or "Negative values" in str(found["exception"])
    assert sum(found["status"] == "passed" for found in results) >= 22


RNG = np.random.default_rng(0)
SPECTRA = RNG.dirichlet(np.full(12, 0.5), 2)
ABUNDANCES = RNG.gamma(1.0, 400.0, (90, 2))
MIXED = RNG.poisson(ABUNDANCES @ SPECTRA)
PHASES = np.repeat([0, 1], [60, 30])
PURE = RNG.poisson(300 * SPECTRA[PHASES])


def rounded(x: Any) -> Any:
    return np.rint(x)


def test_factorisation_finds_spectra_and_abundances_and_goes_into_a_pipeline() -> None:
    pipe = make_pipeline(FunctionTransformer(rounded), clone(ESTIMATORS[0]))
    found = pipe.fit_transform(MIXED)
    nmf = pipe[-1]
    order = np.argsort(match_components(nmf.components_, SPECTRA))
    assert (spectral_angle(nmf.components_[order], SPECTRA) < 12).all()
    assert np.corrcoef(found[:, order].T, ABUNDANCES.T)[[0, 1], [2, 3]].min() > 0.95
    np.testing.assert_allclose(nmf.inverse_transform(found).sum(), MIXED.sum(), rtol=0.02)
    np.testing.assert_allclose(nmf.transform(MIXED[:5]), found[:5], rtol=0.02, atol=0.5)
    assert isinstance(nmf.result_, bs.Unmixing)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(nmf)).components_, nmf.components_)
    with pytest.raises(ValueError, match="features"):
        nmf.transform(MIXED[:, :5])


def test_components_span_what_the_counts_hold() -> None:
    estimator = clone(ESTIMATORS[1]).fit(MIXED)
    scores = estimator.transform(MIXED)
    assert scores.shape == (90, 2)
    rates = ABUNDANCES @ SPECTRA
    noise, left = np.square(MIXED - rates).mean(), np.square(estimator.inverse_transform(scores) - rates).mean()
    assert left < 0.4 * noise
    assert isinstance(estimator.result_, bs.PrincipalComponents)


def test_phases_are_clusters_of_rows() -> None:
    estimator = clone(ESTIMATORS[2])
    labels = estimator.fit_predict(PURE)
    assert accuracy(labels[None], PHASES[None]) == 1.0
    np.testing.assert_allclose(estimator.components_[labels[[0, -1]]], SPECTRA, atol=0.01)
    np.testing.assert_allclose(estimator.predict_proba(PURE).sum(axis=1), 1.0)
    np.testing.assert_allclose(estimator.transform(PURE).sum(axis=1), PURE.sum(axis=1))
    assert isinstance(estimator.result_, bs.Segmentation)


@pytest.mark.filterwarnings("ignore")
def test_hyperspy_decomposes_with_it() -> None:
    hs = pytest.importorskip("hyperspy.api")
    signal = hs.signals.Signal1D(MIXED.reshape(9, 10, 12).astype(float))
    signal.decomposition(algorithm=clone(ESTIMATORS[0]), output_dimension=2, print_info=False)
    factors, loadings = signal.get_decomposition_factors().data, signal.get_decomposition_loadings().data
    assert factors.shape == (2, 12)
    assert loadings.shape == (2, 9, 10)
    model = np.einsum("kyx,ke->yxe", loadings, factors)
    np.testing.assert_allclose(model.sum(), MIXED.sum(), rtol=0.02)


def test_rows_without_counts_are_of_the_phases_as_often_as_there_are() -> None:
    rng = np.random.default_rng(4)
    phases = rng.dirichlet(np.ones(6), 2)
    counts = rng.poisson(400 * phases[np.repeat([0, 1], [90, 30])])
    found = CompositionMixture(2, draws=20).fit(counts)
    np.testing.assert_allclose(found.predict_proba(np.zeros((1, 6), int))[0], found.weights_, rtol=1e-6)
    assert found.weights_.max() == pytest.approx(0.75, abs=0.02)
