"""DAgger: let the learner drive, let the expert label, learn from everything so far.

Ross, Gordon and Bagnell 2011, "A reduction of imitation learning and structured prediction to
no-regret online learning". Told in lectures/02_imitation, section I7.

| quick facts       |                                                        |
|-------------------|--------------------------------------------------------|
| learns from       | expert labels on the states that the *learner* visits  |
| needs             | an expert who can be asked anywhere, during training   |
| guarantee         | cost of order u ε T instead of ε T²                    |
| details that help | keep all earlier data; the expert drives the first time |
"""

from collections.abc import Callable, Iterator
from typing import Any

from ..core.check import require, require_count


def dagger(rounds: int, collect: Callable, label: Callable, fit: Callable) -> Iterator[Any]:
    """Yield the policy after the first fit (plain cloning) and after each of `rounds` rounds.

    `collect(policy)` drives and returns the states that were visited; `collect(None)` lets the
    expert drive. `label(states)` asks the expert what it would have done there. `fit(dataset)`
    returns the policy learned from a list of (states, labels) pairs, one for each round so far.
    The loop knows nothing of tables or networks: both use it.
    """
    require_count("rounds", rounds, least=0)
    for name, function in (("collect", collect), ("label", label), ("fit", fit)):
        require(callable(function), name, "a function", type(function).__name__)
    return _rounds(rounds, collect, label, fit)


def _rounds(rounds, collect, label, fit):
    policy, dataset = None, []
    for _ in range(rounds + 1):
        states = collect(policy)
        dataset.append((states, label(states)))
        policy = fit(dataset)
        yield policy
