"""Exercise 02, q2: the expected mistakes of each step, by forward propagation."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ...core.seeding import generator
from ...envs.tabular import TabularMDP
from ...exact.propagation import exact_cost, state_marginals
from ..cases import Case, Question
from .tables import random_distributions, table


def expected_mistakes(transition_probs: Tensor, initial: Tensor, policy: Tensor, cost: Tensor,
                      horizon: int) -> Tensor:
    """E c(sₜ, aₜ) for t = 0 … horizon − 1 [horizon]: the library's answer."""
    mdp = TabularMDP(transition_probs, torch.zeros_like(cost), initial)
    return exact_cost(state_marginals(mdp, policy, horizon), policy, cost)


def _by_steps(late: bool = False, axes: str = "san", weighted: bool = True) -> Callable[..., Tensor]:
    """A propagation with slips: the cost of the *next* marginal, exchanged axes, costs not weighted."""
    def slip(transition_probs, initial, policy, cost, horizon):
        marginal, costs = initial, []
        for _ in range(horizon):
            moved = torch.einsum(f"s,sa,{axes}->n", marginal, policy, transition_probs)
            here = moved if late else marginal
            costs.append((here[:, None] * (policy * cost if weighted else cost)).sum())
            marginal = moved
        return torch.stack(costs)
    return slip


def _never_moving(transition_probs, initial, policy, cost, horizon):
    return (initial[:, None] * policy * cost).sum().expand(horizon)


def _running_total(*problem):
    return expected_mistakes(*problem).cumsum(0)


def _one_step_more(*tables_and_horizon):
    *tables, horizon = tables_and_horizon
    return expected_mistakes(*tables, horizon + 1)


_SLIPS = (
    (_never_moving,
     "Every step uses the initial distribution. After each step the state distribution moves on: "
     "overwrite it before the next round of the loop."),
    (_by_steps(late=True),
     "You are one step late: the cost at time t uses the distribution at time t, so take the cost "
     "first and move on afterwards."),
    (_by_steps(weighted=False),
     "You add the costs of all actions. Weight each by the probability π(a|s) that it is taken."),
    (_by_steps(axes="nas"),
     "Two axes of the transition table are exchanged: transition_probs[s, a, n] leads from s to n, and "
     "the sum runs over s and a."),
    (_running_total,
     "These are running totals. Give the expected cost of each single step."),
    (_one_step_more,
     "One step too many: T steps have the times 0 … T − 1; the state after the last action pays "
     "nothing."),
)


def _case(title: str, problem: tuple, want: Tensor, **more) -> Case:
    return Case(title, lambda f: f.expected_mistakes(*problem), want,
                "Two lines a step: the cost is Σ_s p(s) Σ_a π(a|s) c(s, a), then "
                "p(s') = Σ_s Σ_a p(s) π(a|s) p(s'|s, a).",
                mistakes=tuple((slip(*problem), hint) for slip, hint in _SLIPS), **more)


def _random_cases(seed: int) -> Iterator[Case]:
    random = generator(seed, "02_imitation q2")
    for states, actions, horizon in ((4, 2, 1), (4, 2, 6), (6, 3, 12)):
        problem = (random_distributions((states, actions, states), random),
                   random_distributions((states,), random), random_distributions((states, actions), random),
                   torch.rand(states, actions, generator=random, dtype=torch.float64), horizon)
        yield _case("random", problem, expected_mistakes(*problem),
                    confirms="one step" if horizon == 1 else "three states with different odds")
    # Two states as on the rope, but anything may start, lead and cost: the rope's own formula is not enough.
    for start, cost in ((table([1, 0]), table([[0, 1], [1, 1]])), (random_distributions((2,), random), None)):
        moves = _ROPE if cost is not None else random_distributions((2, 2, 2), random)
        costs = cost if cost is not None else torch.rand(2, 2, generator=random, dtype=torch.float64)
        rope = (moves, start, random_distributions((2, 2), random), costs, 9)
        yield _case("random", rope, expected_mistakes(*rope), confirms="three steps on the tightrope")


# States: on the rope, fallen. Actions: right, wrong (which falls); a fall is final and costs 1 a step.
_ROPE = table([[[1, 0], [0, 1]], [[0, 1], [0, 1]]])
_ROPE_PROBLEM = (_ROPE, table([1, 0]), table([[0.9, 0.1], [0.9, 0.1]]), table([[0, 1], [1, 1]]))
# Deterministic moves that cannot be read backwards: 0→1, 1→2, 2→0 by one action, 0→2, 1→0, 2→2 by the
# other.
_RING = table([[[0, 1, 0], [0, 0, 1]], [[0, 0, 1], [1, 0, 0]], [[1, 0, 0], [0, 0, 1]]])
_RING_PROBLEM = (_RING, table([0.5, 0.5, 0]), table([[0.8, 0.2], [0.5, 0.5], [0.25, 0.75]]))

QUESTION = Question(
    "q2", "Expected mistakes, step by step", "I2", {"expected_mistakes": expected_mistakes},
    difficulty=3, importance=5, minutes=20,
    values=(
        # On the rope at time 0 for certain, and wrong with probability 0.1.
        _case("one step", (*_ROPE_PROBLEM, 1), table([0.1]), points=1, by_hand=True),
        # On the rope before step t with probability 0.9ᵗ, so the cost is 1 − 0.9ᵗ⁺¹:
        # 0.1, 1 − 0.81, 1 − 0.729.
        _case("three steps on the tightrope", (*_ROPE_PROBLEM, 3), table([0.1, 0.19, 0.271]),
              points=2, by_hand=True),
        # Costs by state: 0.2·1, 0.5·1, 0.25·2 + 0.75·4 = 0.2, 0.5, 3.5.
        # p0 = (0.5, 0.5, 0): 0.1 + 0.25 = 0.35.
        # p1 = (0.5·0.5, 0.5·0.8, 0.5·0.2 + 0.5·0.5) = (0.25, 0.4, 0.35): 0.05 + 0.2 + 1.225 = 1.475.
        # p2 = (0.4·0.5 + 0.35·0.25, 0.25·0.8, 0.25·0.2 + 0.4·0.5 + 0.35·0.75) = (0.2875, 0.2, 0.5125):
        #      0.0575 + 0.1 + 1.79375 = 1.95125.
        _case("three states with different odds", (*_RING_PROBLEM, table([[0, 1], [1, 0], [2, 4]]), 3),
              table([0.35, 1.475, 1.95125]), points=2, by_hand=True),
    ),
    properties=(
        Case("where every action costs 1, every step costs 1",
             lambda f: f.expected_mistakes(*_RING_PROBLEM, torch.ones(3, 2, dtype=torch.float64), 8),
             torch.ones(8, dtype=torch.float64),
             "Probability is lost or gained on the way: the distribution must sum to 1 after every step.",
             points=1),
    ),
    seeded=_random_cases,
)
