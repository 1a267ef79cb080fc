"""The advantage-estimates widget of lecture 04, section A6."""

from rlcourse.plots.advantage_estimates import percent, setup, update
from rlcourse.widgets.models.advantage_estimates import CELL, CONTROLS, STEPS, Frame, compute

from .explorer import Explorer
from .prediction import Prediction


def describe(frame: Frame) -> str:
    """The numbers that the picture shows."""
    at, best, cut = frame.chosen, frame.gae_error.argmin(), STEPS.index(frame.steps)
    mixed, n_step, best_n = frame.gae, frame.n_step, frame.n_step_error.argmin()
    gap, exact_gap = (ends[1] - ends[0] for ends in (frame.mean, frame.exact))
    low, high = frame.estimates.mean(1)
    wrong = (f"the critic's error is {frame.error:g} times the standard deviation of V ({frame.kind})"
             if frame.error else "the critic is right")
    return (f"λ = {mixed.gae_lambda[at]:g}, γ = {frame.discount:g}; {wrong}. In units of √E A² = "
            f"{frame.unit:.3g}, GAE has noise {small(mixed.noise[at])}, a bias of {small(mixed.between[at])} "
            f"between the actions and of {small(mixed.common[at])} common to them ({n_steps(frame.steps)}: "
            f"{small(n_step.noise[cut])}, {small(n_step.between[cut])}, {small(n_step.common[cut])}). The "
            f"gradient from N = {frame.batch_size} steps is off by {percent(frame.gae_error[at])}, of which bias "
            f"{small(100 * mixed.gradient_bias[at])} %; the least is {percent(frame.gae_error[best])}, near λ = "
            f"{mixed.gae_lambda[best]:.2g}, and {percent(frame.n_step_error[best_n])} with "
            f"{n_steps(STEPS[best_n])}. In cell {CELL} forward is better than back by {small(exact_gap)}, in the "
            f"mean of the estimates by {small(gap)} ({small(high - low)} in those drawn).")


def small(size: float) -> str:
    """A size to three digits, rounding errors as 0."""
    return f"{size:.3g}".replace("-", "−") if abs(size) > 1e-6 else "0"


def n_steps(count: int | None) -> str:
    """A number of steps in words."""
    return "all steps" if count is None else "1 step" if count == 1 else f"{count} steps"


def advantage_estimates() -> Explorer:
    """λ or n, discount and the critic's error against bias and noise of the advantages and of the gradient."""
    return Explorer(
        name="advantage_estimates", controls=CONTROLS, compute=compute, setup=setup, update=update,
        describe=describe, size=(10, 4.7),
        try_this=(
            "Set the size of the error to 0. Is there any γ or N for which another λ than 0 is best? What does it "
            "cost to look ahead to the end (λ = 1), at γ = 0.8 and at γ = 0.98?",
            "Back to a random error of size 0.3. Raise N from 10 to 10000 and follow the filled circle. "
            "Why should those who can afford large batches choose a larger λ?",
            "At λ = 1 go through kinds and sizes of the error. On the right, what moves, and what stays? What "
            "does the critic still do there, if it cannot do harm?",
            "Choose “too flat” and size 1: a critic that sees no difference between cells. What is left of the "
            "cloud at λ = 0, and of its gap? Now move λ up: where does the gap come from?",
            "Random, size 1, γ = 0.95, λ = 0: what would the actor learn in cell 6, however large the batch? From "
            "which λ on does the gap have the right sign?",
            "Compare circle and diamond, the best λ and the best n. How much is GAE ahead? Find a setting where n "
            "steps win."),
        prediction=Prediction(
            question="in a problem that never ends, a critic is too high by the same amount in every state. The "
                     "actor takes its advantages from it by GAE. For which λ is the expected gradient wrong?",
            options=("for λ < 1, most for λ = 0, which trusts the critic most",
                     "for λ > 0, most for λ = 1, where the error is not cancelled by the next state's",
                     "for every λ, by the same amount", "for none"),
            answer="for none",
            because="An error c shifts the estimates by (γ − 1) c at λ = 0 and by −c at λ = 1: all actions "
                    "alike. That is a baseline, and leaves the mean of the gradient alone. Its noise grows: with "
                    "γ = 0.95 and c one standard deviation of V, by 2 % at λ = 0 and by 21 % at λ = 1. What "
                    "misleads the actor is an error that differs from state to state."))
