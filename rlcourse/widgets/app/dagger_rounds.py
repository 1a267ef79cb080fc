"""The DAgger widget of lecture 02, section I7."""

from rlcourse.plots.dagger_rounds import setup, update
from rlcourse.widgets.models.dagger_rounds import CONTROLS, HORIZON, Frame, compute

from .explorer import Explorer
from .prediction import Prediction


def describe(frame: Frame) -> str:
    """The numbers that the picture shows."""
    rounds = "1 round" if frame.round == 1 else f"{frame.round} rounds"
    return (f"After {rounds}: {frame.costs[frame.round]:.3g} expected mistakes in {HORIZON} steps "
            f"(εT = {frame.promised:.3g}, {frame.worst:.3g} if nothing is recovered), "
            f"labels in {int(frame.covered.sum())} of the places, "
            f"total variation between labels and learner {frame.shift:.3f}.")


def dagger_rounds() -> Explorer:
    """Rounds of DAgger: labels follow the learner, and the cost falls to εT, where it can."""
    return Explorer(
        name="dagger_rounds", controls=CONTROLS, compute=compute, setup=setup, update=update,
        describe=describe, size=(10, 3.6),
        try_this=(
            "Move the rounds up from 0, one at a time. Where do the first new labels appear, next to the "
            "known places or far out? Which places are last, and why?",
            "With one drive a round, how many rounds does the cost need to reach εT? With two, with twenty?",
            "Choose the rope on which a fall is final. Labels arrive after the fall. Why do they not help?"),
        prediction=Prediction(
            question="after plain cloning (round 0) the learner drives itself, once a round, and the expert "
                     "labels every place it comes to. Where does the first round bring labels?",
            options=("next to the crown, where the data end", "everywhere at once",
                     "in and beside the ditch, where a lost learner spends its time"),
            answer="in and beside the ditch, where a lost learner spends its time",
            because="DAgger labels places in proportion to the time the learner spends there, and a learner "
                    "without advice is soon in the ditch. The way back is labelled in the next rounds."))
