"""A2C on CartPole-v1: in how many of 20 repetitions all eight runs cross 475, seeds 0 to 19, and after how many steps.

The runs of `a2c_cartpole`, with the default `Config` and all of its steps at their disposal. Steps and
seconds of processor time are those of the slowest run, evaluation excluded.
"""

from ._crossing import robustness
from .a2c_cartpole import RUNS, ours


def rows() -> list[dict]:
    """One row."""
    return robustness(ours, RUNS)
