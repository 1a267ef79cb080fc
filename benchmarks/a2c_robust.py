"""A2C on CartPole-v1: in how many of 20 repetitions all eight runs cross 475, seeds 0 to 19, and after how many steps.

The runs of `a2c_cartpole`, with the default `Config` and all of its steps at their disposal. Steps and
seconds of processor time are those of the slowest run, evaluation excluded.
"""

import statistics

from .a2c_cartpole import RUNS, ours

REPETITIONS = 20


def rows() -> list[dict]:
    """One row: repetitions in which all runs crossed, and what the slowest run of each needed."""
    crossings = [ours(seed) for seed in range(REPETITIONS)]
    steps = sorted(crossing.steps for crossing in crossings)
    seconds = sorted(crossing.seconds for crossing in crossings)
    crossed = sum(count < float("inf") for count in steps)
    return [{"runs at once": RUNS, "all crossed in": f"{crossed} of {REPETITIONS}",
             "steps of each run, median": f"{statistics.median(steps):,.0f}", "most steps": f"{steps[-1]:,.0f}",
             "median s": f"{statistics.median(seconds):.2f}", "slowest": f"{seconds[-1]:.2f}"}]
