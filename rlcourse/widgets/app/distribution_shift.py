"""The distribution-shift widget of lecture 02, section I2."""

from rlcourse.plots.distribution_shift import setup, update
from rlcourse.widgets.models.distribution_shift import CONTROLS, Frame, compute

from .explorer import Explorer
from .prediction import Prediction


def describe(frame: Frame) -> str:
    """The numbers that the picture shows."""
    far = f"{frame.shift[frame.horizon]:.3f}"
    if frame.cost_here == 0:
        return f"At ε = 0 the imitator is the expert: 0 mistakes, distance {far}."
    return (f"{frame.cost_here:.3g} expected mistakes in {frame.horizon} steps, against "
            f"εT = {frame.promised[frame.horizon - 1]:.3g} promised and {frame.worst[frame.horizon - 1]:.3g} "
            f"if nothing is recovered; twice the horizon costs {frame.doubling:.2f} times as much. "
            f"Total variation from the expert at T: {far}.")


def distribution_shift() -> Explorer:
    """Drive the imitator: error rate, horizon and noise against where it goes and what it costs."""
    return Explorer(
        name="distribution_shift", controls=CONTROLS, compute=compute, setup=setup, update=update,
        describe=describe, size=(10, 5.4),
        try_this=(
            "Set ε to 0 and then to the smallest value above it. Where does the probability go that the "
            "imitator has lost, and when?",
            "Go through the horizons 25, 50, 100, 200 and read the factor for twice the horizon. A line of "
            "slope 1 would give 2, one of slope 2 would give 4. Do the same at ε = 0.1.",
            "Go to ε = 0.01 and T = 200 and move the noise in the expert up from zero. The demonstrations "
            "get worse. What happens to the imitator, and at which value?",
            "Do the same on each rope. One of the two cannot be helped. Why?"),
        prediction=Prediction(
            question="an imitator errs on 1 % of the steps where the expert drove. Its drives become twice "
                     "as long, 100 steps instead of 50. By what factor does its expected number of mistakes "
                     "grow?",
            options=("by 1: the rate stays the same", "by 2", "by almost 4", "by more than 10"),
            answer="by almost 4",
            because="A constant rate would give 2. But the first mistake takes the imitator to places the "
                    "data never showed, where it goes on making mistakes: the number grows almost like T²."))
