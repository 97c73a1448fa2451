"""Unmixing, principal components and phases of counts as scikit-learn estimators, for pipelines and for HyperSpy.

They hand the rows of X to ``bs.unmix``, ``bs.pca`` and ``bs.segment``; ``result_`` holds what these return, intervals
and verdict included. X are counts: whole numbers of 0 and more, never scaled, as nothing else has a Poisson error. Each
is an ``algorithm`` of HyperSpy's ``s.decomposition`` as it stands.
"""

from __future__ import annotations

from typing import Any, Self, cast

import numpy as np
import numpy.typing as npt
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClusterMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, check_non_negative, validate_data

from bayesspec.errors import InputError
from bayesspec.image.arguments import LARGEST_SEED, checked_integer
from bayesspec.image.counts import as_counts
from bayesspec.image.spectrum_image import SpectrumImage
from bayesspec.inference.linear_poisson.every_pixel import fit_pixels
from bayesspec.results.segmentation import Segmentation
from bayesspec.results.unmixing import Unmixing
from bayesspec.spectroscopy.line_maps import LineMaps
from bayesspec.workflows.pca import pca
from bayesspec.workflows.segment import segment
from bayesspec.workflows.unmixing.unmix import unmix

Floats = npt.NDArray[np.float64]
LEAST_SHARE = 1e-12
"""Smallest share of a feature in a phase or component: none at all would make a count impossible."""


class _OfCounts(TransformerMixin, BaseEstimator):
    """What the estimators share: X is checked to be counts, and `inverse_transform` gives the rates back.

    An estimator of its own finds its attributes in the counts by ``_find``.
    """

    components_: Floats
    random_state: int

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803
        """Find the components or phases.

        Parameters
        ----------
        X : array, shape (sample, feature)
            Counts.
        y : None
            Not used.

        Returns
        -------
        estimator
            Itself.

        Raises
        ------
        InputError
            When X are no counts, hold fewer than two features, there are fewer rows than components or phases, or
            `random_state` is no whole number.
        """
        checked_integer("random_state", self.random_state, 0, LARGEST_SEED, "random_state=0")
        self._find(self._counts(X, reset=True))
        return self

    def _find(self, counts: npt.NDArray[Any]) -> None:
        raise NotImplementedError

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags

    def _counts(self, X: Any, *, reset: bool) -> npt.NDArray[Any]:  # noqa: N803
        if not reset:
            check_is_fitted(self)
        values = validate_data(self, X, reset=reset, dtype="numeric", ensure_min_samples=2 if reset else 1)
        check_non_negative(values, f"{type(self).__name__} (counts)")
        if reset and values.shape[1] < 2:
            raise InputError(
                "X with n_features = 1", "two features or more: a spectrum is a ratio of counts", "X[:, :2]"
            )
        return as_counts(values)

    def _image(self, counts: npt.NDArray[Any]) -> SpectrumImage:
        """Rows as pixels one below the other."""
        return SpectrumImage(counts[:, None], energy=np.arange(1.0, counts.shape[1] + 1.0), name="X")

    def fit_transform(self, X: Any, y: Any = None) -> Floats:  # noqa: N803
        """Fit, and transform the same rows.

        Parameters
        ----------
        X : array, shape (sample, feature)
            Counts.
        y : None
            Not used.

        Returns
        -------
        array, shape (sample, component), float64
            As of `transform`.
        """
        return self.fit(X).transform(X)

    def inverse_transform(self, X: npt.ArrayLike) -> Floats:  # noqa: N803
        """Rates of transformed rows.

        Parameters
        ----------
        X : array, shape (sample, component), float64
            As of `transform`.

        Returns
        -------
        array, shape (sample, feature), float64
            Expected counts.
        """
        check_is_fitted(self)
        return np.asarray(X, np.float64) @ self.components_


class _Factorisation(_OfCounts):
    """Parameters of those with components."""

    def __init__(self, n_components: int = 2, *, draws: int = 200, random_state: int = 0) -> None:
        self.n_components = n_components
        self.draws = draws
        self.random_state = random_state


class PoissonNMF(_Factorisation):
    """Poisson non-negative matrix factorisation, ``bs.unmix`` of the rows.

    Parameters
    ----------
    n_components : int
        Number of components.
    draws : int
        Number of posterior draws in ``result_``.
    random_state : int
        Seed.

    Attributes
    ----------
    components_ : array, shape (component, feature), float64
        Spectra, each summing to 1.
    result_ : Unmixing
        Everything, with intervals.
    n_features_in_ : int
        Number of features.

    Examples
    --------
    >>> import numpy as np
    >>> from bayesspec.sklearn import PoissonNMF
    >>> rng = np.random.default_rng(0)
    >>> rates = rng.gamma(1.0, 200.0, (60, 2)) @ rng.dirichlet(np.ones(12), 2)
    >>> PoissonNMF(2, draws=20).fit_transform(rng.poisson(rates)).shape
    (60, 2)
    """

    def _find(self, counts: npt.NDArray[Any]) -> None:
        found = unmix(
            self._image(counts), self.n_components, neighbours=False, seed=self.random_state, draws=self.draws
        )
        self.result_ = cast(Unmixing, found)
        self.components_ = self.result_.spectra["mean"].values.astype(np.float64)

    def transform(self, X: Any) -> Floats:  # noqa: N803
        """Most likely abundances of rows, the spectra given.

        Parameters
        ----------
        X : array, shape (sample, feature)
            Counts.

        Returns
        -------
        array, shape (sample, component), float64
            Counts of every component.
        """
        counts = self._counts(X, reset=False)
        return fit_pixels(counts, np.maximum(self.components_, LEAST_SHARE).T)[0].astype(np.float64)


