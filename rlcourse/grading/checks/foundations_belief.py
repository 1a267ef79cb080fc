"""Exercise 01, q2: Bayes' filter."""

from collections.abc import Iterator

import torch
from torch import Tensor

from ...core.seeding import generator
from ...equations import foundations
from ..cases import Case, Question
from .foundations_marginal import RING, ROOMS
from .tables import random_distributions, table


def belief_update(belief: Tensor, action: int, observation: int, transition_probs: Tensor,
                  observation_probs: Tensor) -> Tensor:
    """The library's answer, for one action and one observation."""
    return foundations.belief_update(belief, torch.tensor(action), torch.tensor(observation), transition_probs,
                                     observation_probs)


def _share(weights: Tensor) -> Tensor:
    return weights / weights.sum()


_SLIPS = (
    (lambda b, a, o, P, E: (b @ P[:, a]) * E[:, o],
     "The result does not sum to 1: divide by its sum, which is p(o'|history, a)."),
    (lambda b, a, o, P, E: _share(b * E[:, o]) @ P[:, a],
     "You correct before you predict. The observation was made *after* the move: predict with the action "
     "first, then weigh with the observation."),
    (lambda b, a, o, P, E: _share(b * E[:, o]),
     "You weigh with the observation but forget the move: first carry the belief through p(s'|s, a)."),
    (lambda b, a, o, P, E: b @ P[:, a],
     "This is the prediction alone. Multiply it by p(o'|s') and normalise."),
    (lambda b, a, o, P, E: _share((P[:, a] @ b) * E[:, o]),
     "The move runs backwards: transition_probs[s, a, n] leads from s to n, so sum over its *first* index."),
)


def _case(title: str, problem: tuple, want: Tensor, **more) -> Case:
    return Case(title, lambda f: f.belief_update(*problem), want,
                "Two lines: the prediction Σ_s b(s) p(s'|s, a); then times p(o'|s'), divided by the sum.",
                mistakes=tuple((slip(*problem), hint) for slip, hint in _SLIPS), **more)


def _random_cases(seed: int) -> Iterator[Case]:
    random = generator(seed, "01_foundations q2")
    for states, title in ((2, "a look at one room"), (2, "a look at the other"), (5, "three states")):
        problem = (random_distributions((states,), random), int(torch.randint(2, (), generator=random)),
                   int(torch.randint(3, (), generator=random)), random_distributions((states, 2, states), random),
                   0.1 + 0.7 * random_distributions((states, 3), random))
        problem = (*problem[:4], problem[4] / problem[4].sum(-1, keepdim=True))
        yield _case("random", problem, belief_update(*problem), confirms=title)


_LOOK = table([[0.9, 0.1], [0.1, 0.9]])
_THREE = (table([0.2, 0.5, 0.3]), 1, 2, 0.5 * RING + 0.5 / 3,
          table([[0.6, 0.3, 0.1], [0.1, 0.7, 0.2], [0.2, 0.1, 0.7]]))
_BLIND = (table([0.5, 0.5]), 0, 1, ROOMS, table([[0.5, 0.5], [0.5, 0.5]]))

QUESTION = Question(
    "q2", "Keep a belief", "F3", {"belief_update": belief_update}, difficulty=2, importance=4, minutes=15,
    values=(
        # Prediction (0.25·0.9 + 0.75·0.5, 0.25·0.1 + 0.75·0.5) = (0.6, 0.4); weighed (0.54, 0.04) = (27, 2)/29.
        _case("a look at one room", (table([0.25, 0.75]), 0, 0, ROOMS, _LOOK), table([27 / 29, 2 / 29]), points=1,
              by_hand=True),
        # Prediction (0.25·0.2 + 0.75·1, 0.25·0.8) = (0.8, 0.2); weighed (0.08, 0.18) = (4, 9)/13.
        _case("a look at the other", (table([0.25, 0.75]), 1, 1, ROOMS, _LOOK), table([4 / 13, 9 / 13]), points=2,
              by_hand=True),
        _case("three states", _THREE, belief_update(*_THREE), points=1),
    ),
    properties=(
        # The prediction alone: (0.5·0.9 + 0.5·0.5, 0.5·0.1 + 0.5·0.5) = (0.7, 0.3).
        Case("a look that says nothing", lambda f: f.belief_update(*_BLIND), table([0.7, 0.3]),
             "Where every state gives the same observation, only the move changes the belief.", points=1,
             by_hand=True),
    ),
    seeded=_random_cases,
)
