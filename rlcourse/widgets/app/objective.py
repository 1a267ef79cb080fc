"""The objective widget of lecture 01, section F4."""

from rlcourse.plots.objective import setup, update
from rlcourse.widgets.models.objective import CONTROLS, Frame, compute

from .explorer import Explorer
from .prediction import Prediction


def describe(frame: Frame) -> str:
    """The numbers that the picture shows."""
    goal = f"{frame.marginal[frame.goal]:.3f}"
    if frame.time == 0:
        return f"At t = 0 nothing is collected. The stationary average is {frame.average:.4f} a step."
    done = frame.time - 1
    return (f"After {frame.time} steps: sum {frame.total[done]:.2f}, discounted sum "
            f"{frame.discounted[done]:.2f}, average {frame.running_average[done]:.4f} a step (stationary "
            f"{frame.average:.4f}); probability {goal} of standing on the goal, "
            f"{frame.marginal.max():.3f} of the likeliest cell.")


def objective() -> Explorer:
    """Time, policy, slip and discount against the state marginal and the three objectives."""
    return Explorer(
        name="objective", controls=CONTROLS, compute=compute, setup=setup, update=update,
        describe=describe, size=(9, 4.8),
        try_this=(
            "Drag the time from 0 and follow the probability along the arrows. When does the upper curve "
            "first rise, and where is the probability one step after it has reached the star?",
            "With the time at 60, raise the slip from 0 to 0.05 and watch the arrows and the sum. Do the "
            "same at 95 % of the best policy, and at 100 %.",
            "At 100 % and no slip, drag the time to its end. Does the picture on the left ever settle? "
            "Which of the curves does? Now give it 5 % of random moves.",
            "Change to the four rooms and move only the discount. Which curves move, and which do not? "
            "The star is twenty steps away: from which γ downwards is the discounted sum below a tenth?"),
        prediction=Prediction(
            question="on the edge of a cliff an agent follows the best policy on 90 % of its moves and "
                     "a random one on the rest. Now the floor becomes slippery (slip 0.05), and the best "
                     "policy is computed afresh for it. What happens to the reward of 60 steps?",
            options=("it falls to about a half", "it falls a little", "it stays the same", "it rises"),
            answer="it rises",
            because="On a dry floor the best path runs along the edge, where a random move may be a fall. "
                    "For the slippery floor a path further from it is best, and that suits the random "
                    "moves as well: best for one problem is not best for the next."))
