"""DQN on CartPole-v1: in how many of 10 repetitions all eight runs cross 475, double and single, and after how many steps.

The runs of `dqn_cartpole`, with all steps of the `Config` at their disposal. Steps and seconds of processor time are
those of the slowest run, evaluation excluded.
"""

from ._crossing import robustness
from .dqn_cartpole import RUNS, ours, single


def rows() -> list[dict]:
    """One row for each target."""
    return [{"target": name, **robustness(way, RUNS, 10)[0]} for name, way in (("double", ours), ("single", single))]
