"""The overestimation widget of lecture 05b, section Q6."""

from rlcourse.plots.overestimation import setup, signed, update
from rlcourse.widgets.models.overestimation import CONTROLS, Frame, compute

from .explorer import Explorer
from .prediction import Prediction


def describe(frame: Frame) -> str:
    """The numbers that the picture shows."""
    single, double, clipped = (signed(mean) for mean in frame.exact)
    worth = "all worth 0" if frame.gap == 0 or frame.actions == 1 else f"one worth 0, the others −{frame.gap:g}"
    return (f"{frame.actions} action{'s' * (frame.actions > 1)}, {worth}; each estimate is the mean of {frame.samples} "
            f"sample{'s' * (frame.samples > 1)} with noise {frame.noise:g}; the two estimates of an action have "
            f"correlation {frame.shared:g}. The largest true value is 0. On average the single estimator says "
            f"{single}, the double one {double}, the clipped double one {clipped}; a single one with twice the "
            f"samples would say "
            f"{signed(frame.doubled)}. The best action is chosen in {100 * frame.right:.1f} % of the cases. In "
            f"repetition {frame.repetition} estimate 1 says {signed(frame.first[frame.chosen])} of the action that it "
            f"chooses, estimate 2 {signed(frame.second[frame.chosen])}.")


def overestimation() -> Explorer:
    """Actions, noise, samples, the gap and shared data against what single, double and clipped double Q say."""
    return Explorer(
        name="overestimation", controls=CONTROLS, compute=compute, setup=setup, update=update, describe=describe,
        size=(10, 4.2),
        try_this=(
            "Step through the repetitions. Estimate 2 is not asked which action is best: it says what it thinks of the "
            "one that estimate 1 likes. How often is it lower?",
            "Move the number of actions from 1 to 30. Why does the single estimator's mean grow, and why so slowly in "
            "the end? Between which two numbers of samples is it back at what it was with 2 actions?",
            "Let the best action be ahead by 0.5, with 10 actions and one sample. Now the double estimator is too "
            "low. Which actions does it speak of when it is? With how many samples does that cease to matter?",
            "Raise the correlation c: the part of the samples that both estimates have in common. Two networks that "
            "learn from the same replay need not be independent: what is left of the idea at 0.9?",
            "With 1 action there is nothing to choose. Which estimator is biased all the same, and why?"),
        prediction=Prediction(
            question="ten actions, all worth exactly 0. Each is tried four times, with noise of standard deviation 1, "
                     "so that each average is off by 0.5 as a rule. What is the largest of the ten averages, on "
                     "average?",
            options=("0: the errors of the averages cancel", "about 0.16: the error of the mean of all forty",
                     "about 0.5: the error of one average", "about 0.77: half as much again"),
            answer="about 0.77: half as much again",
            because="Each average is right on average, but the largest is chosen because it is large: 0.5 times 1.54, "
                    "the mean of the largest of ten standard normal numbers. Choosing is what makes it wrong, and "
                    "every max in a Bellman target chooses."))
