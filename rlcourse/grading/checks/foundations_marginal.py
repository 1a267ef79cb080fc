"""Exercise 01, q1: one update of the state marginal with the transition operator."""

from collections.abc import Iterator

import torch
from torch import Tensor

from ...core.seeding import generator
from ...equations.foundations import next_marginal, transition_operator
from ..cases import Case, Question
from .tables import random_distributions, table

_SLIPS = (
    (lambda T, m, p: torch.einsum("ijk,i,ik->j", T, m, p),
     "The roles of i and j are exchanged: operator[i, j, k] leads from j to i, so the sum runs over j and "
     "k and leaves i."),
    (lambda T, m, p: torch.einsum("ijk,j,k->i", T, m, m @ p),
     "Your action does not know its state: you average the policy over the states first. In state j the "
     "action has the probabilities policy[j]."),
    (lambda T, m, p: T.sum(-1) @ m,
     "You add up all actions as if each were taken for certain. Weight action k in state j by policy[j, k]."),
    (lambda T, m, p: torch.einsum("ijk,jk->i", T, p),
     "Every state counts the same in your sum. Weight state j by its probability marginal[j]."),
    (lambda T, m, p: torch.einsum("ijk,j,jk->j", T, m, p),
     "This is the marginal that you began with: you sum over the next states. Sum over j and k, and leave i."),
)


def _case(title: str, problem: tuple[Tensor, Tensor, Tensor], want: Tensor, **more) -> Case:
    return Case(title, lambda f: f.next_marginal(*problem), want,
                "Sum operator[i, j, k] · policy[j, k] · marginal[j] over j and k.",
                mistakes=tuple((slip(*problem), hint) for slip, hint in _SLIPS), **more)


def _random_cases(seed: int) -> Iterator[Case]:
    random = generator(seed, "01_foundations q1")
    for states, actions, title in ((2, 2, "from one room"), (2, 3, "from two rooms"), (5, 3, "round a ring")):
        operator = transition_operator(random_distributions((states, actions, states), random))
        problem = (operator, random_distributions((states,), random),
                   random_distributions((states, actions), random))
        yield _case("random", problem, next_marginal(*problem), confirms=title)


# Two rooms, p(·|s, a) at [s, a]; and a ring: 0→1, 1→2, 2→0 by one action, 0→2, 1→0, 2→2 by the other.
ROOMS = table([[[0.9, 0.1], [0.2, 0.8]], [[0.5, 0.5], [1, 0]]])
ROOMS_POLICY = table([[0.75, 0.25], [0.4, 0.6]])
RING = table([[[0, 1, 0], [0, 0, 1]], [[0, 0, 1], [1, 0, 0]], [[1, 0, 0], [0, 0, 1]]])
_TO_ROOMS, _ROUND = transition_operator(ROOMS), transition_operator(RING)
_RING_POLICY = table([[0.8, 0.2], [0.5, 0.5], [0.25, 0.75]])
_FIVE = (transition_operator(random_distributions((5, 3, 5), generator(0, "01_foundations q1 mass"))),
         table([0.1, 0.2, 0.3, 0.2, 0.2]), random_distributions((5, 3), generator(1, "01_foundations q1 mass")))

QUESTION = Question(
    "q1", "One step of the state marginal", "F2", {"next_marginal": next_marginal},
    difficulty=1, importance=5, minutes=10,
    values=(
        # 0.75 · 0.9 + 0.25 · 0.2 = 0.725 stays in room 0.
        _case("from one room", (_TO_ROOMS, table([1, 0]), ROOMS_POLICY), table([0.725, 0.275]), points=1,
              by_hand=True),
        # From room 1 to room 0 with 0.4 · 0.5 + 0.6 · 1 = 0.8; 0.725 · 0.725 + 0.275 · 0.8 = 0.745625.
        _case("from two rooms", (_TO_ROOMS, table([0.725, 0.275]), ROOMS_POLICY), table([0.745625, 0.254375]),
              points=1, by_hand=True),
        # 0: 0.25·0.5 + 0.25·0.25; 1: 0.5·0.8; 2: 0.5·0.2 + 0.25·0.5 + 0.25·0.75.
        _case("round a ring", (_ROUND, table([0.5, 0.25, 0.25]), _RING_POLICY), table([0.1875, 0.4, 0.4125]),
              points=1, by_hand=True),
    ),
    properties=(
        Case("no probability is lost", lambda f: f.next_marginal(*_FIVE).sum(), table(1.0),
             "The new marginal does not sum to 1: which index do you sum over?", points=1),
    ),
    seeded=_random_cases,
)