class PoissonPCA(_Factorisation):
    """Poisson principal components, ``bs.pca`` of the rows with the linear link: a rate is scores times components.

    Parameters
    ----------
    n_components : int
        Number of components, the mean among them.
    draws : int
        Number of posterior draws in ``result_``.
    random_state : int
        Seed.

    Attributes
    ----------
    components_ : array, shape (component, feature), float64
        Orthonormal components.
    mean_rate_ : array, shape (feature,), float64
        Mean counts, whose inverse weights the features.
    result_ : PrincipalComponents
        Everything, with intervals; its scores are shrunk by their noise, those of `transform` are not.
    n_features_in_ : int
        Number of features.
    """

    def _find(self, counts: npt.NDArray[Any]) -> None:
        image, seed = self._image(counts), self.random_state
        self.result_ = pca(image, self.n_components, link="linear", neighbours=False, seed=seed, draws=self.draws)
        self.components_ = self.result_.components["mean"].values.astype(np.float64)
        self.mean_rate_ = np.maximum(counts.mean(axis=0), 1.0 / counts.shape[0])

    def transform(self, X: Any) -> Floats:  # noqa: N803
        """Scores of rows by weighted least squares, the variance of a feature that of its mean counts.

        Parameters
        ----------
        X : array, shape (sample, feature)
            Counts.

        Returns
        -------
        array, shape (sample, component), float64
            Scores.
        """
        counts = self._counts(X, reset=False)
        weighted = self.components_ / self.mean_rate_
        return np.linalg.solve(weighted @ self.components_.T, weighted @ counts.T.astype(np.float64)).T


class CompositionMixture(ClusterMixin, _OfCounts):
    """Phases of one composition each, ``bs.segment`` of the rows: clusters in the ratios of counts.

    Parameters
    ----------
    n_clusters : int
        Number of phases.
    draws : int
        Number of posterior draws in ``result_``.
    random_state : int
        Seed.

    Attributes
    ----------
    components_ : array, shape (phase, feature), float64
        Compositions, each summing to 1.
    weights_ : array, shape (phase,), float64
        Share of the rows in each phase.
    labels_ : array, shape (sample,), int64
        Phase of every row.
    result_ : Segmentation
        Everything, with intervals; its pixels are the rows in the order of `rows_`.
    rows_ : array, shape (sample,), int64
        Rows in random order, in which neighbours say nothing about each other.
    n_features_in_ : int
        Number of features.
    """

    def __init__(self, n_clusters: int = 2, *, draws: int = 200, random_state: int = 0) -> None:
        self.n_clusters = n_clusters
        self.draws = draws
        self.random_state = random_state

    def _find(self, counts: npt.NDArray[Any]) -> None:
        self.rows_ = np.random.default_rng(self.random_state).permutation(len(counts))
        names = tuple(f"feature {i}" for i in range(counts.shape[1]))
        maps = LineMaps(counts[self.rows_, None], lines=names, name="X")
        self.result_: Segmentation = segment(maps, self.n_clusters, seed=self.random_state, draws=self.draws)
        held = np.nan_to_num(self.result_.probabilities.values[:, 0].astype(np.float64))
        pooled = np.maximum(held.T @ counts[self.rows_], LEAST_SHARE)
        self.components_ = pooled / pooled.sum(axis=1, keepdims=True)
        self.weights_ = held.mean(axis=0)
        self.labels_ = self._probabilities(counts).argmax(axis=1).astype(np.int64)

    def predict_proba(self, X: Any) -> Floats:  # noqa: N803
        """Probability of each phase in every row.

        Parameters
        ----------
        X : array, shape (sample, feature)
            Counts.

        Returns
        -------
        array, shape (sample, phase), float64
            They sum to 1.
        """
        return self._probabilities(self._counts(X, reset=False))

    def _probabilities(self, counts: npt.NDArray[Any]) -> Floats:
        joint = counts.astype(np.float64) @ np.log(self.components_).T + np.log(np.maximum(self.weights_, LEAST_SHARE))
        return np.asarray(softmax(joint, axis=1))

    def predict(self, X: Any) -> npt.NDArray[np.int64]:  # noqa: N803
        """Most probable phase of every row.

        Parameters
        ----------
        X : array, shape (sample, feature)
            Counts.

        Returns
        -------
        array, shape (sample,), int64
            From 0.
        """
        return self.predict_proba(X).argmax(axis=1).astype(np.int64)

    def transform(self, X: Any) -> Floats:  # noqa: N803
        """Counts of every row, divided among the phases by their probabilities.

        Parameters
        ----------
        X : array, shape (sample, feature)
            Counts.

        Returns
        -------
        array, shape (sample, phase), float64
            Counts of every phase.
        """
        counts = self._counts(X, reset=False)
        return self._probabilities(counts) * counts.sum(axis=1, keepdims=True, dtype=np.float64)
