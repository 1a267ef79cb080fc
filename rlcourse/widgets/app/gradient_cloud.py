"""The gradient-cloud widget of lecture 03, section P5."""

from rlcourse.plots.gradient_cloud import setup, update
from rlcourse.widgets.models.gradient_cloud import CONTROLS, ESTIMATES, ESTIMATORS, Frame, compute

from .explorer import Explorer
from .prediction import Prediction


def describe(frame: Frame) -> str:
    """The numbers that the picture shows."""
    bias = frame.bias[frame.chosen]
    mean = "its mean is the gradient" if bias < 1e-9 else (
        f"its mean is {1 - 1 / frame.batch_size:.3g} of the gradient (1 − 1/N)")
    return (f"{ESTIMATORS[frame.chosen]}, N = {frame.batch_size}, T = {frame.horizon}: exactly, {mean}, its "
            f"standard deviation √E|ĝ − Eĝ|² is {frame.spread[frame.chosen]:.3g} |∇J| "
            f"({frame.sampled_spread:.3g} measured on the {ESTIMATES} drawn, of which "
            f"{round(frame.uphill * ESTIMATES)} point uphill). |∇J| = {frame.length:.3g} in the two logits of "
            "“work”; the derivatives by those of “rest” are the same numbers with the other sign.")


def gradient_cloud() -> Explorer:
    """Estimate the policy gradient: estimator, batch and horizon against how far the estimates scatter."""
    return Explorer(
        name="gradient_cloud", controls=CONTROLS, compute=compute, setup=setup, update=update,
        describe=describe, size=(10, 4.7),
        try_this=(
            "With the total return, go to T = 30 and N = 128 and read how many estimates point uphill. Then "
            "take the reward-to-go minus the average of the others (leave-one-out): how few episodes are enough?",
            "Does a baseline always help? Go to T = 3 and N = 2 and compare leave-one-out with the plain "
            "reward-to-go; then raise N. Do the same at T = 1.",
            "Choose the batch average and N = 2: where is the cross? Change to leave-one-out and read bias, "
            "standard deviation and the number that point uphill. Which of the three differ, and why not all?",
            "At N = 8 move T from 3 to 30 with the total return, with V(s) as the baseline, and with the exact "
            "advantage. Measured by the arrow, one cloud grows, one hardly changes from T = 8 on, one shrinks."),
        prediction=Prediction(
            question="the horizon grows from 3 steps to 30, and the exact gradient becomes 21 times as long. By "
                     "what factor does the standard deviation of the plain estimate (weighted by the total "
                     "return) grow?",
            options=("by about 3, like √T", "by about 10, like T", "by about 21, like the gradient",
                     "by about 35, faster than the gradient"),
            answer="by about 35, faster than the gradient",
            because="The sum of T scores spreads like √T, and it is multiplied by a return that grows like T: "
                    "together T to the power 1.5, which is 32. The longer the episodes, the deeper the gradient "
                    "is buried in noise, unless a baseline takes most of the return away."))
