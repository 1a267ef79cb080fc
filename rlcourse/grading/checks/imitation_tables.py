"""Exercise 02, first part: cloning in tables, what its mistakes cost, the tightrope in closed form."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ...core.seeding import generator
from ...envs.tabular import TabularMDP
from ...equations import imitation
from ...exact.propagation import exact_cost, state_marginals
from ..cases import Case, Question


def _table(rows: list | float) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


# q1 — clone(counts, fallback)

def _over_the_wrong_axis(counts: Tensor, fallback: Tensor) -> Tensor:
    return counts / counts.sum(0)


def _without_a_guard(counts: Tensor, fallback: Tensor) -> Tensor:
    return counts / counts.sum(-1, keepdim=True)


def _most_frequent_only(counts: Tensor, fallback: Tensor) -> Tensor:
    best = torch.nn.functional.one_hot(counts.argmax(-1), counts.shape[-1]).to(counts.dtype)
    return torch.where(counts.sum(-1, keepdim=True) > 0, best, fallback)


def _uniform_without_data(counts: Tensor, fallback: Tensor) -> Tensor:
    return imitation.clone(counts, torch.full_like(fallback, 1 / len(fallback)))


def _fallback_mixed_in(counts: Tensor, fallback: Tensor) -> Tensor:
    return (counts + fallback) / (counts + fallback).sum(-1, keepdim=True)


_CLONE_SLIPS = (
    (_over_the_wrong_axis, "You divide by the sum over the states. π(a|s) is a distribution over the actions of "
                           "one state: each row sums to 1."),
    (_without_a_guard, "A state without data divides 0 by 0, which is NaN. Give those rows the fallback."),
    (_most_frequent_only, "You keep only the most frequent action. The maximum-likelihood policy copies the "
                          "frequencies: 3 of 4 times is 0.75."),
    (_uniform_without_data, "States without data get a uniform row here; they should get `fallback`."),
    (_fallback_mixed_in, "You add the fallback to the counts of every state. It is for the states without data only."),
)


def _clone_case(title: str, counts: Tensor, fallback: Tensor, want: Tensor, **more) -> Case:
    return Case(title, lambda f: f.clone(counts, fallback), want,
                "Count how often each action was taken in each state, and divide by the row's total.",
                mistakes=tuple((slip(counts, fallback), hint) for slip, hint in _CLONE_SLIPS), **more)


def _random_clone_cases(seed: int) -> Iterator[Case]:
    random = generator(seed, "02_imitation q1")
    for states, actions in ((1, 3), (4, 2), (7, 5)):
        counts = torch.randint(0, 9, (states, actions), generator=random).to(torch.float64)
        counts[:, 0] += 1
        fallback = _random_distributions((actions,), random)
        yield _clone_case("frequencies", counts, fallback, imitation.clone(counts, fallback),
                          confirms="one state" if states == 1 else "three states")
        gaps = torch.cat([counts, torch.zeros(2, actions, dtype=torch.float64)])
        yield _clone_case("gaps", gaps, fallback, imitation.clone(gaps, fallback), confirms="a state without data")


_CLONE = Question(
    "q1", "Behaviour cloning in a table", "I1", {"clone": imitation.clone}, difficulty=1, importance=5, minutes=10,
    values=(
        # 3 of 4 demonstrations take action 0: 3/4 and 1/4.
        _clone_case("one state", _table([[3, 1]]), _table([0.5, 0.5]), _table([[0.75, 0.25]]), points=1, by_hand=True),
        # Rows have 4, 2 and 8 demonstrations: 3/4 1/4, 0/2 2/2, 2/8 6/8.
        _clone_case("three states", _table([[3, 1], [0, 2], [2, 6]]), _table([0.1, 0.9]),
                    _table([[0.75, 0.25], [0, 1], [0.25, 0.75]]), points=1, by_hand=True),
        # The first row is 2/4 2/4 0/4; the second has no data and takes the fallback as it is.
        _clone_case("a state without data", _table([[2, 2, 0], [0, 0, 0]]), _table([0.2, 0.5, 0.3]),
                    _table([[0.5, 0.5, 0], [0.2, 0.5, 0.3]]), points=1, by_hand=True),
    ),
    properties=(
        Case("every row sums to 1", lambda f: f.clone(_table([[0, 9, 4], [5, 1, 1], [0, 0, 0], [7, 0, 2]]),
                                                      _table([0.6, 0.3, 0.1])).sum(-1),
             torch.ones(4, dtype=torch.float64), "π(a|s) must sum to 1 over the actions in every state.", points=1),
    ),
    seeded=_random_clone_cases,
)


# q2 — expected_mistakes(transition_probs, initial, policy, cost, horizon)

def expected_mistakes(transition_probs: Tensor, initial: Tensor, policy: Tensor, cost: Tensor,
                      horizon: int) -> Tensor:
    """E c(sₜ, aₜ) for t = 0 … horizon − 1 [horizon]: the library's answer to q2."""
    mdp = TabularMDP(transition_probs, torch.zeros_like(cost), initial)
    return exact_cost(state_marginals(mdp, policy, horizon), policy, cost)


