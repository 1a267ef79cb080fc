"""The promises widget of lecture 05b, section Q6: what critics say and what their policies earn, while they train."""

from collections.abc import Mapping, Sequence

from rlcourse.plots.promises import setup, update
from rlcourse.widgets.models.promises import Frame, compute_from, controls

from .explorer import Explorer
from .prediction import Prediction


def describe(frame: Frame) -> str:
    """How many runs say too much now; trainings differ from machine to machine, so nothing finer."""
    return (f"{frame.training}, after {frame.step:,} environment steps of each run: every point is one run. Above the "
            f"diagonal the critic says more than its greedy policy earns; above the dotted line it says more than any "
            f"policy can earn ({frame.most:.3g}).")


def promises(records: Mapping[str, Sequence[tuple]], *, most: float) -> Explorer:
    """Said against earned for `records` {training: [(step, said [R], earned [R]), …]}; no policy earns above `most`.

    Errors: ValueError for records that do not fit together, see `models.promises.checked`.
    """
    return Explorer(
        name="promises", controls=controls(records), compute=compute_from(records, most), setup=setup, update=update,
        describe=describe, size=(9, 4),
        try_this=(
            "Go through the steps of the first training. On which side of the diagonal do the runs begin, and where "
            "do they end? When do they cross it?",
            "Compare single and double for the same problem at the same step. Where is the difference in what is said, "
            "and where in what is earned?",
            "Look for runs above the dotted line. Does saying too much keep them from earning?"),
        prediction=Prediction(
            question="a DQN with two actions starts with values near 0 and learns to hold a pole that pays 1 a step. "
                     "Early in the training, what is larger: what its critic says, or what its policy earns?",
            options=("what it says: a maximum overestimates from the beginning", "what its policy earns",
                     "both grow together"),
            answer="what its policy earns",
            because="A good policy needs only the right order of the actions, and even a bad one earns a few rewards. "
                    "The values come by one backup after the other: exact ones gain at most γᵏ from the k-th copy "
                    "of the target. Overestimation has to overtake that first."))
