"""How a fit ended: each outcome is a sentence that says what to do next."""

from enum import Enum


class Status(Enum):
    """Outcome of a fit; the value is the message for the user.

    ``status.ok`` is True when the result can be used as it stands.
    """

    CONVERGED = "Converged: the result can be used as it stands."
    ITERATION_LIMIT = (
        "The iteration limit was reached before the tolerance: raise max_iterations, or start from this result."
    )
    INTERRUPTED = "Interrupted: this is the last complete state; start again from it to continue."
    LOW_EFFECTIVE_SAMPLE_SIZE = (
        "Too few effective draws of a global quantity: take more draws; if that does not help, the data identify "
        "the components only weakly, so fix a spectrum, add a background term or lower the rank."
    )
    LOW_ACCEPTANCE = (
        "Too few proposals were accepted: start from a converged mode, or merge channels until most hold counts."
    )
    STEP_LIMIT = "The step limit was reached while the bound still rose: raise max_steps."
    STARTS_DISAGREE = (
        "Of several starts only one found the best bound, so that there may be better ones: take more starts, give a "
        "start (initial in the model file), or simplify the model."
    )
    DIVERGED = "The objective became infinite or NaN: lower the step size, or scale the data."

    @property
    def ok(self) -> bool:
        """True when the fit ended as it should."""
        return self is Status.CONVERGED

    def __str__(self) -> str:
        """Return the message."""
        return self.value
