"""Exercise 01, q3: the discounted value of a machine that breaks, in closed form."""

from collections.abc import Iterator

import torch

from ...core.seeding import generator
from ...envs.tabular import TabularMDP
from ...exact.evaluation import policy_evaluation
from ..cases import Case, Question
from .tables import table


def machine_value(break_prob: float, repair_prob: float, discount: float) -> float:
    """(1 − γ(1−q)) / ((1 − γ)(1 − γ(1−p−q))), found by a linear solve: the library's answer."""
    chain = table([[[1 - break_prob, break_prob]], [[repair_prob, 1 - repair_prob]]])
    machine = TabularMDP(chain, table([[1], [0]]), table([1, 0]))
    return policy_evaluation(machine, table([[1], [1]]), discount)[0].item()


_SLIPS = (
    (lambda p, q, g: q / ((p + q) * (1 - g)) if p + q else 0.0,
     "This is the long-run share of working time over 1 − γ. But the machine starts working, and with a "
     "discount the beginning counts most."),
    (lambda p, q, g: g * q / ((1 - g) * (1 - g * (1 - p - q))),
     "This is the value of a *broken* machine. It starts working."),
    (lambda p, q, g: (1 - g) * machine_value(p, q, g),
     "A factor 1/(1 − γ) is missing: the occupancy is a distribution, the value is a sum."),
    (lambda p, q, g: 1 / (1 - g * (1 - p)),
     "You let it earn until it first breaks. After a repair it earns again."),
)


def _case(title: str, p: float, q: float, discount: float, want: float, **more) -> Case:
    return Case(title, lambda f: f.machine_value(p, q, discount), want,
                "Write down both Bellman equations, for V(working) and V(broken), and eliminate V(broken).",
                mistakes=tuple((slip(p, q, discount), hint) for slip, hint in _SLIPS), **more)


def _random_cases(seed: int) -> Iterator[Case]:
    random = generator(seed, "01_foundations q3")
    for title in ("every chance a half", "broken every other step", "never repaired", "a reliable machine"):
        p, q, discount = (0.1 + 0.8 * torch.rand(3, generator=random, dtype=torch.float64)).tolist()
        p, q = {"broken every other step": (1.0, 1.0), "never repaired": (p, 0.0)}.get(title, (p, q))
        yield _case("random", p, q, discount, machine_value(p, q, discount), confirms=title)


QUESTION = Question(
    "q3", "A machine in closed form", "F4", {"machine_value": machine_value},
    difficulty=2, importance=3, minutes=15,
    values=(
        # V = 1 + ½(½V + ½B), B = ½(½V + ½B): B = V/3, so V = 1 + V/3 and V = 3/2.
        _case("every chance a half", 0.5, 0.5, 0.5, 1.5, points=1, by_hand=True),
        # Pays on every other step: 1 + γ² + γ⁴ + … = 1/(1 − 0.81).
        _case("broken every other step", 1.0, 1.0, 0.9, 1 / 0.19, points=1, by_hand=True),
        # Still working at step t with probability 0.8ᵗ: Σ (0.9 · 0.8)ᵗ = 1/(1 − 0.72).
        _case("never repaired", 0.2, 0.0, 0.9, 1 / 0.28, points=1, by_hand=True),
        _case("a reliable machine", 0.01, 0.2, 0.99, machine_value(0.01, 0.2, 0.99), points=1),
    ),
    properties=(
        # Pays 1 on every step: 1/(1 − 0.9).
        _case("never breaks", 0.0, 0.3, 0.9, 10.0, points=1, by_hand=True),
    ),
    seeded=_random_cases,
)
