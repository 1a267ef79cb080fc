"""Exercise 02, q1: behaviour cloning in a table."""

from collections.abc import Iterator

import torch
from torch import Tensor

from ...core.seeding import generator
from ...equations.imitation import clone
from ..cases import Case, Question
from .tables import random_distributions, table


def _over_the_wrong_axis(counts: Tensor, fallback: Tensor) -> Tensor:
    return counts / counts.sum(0)


def _over_everything(counts: Tensor, fallback: Tensor) -> Tensor:
    return counts / counts.sum()


def _without_a_guard(counts: Tensor, fallback: Tensor) -> Tensor:
    return counts / counts.sum(-1, keepdim=True)


def _most_frequent_only(counts: Tensor, fallback: Tensor) -> Tensor:
    best = torch.nn.functional.one_hot(counts.argmax(-1), counts.shape[-1]).to(counts.dtype)
    return torch.where(counts.sum(-1, keepdim=True) > 0, best, fallback)


def _uniform_without_data(counts: Tensor, fallback: Tensor) -> Tensor:
    return clone(counts, torch.full_like(fallback, 1 / len(fallback)))


def _fallback_mixed_in(counts: Tensor, fallback: Tensor) -> Tensor:
    return (counts + fallback) / (counts + fallback).sum(-1, keepdim=True)


_SLIPS = (
    (_over_the_wrong_axis,
     "You divide by the sum over the states. π(a|s) is a distribution over the actions of one state: "
     "each row sums to 1."),
    (_over_everything,
     "You divided by the total of the whole table: that is how often s and a were seen together. "
     "π(a|s) asks what was done *in s*: divide each row by its own sum."),
    (_without_a_guard,
     "A state without data divides 0 by 0, which is NaN. Give those rows the fallback."),
    (_most_frequent_only,
     "You keep only the most frequent action. The maximum-likelihood policy copies the frequencies: "
     "3 of 4 times is 0.75."),
    (_uniform_without_data,
     "States without data get a uniform row here; they should get `fallback`."),
    (_fallback_mixed_in,
     "You add the fallback to the counts of every state. It is for the states without data only."),
)


def _mistakes(counts: Tensor, fallback: Tensor) -> tuple[tuple[Tensor, str], ...]:
    """Each slip as it is, and with the fallback given to the states without data as it should be."""
    seen = counts.sum(-1, keepdim=True) > 0
    policies = [(slip(counts, fallback), hint) for slip, hint in _SLIPS]
    return tuple((either, hint) for policy, hint in policies
                 for either in (policy, torch.where(seen, policy, fallback)))


def _case(title: str, counts: Tensor, fallback: Tensor, want: Tensor, **more) -> Case:
    return Case(title, lambda f: f.clone(counts, fallback), want,
                "Count how often each action was taken in each state, and divide by the row's total.",
                mistakes=_mistakes(counts, fallback), **more)


def _random_cases(seed: int) -> Iterator[Case]:
    random = generator(seed, "02_imitation q1")
    for states, actions in ((2, 3), (4, 2), (7, 5)):
        counts = torch.randint(0, 9, (states, actions), generator=random).to(torch.float64)
        counts[:, 0] += 1
        fallback = random_distributions((actions,), random)
        yield _case("random", counts, fallback, clone(counts, fallback),
                    confirms="two states" if states == 2 else "three states")
        gaps = torch.cat([counts, torch.zeros(2, actions, dtype=torch.float64)])
        yield _case("random", gaps, fallback, clone(gaps, fallback), confirms="a state without data")


_GAPS = table([[0, 9, 4], [5, 1, 1], [0, 0, 0], [7, 0, 2]])

QUESTION = Question(
    "q1", "Behaviour cloning in a table", "I1", {"clone": clone}, difficulty=1, importance=5, minutes=10,
    values=(
        # In state 0, 3 of 4 demonstrations take action 0; in state 1, 1 of 2: 3/4 1/4, 1/2 1/2.
        _case("two states", table([[3, 1], [1, 1]]), table([0.9, 0.1]), table([[0.75, 0.25], [0.5, 0.5]]),
              points=1, by_hand=True),
        # Rows have 4, 2 and 8 demonstrations: 3/4 1/4, 0/2 2/2, 2/8 6/8.
        _case("three states", table([[3, 1], [0, 2], [2, 6]]), table([0.1, 0.9]),
              table([[0.75, 0.25], [0, 1], [0.25, 0.75]]), points=1, by_hand=True),
        # 2/4 2/4 0/4; the second row has no data and takes the fallback as it is; 0/4 3/4 1/4.
        _case("a state without data", table([[2, 2, 0], [0, 0, 0], [0, 3, 1]]), table([0.2, 0.5, 0.3]),
              table([[0.5, 0.5, 0], [0.2, 0.5, 0.3], [0, 0.75, 0.25]]), points=1, by_hand=True),
    ),
    properties=(
        Case("every row sums to 1", lambda f: f.clone(_GAPS, table([0.6, 0.3, 0.1])).sum(-1),
             torch.ones(4, dtype=torch.float64),
             "π(a|s) must sum to 1 over the actions in every state.", points=1),
    ),
    seeded=_random_cases,
)
