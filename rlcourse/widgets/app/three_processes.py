"""The three-processes widget of lecture 05a, section Q5."""

import numpy as np

from rlcourse.plots.three_processes import PERIODS, setup, update
from rlcourse.widgets.models.three_processes import CONTROLS, Frame, compute

from .explorer import Explorer
from .prediction import Prediction

_RATES = {0.0625: "one transition every 16 steps", 0.25: "one transition every 4 steps", 1.0: "one transition a step"}


def describe(frame: Frame) -> str:
    """The numbers that the picture shows."""
    collected = _RATES.get(frame.collect, f"{frame.collect:g} transitions a step")
    end, growth = np.sort(frame.error[:, -1]), frame.growth[PERIODS.index(frame.period)]
    every = "after every step" if frame.period == 1 else f"every {frame.period} steps"
    return (f"{collected[0].upper()}{collected[1:]} into a replay of {frame.capacity}, of which "
            f"{100 * frame.share:g} % go right; regression with α = {frame.rate:g}; the target is copied {every}. "
            f"Near Q*, small errors are multiplied by {growth:.3g} in 100 steps in the long run. After 1024 steps the "
            f"eight runs are off by {size(np.median(end))} in the median, the best by {size(end[0])}, the worst by "
            f"{size(end[-1])}.")


def size(error: float) -> str:
    """An error in two digits; one that has exploded only by its being large."""
    return "more than 10⁴" if error > 1e4 else f"{error:.2g}" if error < 99 else f"{error:.0f}"


def three_processes() -> Explorer:
    """The rates of collecting, regressing and moving the target against the error of Q."""
    return Explorer(
        name="three_processes", controls=CONTROLS, compute=compute, setup=setup, update=update, describe=describe,
        size=(10, 4.2),
        try_this=(
            "At the start some runs grow, fall by some digits, and grow again. Which action is greedy while they "
            "fall? And with 10 % going right?",
            "Raise the copying period from 1 to 256. In the middle panel the target becomes a staircase; on the "
            "right the error first grows, then shrinks, then shrinks more slowly. What does a target that waits "
            "too long cost?",
            "Copy every 64 steps, with a replay of 20 (online learning, nearly), then 20000. What do the runs lose "
            "when a rare transition is pushed out by many common ones?",
            "A replay of 20000, copied every 64, one transition every 16 steps: regression is faster than collection. "
            "Why do the errors of the eight runs differ so much, and change so slowly?",
            "Copy after every step, and let the data go right half of the time. Nothing else has changed: what made "
            "the difference?",
            "Half of the data go right, α = 1.5, and any period but 1. Here the target is not to blame. What is?"),
        prediction=Prediction(
            question="two rooms, two doors, weights that can represent every Q function exactly, data that hold "
                     "every room and every door, and steps small enough for the regression on any fixed target. The "
                     "target is copied after every step. Can a small error of Q grow?",
            options=("no: nothing is approximated, so that it is a table in disguise",
                     "no: the Bellman backup is a contraction, and small steps follow it",
                     "yes, if the data seldom show what the greedy policy does",
                     "yes, but only with noisy rewards"),
            answer="yes, if the data seldom show what the greedy policy does",
            because="A step that raises Q of going right in the left room raises it twice as much in the right room, "
                    "and so the target, by 2γ = 1.6 times as much. Only going right in the right room would pull it "
                    "down, and that is rare in these data. (With 10 % the error grows without end. With 20 % it also "
                    "turns: when it makes going left look best, the maximum switches, the coupling is off, and the "
                    "error shrinks until going right is greedy again.) A target that waits lets the regression sort "
                    "out the two rooms first; then the backup's contraction counts."))
