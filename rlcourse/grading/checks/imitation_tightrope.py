"""Exercise 02, q3: the cost on the unrecoverable tightrope in closed form."""

from collections.abc import Iterator

import torch

from ...core.seeding import generator
from ...equations.imitation import no_recovery_cost
from ..cases import Case, Question
from .tables import table


def tightrope_cost(epsilon: float, horizon: int) -> float:
    """T − (1−ε)(1−(1−ε)ᵀ)/ε, and 0 at ε = 0: the library's answer."""
    return float(no_recovery_cost(table(epsilon), table(horizon)))


_SLIPS = (
    (lambda e, T: e * T,
     "εT counts each slip as one lost step. On this rope a slip costs all the steps that follow, too."),
    (lambda e, T: e * T**2 / 2,
     "εT²/2 is only the approximation for εT ≪ 1. Give the exact sum."),
    (lambda e, T: e * T * (T + 1) / 2,
     "εT(T+1)/2 is a bound: it forgets that one can fall only once."),
    (lambda e, T: T * (1 - (1 - e) ** T),
     "You charge all T steps to everyone who ever falls. Who falls late pays for few."),
    (lambda e, T: T - (1 - (1 - e) ** T) / e if e else 0.0,
     "The step on which the fall happens is paid for as well. Nearly right: a factor (1−ε) is missing."),
)


def _case(title: str, epsilon: float, horizon: int, want: float, **more) -> Case:
    return Case(title, lambda f: f.tightrope_cost(epsilon, horizon), want,
                "Step t (from 0) is paid for unless all of the first t + 1 actions were right: "
                "1 − (1−ε)ᵗ⁺¹. Sum that.",
                mistakes=tuple((slip(epsilon, horizon), hint) for slip, hint in _SLIPS), **more)


def _random_cases(seed: int) -> Iterator[Case]:
    random = generator(seed, "02_imitation q3")
    for low, high, longest, title in ((0.05, 0.9, 4, "two steps"), (0.05, 0.9, 20, "three steps"),
                                      (1e-6, 1e-3, 900, "a small error on a long walk"),
                                      (0, 0, 50, "no error at all")):
        epsilon = low + (high - low) * torch.rand((), generator=random, dtype=torch.float64).item()
        horizon = int(torch.randint(3, longest + 1, (), generator=random))
        yield _case("random", epsilon, horizon, tightrope_cost(epsilon, horizon), confirms=title)


QUESTION = Question(
    "q3", "The tightrope in closed form", "I2", {"tightrope_cost": tightrope_cost},
    difficulty=2, importance=4, minutes=15,
    values=(
        # 0.25 + (1 − 0.75²) = 0.25 + 0.4375.
        _case("two steps", 0.25, 2, 0.6875, points=1, by_hand=True),
        # 0.1 + (1 − 0.81) + (1 − 0.729) = 0.1 + 0.19 + 0.271.
        _case("three steps", 0.1, 3, 0.561, points=1, by_hand=True),
        _case("a small error on a long walk", 1e-4, 1000, tightrope_cost(1e-4, 1000), points=1),
        # Nobody falls.
        _case("no error at all", 0.0, 10, 0.0, points=1, by_hand=True),
    ),
    properties=(
        # Falls at once and pays for every step.
        _case("always in error", 1.0, 7, 7.0, points=1, by_hand=True),
    ),
    seeded=_random_cases,
)
