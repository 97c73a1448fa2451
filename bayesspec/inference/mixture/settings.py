"""How many phases there are, which of them are resolved, and where pixels hold two: the numbers that decide it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Numbers that decide a statement, each with the command that shows how often it is right."""

    resolved_bic: float = 20.0
    """Gain in BIC over one phase below which intervals measured pixel by pixel do not hold, so that no phases are
    claimed: coverage beside the share claimed, ``python benchmarks/segmentation.py --dose 200 600``."""
    clear_bic: float = 300.0
    """The same for intervals measured with neighbours: ``python benchmarks/segmentation.py --dose 200 600``."""
    resolved_distance: float = 5.0
    """Standard deviations between two phases below which an interval can be far off, so that no ratios are given:
    ``python benchmarks/segmentation.py --dose 200 600``."""
    second_round: float = 0.99
    """Quantile of the chi-square distribution that a second round of labels must exceed: labels and claims with it,
    ``python benchmarks/segmentation.py --grains 2.5 6``."""
    most_mixed: float = 0.2
    """Share of pixels between the phases above which no ratios are given, as they are not those of the phases: ``python
    benchmarks/segmentation.py --case mixed``."""
    two_phases_certain: float = 0.99
    """Probability of pixels of two phases below which they are dropped where pixels deviate from them all the same:
    ``python benchmarks/segmentation.py --grains 2.5``, whose pixels hold one phase each."""
    scatter_score: float = 3.0
    """Standard deviations of the excess scatter below which the same number of phases is not tried with scatter:
    ``python benchmarks/segmentation.py --case scatter``."""
    scatter_bic: float = 6.0
    """Gain in BIC from which on scatter is taken, the number of phases unchanged. How often scatter is found and the
    number of phases right: ``python benchmarks/segmentation.py --case scatter``."""
    fewer_phases_bic: float = 20.0
    """Gain in BIC by which one phase with scatter must be better than several without; several may be worse by as much,
    if they are better once the neighbours label the pixels: ``python benchmarks/segmentation.py --case scatter``."""
    largest_scatter: float = 0.3
    """Scatter, log ratio, above which mixed pixels explain the counts where these are found too; above twice that it is
    not tried: ``python benchmarks/segmentation.py --case mixed``."""
    one_family: float = 0.5
    """Distance of two phases below which scatter may have made them of one, twice the standard deviation of the change
    of their log shares: ``python benchmarks/segmentation.py --case scatter``."""
    uneven_map: float = 2.2
    """Standard deviations by which the largest score of a map must exceed zero for it to be uneven: false alarms in
    maps of one phase, ``python benchmarks/segmentation.py --case one``."""
    overlap: float = 0.02
    """Mean probability of other phases in the pixels of a phase from which on it is not looked at, as labels are in
    doubt: ``python benchmarks/segmentation.py --case one``."""
    hidden_score: float = 4.0
    """Standard deviations by which the residuals of neighbours must be alike for a phase to look like two: alarms and
    what is noticed, ``python benchmarks/segmentation.py --case one``."""
    uneven_score: float = 3.0
    """The same for a phase whose pixels the neighbours have labelled, at fewer widths:
    ``python benchmarks/decisions.py uneven``."""
    least_mixed: float = 0.02
    """Share of the pixels that must lie between the phases for them to be said to overlap. How often projected and pure
    samples pass: ``python benchmarks/segmentation.py --case mixed``."""
    mixed_replicates: int = 19
    """Images drawn from the fit, all of which the gain must exceed, so that one in twenty samples of pure pixels would
    pass: ``python benchmarks/segmentation.py --case mixed``."""
    mixed_certain: float = 10.0
    """Gain (twice the log likelihood, nats) for each added composition from which on no images are drawn, as none would
    reach it: ``python benchmarks/segmentation.py --case mixed``."""
    between: float = 0.25
    """Distance from the line between two phases, in units of their distance, within which a phase lies between them:
    ``python benchmarks/realistic.py --case lines``."""
    foretold: float = 0.45
    """Probability by the pixels around below which a phase can be a boundary: a stripe one pixel wide is foretold by a
    third of its neighbours, a grain by most. ``python benchmarks/realistic.py --case lines``."""
    coherent: float = 0.3
    """Part of what is not known of a pixel's phase without its neighbours that these must tell, 0 for none and 1 for
    all: below it there are hardly any boundaries (``python benchmarks/segmentation.py --grains iid``)."""
    labels_in_doubt: float = 0.03
    """Posterior variance of a pixel's shares above which wrong labels, which are alike in neighbouring pixels, pass for
    deviations: ratios and areas with the share claimed, ``python benchmarks/realistic.py --case oxides``."""
    most_boundary: float = 0.75
    """Share of pixels of two phases above which there is too little of the phases alone. The share in grains of
    8 pixels seen through a probe of one pixel, and coverage: ``python benchmarks/realistic.py --grains 8 --blur 1``."""
    two_phases_before: float = 0.9
    """Probability of pixels of two phases before the counts: edges of real phases rarely follow those of pixels.
    Coverage on either kind: ``python benchmarks/realistic.py``, ``python benchmarks/segmentation.py``."""
    two_phases_unlikely: float = 0.05
    """Probability of pixels of two phases below which they are not spoken of, and below the rest to 1 as not certain:
    ``python benchmarks/segmentation.py --grains 2.5``, whose pixels hold one."""
    hardly_any_boundary: float = 0.05
    """Share of the pixels below which those of two phases are not spoken of where they are not certain. The same
    benchmark, ``python benchmarks/segmentation.py --grains 2.5``."""
    boundary_widening: float = 0.7
    """What is added to a covariance, in units of itself, were all pixels of two phases: the fewer are of one, the less
    normal is the posterior of compositions and width. Coverage of ratios at few counts and a wide probe: ``python
    benchmarks/realistic.py --blur 1 --counts 300 1000``."""
    area_scatter: float = 3.0
    """Variance of the areas given the parameters, over that of pixels whose shares err independently, where hardly a
    label is in doubt: pixels along one boundary err together (``python benchmarks/realistic.py``)."""
    area_scatter_of_doubt: float = 60.0
    """What a unit of doubt adds to it: where labels are in doubt whole corners of grains err together (``python
    benchmarks/realistic.py``)."""
    bright_quantile: float = 0.95
    """Quantile of the counts of a pixel that stands for those of the sample (``python benchmarks/realistic.py
    --dark``)."""
    dark_share: float = 0.05
    """Share of that below which a pixel is dark: all dark pixels of ``python benchmarks/realistic.py --dark`` and no
    other."""
    thin_factor: float = 3.0
    """Factor above the limit up to which there must be few pixels: thin places lie between, holes end (``python
    benchmarks/realistic.py --dark``)."""
    thin_pixels: float = 0.5
    """Number of pixels between, over that of dark ones, from which on the sample grows thin and has no holes (``python
    benchmarks/realistic.py --dark``)."""
    dark_counts: float = 40.0
    """Mean counts of dark pixels above which they are looked at as a phase of their own (``python
    benchmarks/realistic.py --dark``)."""


SETTINGS = Settings()
"""The settings that all fits have."""
