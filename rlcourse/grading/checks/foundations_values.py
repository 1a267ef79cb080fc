"""Exercise 01, q5: the bug hunt in value iteration."""

from collections.abc import Iterator

import torch
from torch import Tensor

from ...core.seeding import generator
from ...equations.foundations import bellman_optimality_backup
from ..cases import Case, Question
from .tables import random_distributions, table


def value_iteration(transition_probs: Tensor, reward_table: Tensor, discount: float, rounds: int) -> Tensor:
    """V after so many rounds of V ← maxₐ (r + γ P V) from V = 0 [S]: the library's answer."""
    value = torch.zeros_like(reward_table[:, 0])
    for _ in range(rounds):
        value = bellman_optimality_backup(value, transition_probs, reward_table, discount=discount)
    return value


def _rounds(backup, fewer: int = 0):
    def slip(P, r, discount, rounds):
        value = torch.zeros_like(r[:, 0])
        for _ in range(rounds - fewer):
            value = backup(value, P, r, discount)
        return value
    return slip


def _in_place(value, P, r, discount):
    value = value.clone()
    for s in range(len(value)):
        value[s] = (r[s] + discount * P[s] @ value).max()
    return value


_SLIPS = (
    (_rounds(lambda v, P, r, g: (g * (r + P @ v)).max(-1).values),
     "The reward is discounted as well, so that everything is too small by the factor γ. The reward of "
     "this step is paid now: only what follows is multiplied by γ."),
    (_rounds(lambda v, P, r, g: (r + P @ v).max(-1).values),
     "There is no discount. Multiply the value of the next state by γ."),
    (_rounds(lambda v, P, r, g: (r + g * P @ v).mean(-1)),
     "You average over the actions: that is the value of an aimless policy. Take the best action."),
    (_rounds(_in_place),
     "You overwrite values that this round still needs. That converges too (Gauss and Seidel), but it is "
     "another algorithm: compute all new values from the old ones."),
    (_rounds(lambda v, P, r, g: (r + g * P @ v).max(-1).values, fewer=1),
     "One round is missing: zero rounds give V = 0."),
)


def _case(title: str, problem: tuple, want: Tensor, **more) -> Case:
    return Case(title, lambda f: f.value_iteration(*problem), want,
                "Work out one round on paper: for every state, the best of r(s, a) + γ Σ p(s'|s, a) V(s').",
                mistakes=tuple((slip(*problem), hint) for slip, hint in _SLIPS), **more)


def _residual(f: object, P: Tensor, r: Tensor, discount: float) -> Tensor:
    """V − maxₐ (r + γ P V) of the value after many rounds."""
    value = torch.as_tensor(f.value_iteration(P, r, discount, 200), dtype=torch.float64)
    return value - bellman_optimality_backup(value, P, r, discount=discount)


def _random_cases(seed: int) -> Iterator[Case]:
    random = generator(seed, "01_foundations q5")
    for rounds, title in ((1, "one round"), (2, "two rounds"), (6, "three rounds of a gamble")):
        problem = (random_distributions((4, 3, 4), random), torch.randn(4, 3, generator=random, dtype=torch.float64),
                   0.5 + 0.4 * torch.rand((), generator=random, dtype=torch.float64).item(), rounds)
        yield _case("random", problem, value_iteration(*problem), confirms=title)


# A lane: goal, near, far. Actions: towards the goal, away. Entering the goal pays 1 and ends it all.
_LANE = table([[[1, 0, 0], [1, 0, 0]], [[1, 0, 0], [0, 0, 1]], [[0, 1, 0], [0, 0, 1]]])
_LANE_REWARD = table([[0, 0], [1, 0], [0, 0]])
# A gamble: 0 stays for 1, or risks nothing now to reach, half of the time, 1, which pays 8 and leads back.
_GAMBLE = table([[[1, 0], [0.5, 0.5]], [[1, 0], [1, 0]]])
_GAMBLE_REWARD = table([[1, 0], [8, 8]])

QUESTION = Question(
    "q5", "Bug hunt: a value iteration that converges to the wrong answer", "F5",
    {"value_iteration": value_iteration}, difficulty=2, importance=5, minutes=15,
    values=(
        # Only the step from near to the goal pays.
        _case("one round", (_LANE, _LANE_REWARD, 0.9, 1), table([0, 1, 0]), points=1, by_hand=True),
        # far: 0 + 0.9 · 1.
        _case("two rounds", (_LANE, _LANE_REWARD, 0.9, 2), table([0, 1, 0.9]), points=1, by_hand=True),
        # γ = ½. Round 1: (1, 8). Round 2: max(1.5, ½(4 + 0.5)) = 2.25; 8 + 0.5.
        # Round 3: max(1 + 1.125, ½(4.25 + 1.125)) = 2.6875; 8 + 1.125.
        _case("three rounds of a gamble", (_GAMBLE, _GAMBLE_REWARD, 0.5, 3), table([2.6875, 9.125]), points=2,
              by_hand=True),
    ),
    properties=(
        Case("in the end Bellman's equation holds", lambda f: _residual(f, _GAMBLE, _GAMBLE_REWARD, 0.5),
             table([0, 0]), "It converges, but not to a solution of V = maxₐ (r + γ P V).", points=1),
    ),
    seeded=_random_cases,
)
