"""Exercise 04, q5: what a critic that is wrong by a constant does to the advantages, on paper."""

from collections.abc import Callable, Iterator

import torch

from ...core.seeding import generator
from ...equations import returns
from ..cases import Case, Question


def bias(offset: float, discount: float, gae_lambda: float) -> float:
    """b = −c (1 − γ) / (1 − γλ): every δ is off by γc − c, and Â is the sum Σ (γλ)ˡ δₜ₊ₗ. For γλ < 1."""
    return offset * (discount - 1) / (1 - discount * gae_lambda)


def measured(offset: float, discount: float, gae_lambda: float, steps: int = 500) -> float:
    """The same by the library's recursion on a stream of rewards 0, where V^π = 0 and A^π = 0.

    500 steps stand for an endless stream: 0.95⁵⁰⁰ is 7e-12.
    """
    value = torch.full((steps, 1), offset, dtype=torch.float64)
    never = torch.zeros(steps, 1, dtype=torch.bool)
    advantage = returns.gae(torch.zeros_like(value), value, value, never, never, discount=discount,
                            gae_lambda=gae_lambda)
    return float(advantage[0, 0])


_SLIPS: tuple[tuple[Callable, str], ...] = (
    (lambda c, g, la: c * (1 - g) / (1 - g * la),
     "The sign is turned. δ contains + γ V(s') and − V(s): too much by γc, too little by c. A critic that is too "
     "optimistic makes everything that happens a disappointment."),
    (lambda c, g, la: -c * (1 - g),
     "That is the error of one δ, right for λ = 0. Â is a sum of them, Σ (γλ)ˡ δₜ₊ₗ, and each has this error."),
    (lambda c, g, la: -c,
     "That is right for λ = 1 alone, where of all values only V(sₜ) is left. For smaller λ the sum over the δ has "
     "the ratio γλ, not γ."),
    (lambda c, g, la: -c / (1 - g * la),
     "The error of V(s') is forgotten: δ contains + γ V(s') − V(s), so it is off by γc − c."),
    (lambda c, g, la: g * c / (1 - g * la),
     "The error of V(s) is forgotten: δ contains + γ V(s') − V(s), so it is off by γc − c."),
    (lambda c, g, la: 0.0,
     "The two errors in δ do not cancel quite: one is multiplied by γ. What is left of c?"),
    (lambda c, g, la: -c * (1 - g) / (1 - la) if la < 1 else float("inf"),
     "The sum has the ratio λ. In Σ (γλ)ˡ it is γλ: 1/(1 − γλ)."),
    (lambda c, g, la: -c * (1 - g) * (1 - g * la),
     "You multiply by 1 − γλ. A geometric series Σ (γλ)ˡ is 1 *divided* by it."),
    (lambda c, g, la: -c * (1 - g) * la / (1 - g * la),
     "Your sum begins with the factor λ: the first δ has the factor (γλ)⁰ = 1."),
    (lambda c, g, la: -c * (1 - g) * g * la / (1 - g * la),
     "Your sum leaves out its first term: δₜ itself, with the factor (γλ)⁰ = 1."),
    (lambda c, g, la: c * g * (1 - la) / (1 - g * la),
     "That is the bias of the λ-return, the target for the critic. The advantage subtracts V(s), which is too "
     "large by c."),
    (lambda c, g, la: -c * (1 - g) * (1 - la) / (1 - g * la),
     "A factor 1 − λ too many. It belongs to the weights of n-step estimates; the sum of the δ has (γλ)ˡ alone."),
    (lambda c, g, la: -(1 - g) / (1 - g * la),
     "Your result does not depend on c: twice the error of the critic is twice the bias."),
)


def _case(title: str, problem: tuple[float, float, float], want: float, **more) -> Case:
    return Case(title, lambda f: f.bias(*problem), want,
                "By how much is one δ off, if V(s) and V(s') are both too large by c? Then Â = Σ (γλ)ˡ δₜ₊ₗ.",
                mistakes=tuple((slip(*problem), hint) for slip, hint in _SLIPS), **more)


_PLACES = tuple((c, g, la) for c, g in ((2.0, 0.0), (0.5, 0.6), (-1.5, 0.95)) for la in (0.0, 0.5, 0.95, 1.0))


def _random_cases(seed: int) -> Iterator[Case]:
    random = generator(seed, "04_actor_critic q5")
    for title, gae_lambda in ((_ZERO, 0.0), (_ONE, 1.0), (_BETWEEN, None), (_OTHER, None)):
        offset, discount, between = torch.rand(3, generator=random, dtype=torch.float64).tolist()
        between = 0.2 + 0.6 * between if gae_lambda is None else gae_lambda
        problem = (4 * offset + 0.5, 0.3 + 0.6 * discount, between)
        yield _case("random", problem, bias(*problem), confirms=title)


_ZERO, _ONE = "λ = 0: one step", "λ = 1: the whole future"
_BETWEEN, _OTHER = "between the two", "a critic that is too pessimistic"

QUESTION = Question(
    "q5", "A critic that is wrong by a constant, on paper", "A6", {"bias": bias},
    difficulty=3, importance=4, minutes=15,
    values=(
        # 0.9 · 2 − 2.
        _case(_ZERO, (2.0, 0.9, 0.0), -0.2, points=1, by_hand=True),
        # Â is what comes, which is right, less V(s), which is too large by 3.
        _case(_ONE, (3.0, 0.9, 1.0), -3.0, points=1, by_hand=True),
        # δ is off by ½ − 1; 1 + ¼ + 1/16 + … = 4/3.
        _case(_BETWEEN, (1.0, 0.5, 0.5), -2 / 3, points=1, by_hand=True),
        # δ is off by −4 · ¾ + 4 = 1; γλ = 0.6, 1/0.4 = 2.5.
        _case(_OTHER, (-4.0, 0.75, 0.8), 2.5, points=1, by_hand=True),
    ),
    properties=(
        Case("as measured on long streams", lambda f: [f.bias(*place) for place in _PLACES],
             [measured(*place) for place in _PLACES],
             "Recursively the bias b satisfies b = c(γ − 1) + γλ b.", points=1),
    ),
    seeded=_random_cases,
)