def _by_steps(start_late: bool, letters: str, weighted: bool) -> Callable[..., Tensor]:
    """A propagation with slips: the cost of the *next* marginal, exchanged axes, costs not weighted."""
    def slip(transition_probs, initial, policy, cost, horizon):
        marginal, costs = initial, []
        for _ in range(horizon):
            moved = torch.einsum(f"s,sa,{letters}->n", marginal, policy, transition_probs)
            here = moved if start_late else marginal
            costs.append((here[:, None] * (policy * cost if weighted else cost)).sum())
            marginal = moved
        return torch.stack(costs)
    return slip


def _never_moving(transition_probs, initial, policy, cost, horizon):
    return (initial[:, None] * policy * cost).sum().expand(horizon)


def _running_total(*problem):
    return expected_mistakes(*problem).cumsum(0)


_MISTAKES_SLIPS = (
    (_never_moving, "Every step uses the initial distribution. After each step the state distribution moves on: "
                    "overwrite it before the next round of the loop."),
    (_by_steps(True, "san", True), "You are one step late: the cost at time t uses the distribution at time t, so "
                                   "take the cost first and move on afterwards."),
    (_by_steps(False, "san", False), "You add the costs of all actions. Weight each by the probability π(a|s) that "
                                     "it is taken."),
    (_by_steps(False, "nas", True), "Two axes of the transition table are exchanged: transition_probs[s, a, n] leads "
                                    "from s to n, and the sum runs over s and a."),
    (_running_total, "These are running totals. Give the expected cost of each single step."),
)


def _mistakes_case(title: str, problem: tuple, want: Tensor, **more) -> Case:
    return Case(title, lambda f: f.expected_mistakes(*problem), want,
                "Two lines a step: the cost is Σ_s p(s) Σ_a π(a|s) c(s, a), then p(s') = Σ_s Σ_a p(s) π(a|s) p(s'|s, a).",
                mistakes=tuple((slip(*problem), hint) for slip, hint in _MISTAKES_SLIPS), **more)


def _random_distributions(shape: tuple[int, ...], random: torch.Generator) -> Tensor:
    """Distributions along the last axis, some entries clearly larger than others."""
    return (3 * torch.randn(shape, generator=random, dtype=torch.float64)).softmax(-1)


def _random_mistakes_cases(seed: int) -> Iterator[Case]:
    random = generator(seed, "02_imitation q2")
    for states, actions, horizon in ((4, 2, 1), (4, 2, 6), (6, 3, 12)):
        problem = (_random_distributions((states, actions, states), random),
                   _random_distributions((states,), random), _random_distributions((states, actions), random),
                   torch.rand(states, actions, generator=random, dtype=torch.float64), horizon)
        yield _mistakes_case("random", problem, expected_mistakes(*problem),
                             confirms="one step" if horizon == 1 else "three states with different odds")
    rope = (_ROPE, _table([1, 0]), _random_distributions((2, 2), random), _table([[0, 1], [1, 1]]), 9)
    yield _mistakes_case("random", rope, expected_mistakes(*rope), confirms="three steps on the tightrope")


# States: on the rope, fallen. Actions: right, wrong (which falls); a fall is final and costs 1 a step.
_ROPE = _table([[[1, 0], [0, 1]], [[0, 1], [0, 1]]])
_ROPE_PROBLEM = (_ROPE, _table([1, 0]), _table([[0.9, 0.1], [0.9, 0.1]]), _table([[0, 1], [1, 1]]))
# Deterministic moves that cannot be read backwards: 0→1, 1→2, 2→0 by one action, 0→2, 1→0, 2→2 by the other.
_RING = _table([[[0, 1, 0], [0, 0, 1]], [[0, 0, 1], [1, 0, 0]], [[1, 0, 0], [0, 0, 1]]])
_RING_PROBLEM = (_RING, _table([0.5, 0.5, 0]), _table([[0.8, 0.2], [0.5, 0.5], [0.25, 0.75]]))

