"""How a fit ended: one list of outcomes for all fits, each a sentence that says what to do next.

The sentences address who called ``bs.unmix``, ``bs.segment`` or the command line: a word in parentheses is an argument
or option there, ``rebin``, ``crop`` and ``with_mask`` are methods of the image.
"""

from enum import Enum


class Status(Enum):
    """Outcome of a fit; the value is the message for the user.

    ``status.ok`` is True when the result can be used as it stands.
    """

    CONVERGED = "Converged: the result can be used as it stands."
    CLASSICAL = "Finished: a classical method, which gives no uncertainty."
    ITERATION_LIMIT = (
        "The fit was still improving when it ended: do not rely on it; sum pixels (rebin), or ask for fewer phases "
        "(phases) or components (rank)."
    )
    NOT_DEFINITE = (
        "The counts do not tell the phases apart (the observed information is not positive definite), so that there "
        "are no intervals: ask for fewer phases (phases), or sum pixels (rebin)."
    )
    NOT_SETTLED = (
        "The intensities had not settled when the fit ended: leave out elements and lines that are not in the sample "
        "(elements, lines), or keep the range of energies that holds the lines (crop)."
    )
    CLASSICAL_LIMIT = "The iteration limit was reached before the tolerance: raise it (max_iterations)."
    LOW_EFFECTIVE_SAMPLE_SIZE = (
        "The ends of some intervals are not settled: another seed may move them by more than a tenth of their width; "
        "means may be used. Ask for more draws (draws) or fewer components (rank), or name what is known (background, "
        "spectra, elements)."
    )
    FEW_INDEPENDENT_DRAWS = (
        "Too few independent draws: ask for more draws (draws), or sum pixels (rebin); the mean may be used, the ends "
        "of intervals not."
    )
    LOW_ACCEPTANCE = (
        "Too few proposals of the sampler were accepted: sum channels or pixels until most hold counts (rebin), or ask "
        "for fewer components (rank)."
    )
    STEP_LIMIT = "The step limit was reached while the bound still rose: raise it (max_steps)."
    STARTS_DISAGREE = (
        "Of several starts only one found the best bound, so that there may be better ones: take more starts (starts), "
        "give the model a start (initial), or simplify it."
    )
    FAMILY_DOES_NOT_FIT = (
        "The variational family does not fit the posterior (Pareto-k above 0.7): do not rely on these intervals; take "
        "another family or NUTS (inference)."
    )
    CHAINS_DISAGREE = (
        "The chains of the sampler disagree or hold too few independent draws: ask for more draws (draws), or simplify "
        "the model."
    )
    DIVERGED = (
        "The objective became infinite or not a number: exclude pixels and channels that stand out (with_mask; "
        "bs.poisson_check names them), or ask for fewer components (rank)."
    )
    INTERRUPTED = "Interrupted: this is the last complete state; run it again for the result."

    @property
    def ok(self) -> bool:
        """True when the fit ended as it should."""
        return self in (Status.CONVERGED, Status.CLASSICAL)

    def __str__(self) -> str:
        """Return the message."""
        return self.value