_MISTAKES = Question(
    "q2", "Expected mistakes, step by step", "I2", {"expected_mistakes": expected_mistakes},
    difficulty=3, importance=5, minutes=20,
    values=(
        # On the rope at time 0 for certain, and wrong with probability 0.1.
        _mistakes_case("one step", (*_ROPE_PROBLEM, 1), _table([0.1]), points=1, by_hand=True),
        # Still on the rope before step t with probability 0.9ᵗ, so the cost is 1 − 0.9ᵗ⁺¹: 0.1, 1 − 0.81, 1 − 0.729.
        _mistakes_case("three steps on the tightrope", (*_ROPE_PROBLEM, 3), _table([0.1, 0.19, 0.271]),
                       points=2, by_hand=True),
        # Costs by state: 0.2·1, 0.5·1, 0.25·2 + 0.75·4 = 0.2, 0.5, 3.5.
        # p0 = (0.5, 0.5, 0): 0.1 + 0.25 = 0.35.
        # p1 = (0.5·0.5, 0.5·0.8, 0.5·0.2 + 0.5·0.5) = (0.25, 0.4, 0.35): 0.05 + 0.2 + 1.225 = 1.475.
        # p2 = (0.4·0.5 + 0.35·0.25, 0.25·0.8, 0.25·0.2 + 0.4·0.5 + 0.35·0.75) = (0.2875, 0.2, 0.5125):
        #      0.0575 + 0.1 + 1.79375 = 1.95125.
        _mistakes_case("three states with different odds", (*_RING_PROBLEM, _table([[0, 1], [1, 0], [2, 4]]), 3),
                       _table([0.35, 1.475, 1.95125]), points=2, by_hand=True),
    ),
    properties=(
        Case("where every action costs 1, every step costs 1",
             lambda f: f.expected_mistakes(*_RING_PROBLEM, torch.ones(3, 2, dtype=torch.float64), 8),
             torch.ones(8, dtype=torch.float64), "Probability is lost or gained on the way: the distribution must "
             "sum to 1 after every step.", points=1),
    ),
    seeded=_random_mistakes_cases,
)


# q3 — tightrope_cost(epsilon, horizon)

def tightrope_cost(epsilon: float, horizon: int) -> float:
    """T − (1−ε)(1−(1−ε)ᵀ)/ε, and 0 at ε = 0: the library's answer to q3."""
    return float(imitation.no_recovery_cost(_table(epsilon), _table(horizon)))


_TIGHTROPE_SLIPS = (
    (lambda e, T: e * T, "εT counts each slip as one lost step. On this rope a slip costs all the steps that follow, too."),
    (lambda e, T: e * T**2 / 2, "εT²/2 is only the approximation for εT ≪ 1. Give the exact sum."),
    (lambda e, T: e * T * (T + 1) / 2, "εT(T+1)/2 is a bound: it forgets that one can fall only once."),
    (lambda e, T: T * (1 - (1 - e) ** T), "You charge all T steps to everyone who ever falls. Who falls late pays for few."),
    (lambda e, T: T - (1 - (1 - e) ** T) / e if e else 0.0,
     "Nearly: a factor (1−ε) is missing. The step on which the fall happens is paid for as well."),
)


def _tightrope_case(title: str, epsilon: float, horizon: int, want: float, **more) -> Case:
    return Case(title, lambda f: f.tightrope_cost(epsilon, horizon), want,
                "Step t (from 0) is paid for unless all of the first t + 1 actions were right: 1 − (1−ε)ᵗ⁺¹. Sum that.",
                mistakes=tuple((slip(epsilon, horizon), hint) for slip, hint in _TIGHTROPE_SLIPS), **more)


def _random_tightrope_cases(seed: int) -> Iterator[Case]:
    random = generator(seed, "02_imitation q3")
    for low, high, longest, title in ((0.05, 0.9, 4, "two steps"), (0.05, 0.9, 20, "three steps"),
                                      (1e-6, 1e-3, 900, "a small error on a long walk"), (0, 0, 50, "no error at all")):
        epsilon = low + (high - low) * torch.rand((), generator=random, dtype=torch.float64).item()
        horizon = int(torch.randint(3, longest + 1, (), generator=random))
        yield _tightrope_case("random", epsilon, horizon, tightrope_cost(epsilon, horizon), confirms=title)


_TIGHTROPE = Question(
    "q3", "The tightrope in closed form", "I2", {"tightrope_cost": tightrope_cost},
    difficulty=2, importance=4, minutes=15,
    values=(
        # 0.25 + (1 − 0.75²) = 0.25 + 0.4375.
        _tightrope_case("two steps", 0.25, 2, 0.6875, points=1, by_hand=True),
        # 0.1 + (1 − 0.81) + (1 − 0.729) = 0.1 + 0.19 + 0.271.
        _tightrope_case("three steps", 0.1, 3, 0.561, points=1, by_hand=True),
        _tightrope_case("a small error on a long walk", 1e-4, 1000, tightrope_cost(1e-4, 1000), points=1),
        # Nobody falls.
        _tightrope_case("no error at all", 0.0, 10, 0.0, points=1, by_hand=True),
    ),
    properties=(
        # Falls at once and pays for every step.
        _tightrope_case("always in error", 1.0, 7, 7.0, points=1, by_hand=True),
    ),
    seeded=_random_tightrope_cases,
)

QUESTIONS = (_CLONE, _MISTAKES, _TIGHTROPE)
