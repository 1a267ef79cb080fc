"""Exercise 05b, q2: the mean of the larger of two noisy values, and of a second opinion on it, in closed form."""

from collections.abc import Callable, Iterator
from math import erf, exp, pi, sqrt

import torch

from ...core.seeding import generator, uniforms
from ...exact import max_bias
from ..cases import Case, Question

Place = tuple[float, ...]


def expected_max(mean_1: float, mean_2: float, std_1: float, std_2: float) -> float:
    """E max(Q̂₁, Q̂₂), by the library's quadrature."""
    return max_bias.expected_max(_pair(mean_1, mean_2), _pair(std_1, std_2))


def expected_double(mean_1: float, mean_2: float, std_1: float, std_2: float, correlation: float) -> float:
    """E Q̂'(argmax Q̂), by the library's quadrature."""
    return max_bias.expected_double(_pair(mean_1, mean_2), _pair(std_1, std_2), correlation=correlation)


def _pair(first: float, second: float) -> torch.Tensor:
    return torch.tensor([first, second], dtype=torch.float64)


def _below(x: float) -> float:
    return 0.5 * (1 + erf(x / sqrt(2)))


def _density(x: float) -> float:
    return exp(-0.5 * x * x) / sqrt(2 * pi)


def _spread(std_1: float, std_2: float) -> float:
    return sqrt(std_1**2 + std_2**2)


def _form(share: Callable = lambda z, s: s * _density(z), first: Callable = _below,
          spread: Callable = _spread, sign: float = 1.0) -> Callable[..., float]:
    """a Φ(z) + b Φ(−z) + s φ(z) with another last term, another Φ, another s, or another sign of z."""
    def slip(a, b, std_1, std_2):
        s = spread(std_1, std_2)
        z = sign * (a - b) / s
        return a * first(z) + b * (1 - first(z)) + share(z, s)
    return slip


def _chosen(a: float, b: float, std_1: float, std_2: float) -> float:
    return _form(lambda z, s: 0.0)(a, b, std_1, std_2)


def _single(a: float, b: float, std_1: float, std_2: float) -> float:
    return _form()(a, b, std_1, std_2)


# The order matters where two slips give the same number.
_MAX: tuple[tuple[Callable, str], ...] = (
    (lambda a, b, s, t: max(a, b),
     "That is the larger of the two true values, max E. The mean of the maximum is larger: E max ≥ max E, with "
     "equality only without noise."),
    (_chosen,
     "The gain from the noise is missing: that is how much the chosen action is really worth. That it was chosen "
     "says that its noise was high, and this adds s φ(z)."),
    (_form(sign=-1.0), "z is turned: with z = (a − b)/s the first action is the larger one with probability Φ(z)."),
    (_form(spread=lambda s, t: s + t),
     "The standard deviations add in the square: the difference of both has the spread s = √(σ² + τ²)."),
    (_form(spread=lambda s, t: s * s + t * t),
     "σ² + τ² is the variance of the difference. z is measured in standard deviations, s = √(σ² + τ²)."),
    (_form(spread=lambda s, t: sqrt((s * s + t * t) / 2)),
     "The variance of a difference of independent numbers is the *sum* of both variances, not their mean."),
    (_form(lambda z, s: _density(z)), "The last term is in units of Q: s φ(z), not φ(z) alone."),
    (_form(lambda z, s: -s * _density(z)), "The sign of s φ(z) is turned: noise makes the maximum larger."),
    (lambda a, b, s, t: a + b - _single(a, b, s, t), "That is the mean of the *smaller* one."),
    (_form(lambda z, s: s * exp(-0.5 * z * z)), "In φ the factor 1/√(2π) is missing."),
    (_form(first=lambda z: 0.5 * (1 + erf(z))), "In Φ the √2 is missing: Φ(z) = ½ (1 + erf(z/√2))."),
    (_form(first=erf), "erf is not Φ: Φ(z) = ½ (1 + erf(z/√2))."),
    (lambda a, b, s, t: max(a, b) + _spread(s, t) * _density(0),
     "The bias is s/√(2π) only where both means are equal. Where one is far better the other hardly ever wins, and the "
     "bias goes to 0."),
    (lambda a, b, s, t: (a + b) / 2 + _spread(s, t) * _density(0),
     "That is right where both means are equal. Here the better one is chosen more often: Φ(z)."),
    (lambda a, b, s, t: (a + b) / 2 + s / sqrt(pi),
     "That is right for equal means *and* equal noise alone."),
    (lambda a, b, s, t: (a + b) / 2, "That is the mean over both actions: the mean of one chosen blindly."),
)
_DOUBLE: tuple[tuple[Callable, str], ...] = (
    (lambda a, b, s, t, c: _chosen(a, b, s, t),
     "The correlation has no effect in yours. For c = 0 that is right; for c = 1 both opinions are one and the same, "
     "and the whole bias is back."),
    (lambda a, b, s, t, c: _single(a, b, s, t),
     "That is what a single estimator says, as for c = 1. An independent opinion knows nothing of the noise that "
     "made the choice."),
    (lambda a, b, s, t, c: max(a, b),
     "That is the larger true value. The choice is made by noisy numbers and is sometimes wrong, so that the chosen "
     "action is worth less on average: double Q-learning underestimates."),
    (lambda a, b, s, t, c: c * _single(a, b, s, t),
     "Only the *noise* is shared by c, the true value of the chosen action is there in any case: "
     "m + c (E max − m), not c · E max."),
    (lambda a, b, s, t, c: _chosen(a, b, s, t) + (1 - c) * (_single(a, b, s, t) - _chosen(a, b, s, t)),
     "The correlation is turned round: c = 0 is the independent opinion."),
    (lambda a, b, s, t, c: _chosen(a, b, s, t) + c * c * (_single(a, b, s, t) - _chosen(a, b, s, t)),
     "Given that Q̂ is d too high, Q̂' is c d too high on average, not c² d."),
    (lambda a, b, s, t, c: max(a, b) + c * (_single(a, b, s, t) - max(a, b)),
     "For c = 0 the true value of the *chosen* action is left, not the larger one of both: noise chooses wrongly "
     "sometimes."),
    (lambda a, b, s, t, c: _form(lambda z, s: c * s * _density(z), sign=-1.0)(a, b, s, t),
     "z is turned: with z = (a − b)/s the first action is chosen with probability Φ(z)."),
    (lambda a, b, s, t, c: _chosen(a, b, s, t) - c * (_single(a, b, s, t) - _chosen(a, b, s, t)),
     "The sign of the shared noise is turned: what made Q̂ high makes a correlated Q̂' high too."),
    (lambda a, b, s, t, c: (a + b) / 2, "That is the mean over both actions. The better one is chosen more often."),
)


def _max_case(title: str, places: tuple[Place, ...], want: list[float], **more) -> Case:
    return Case(title, lambda f: [f.expected_max(*place) for place in places], want,
                "a Φ(z) + b Φ(−z) + s φ(z), with z = (a − b)/s and s² the variance of Q̂₁ − Q̂₂.",
                mistakes=tuple(([slip(*place) for place in places], hint) for slip, hint in _MAX), **more)


def _double_case(title: str, places: tuple[Place, ...], want: list[float], **more) -> Case:
    return Case(title, lambda f: [f.expected_double(*place) for place in places], want,
                "The true value of the action chosen, on average, and of the noise the share c.",
                mistakes=tuple(([slip(*place) for place in places], hint) for slip, hint in _DOUBLE), **more)


def _ordered(f: object) -> list:
    """How much double is above the larger true value, and this above single (never), for independent opinions."""
    return [max(0.0, *(f.expected_double(*place, 0.0) - max(place[:2]) for place in _PLACES)),
            max(0.0, *(max(place[:2]) - f.expected_max(*place) for place in _PLACES))]


_PLACES: tuple[Place, ...] = tuple((a, 1.0, s, t) for a in (-1.0, 0.5, 1.2, 3.0) for s in (0.3, 2.0)
                                   for t in (0.5, 1.0))
_EQUAL, _UNEQUAL, _FAR = "equal means", "unequal means", "one far better"
_SECOND, _SHARED, _ORDER = "a second opinion", "two opinions that share noise", "under and over"


def _random_cases(seed: int) -> Iterator[Case]:
    random = generator(seed, "05b_q_in_practice q2")

    def draw(count: int) -> list:
        mean = 2 * torch.randn(count, 2, generator=random, dtype=torch.float64)
        return torch.cat([mean, 0.3 + 1.5 * uniforms((count, 2), random).double()], 1).tolist()
    equal = tuple((a, a, s, t) for a, _, s, t in draw(3))
    yield _max_case("random", equal, [expected_max(*place) for place in equal], confirms=_EQUAL)
    places = tuple((a, a + 0.3 + 0.2 * abs(b), s, t) for a, b, s, t in draw(4))
    yield _max_case("random", places, [expected_max(*place) for place in places], confirms=_UNEQUAL)
    far = tuple((a, a - 12.0, s, t) for a, _, s, t in draw(3))
    yield _max_case("random", far, [expected_max(*place) for place in far], confirms=_FAR)
    independent = tuple((*place, 0.0) for place in places)
    yield _double_case("random", independent, [expected_double(*place) for place in independent], confirms=_SECOND)
    shared = tuple((*place, c) for place, c in zip(draw(4), (0.1, 0.35, 0.7, 0.95)))
    yield _double_case("random", shared, [expected_double(*place) for place in shared], confirms=_SHARED)


QUESTION = Question(
    "q2", "Too large, on paper", "Q6", {"expected_max": expected_max, "expected_double": expected_double},
    difficulty=3, importance=4, minutes=20,
    values=(
        # z = 0, s = √(3² + 4²) = 5: 0 + 5/√(2π) = 5 · 0.3989422804; the same, and 2 more.
        _max_case(_EQUAL, ((0.0, 0.0, 3.0, 4.0), (2.0, 2.0, 4.0, 3.0)), [1.994711402, 3.994711402], points=1,
                  by_hand=True),
        # s = √(0.36 + 0.64) = 1, z = 1 and −1: 1 · 0.8413447461 + 0 + 0.2419707245, and the same for the other order.
        _max_case(_UNEQUAL, ((1.0, 0.0, 0.6, 0.8), (0.0, 1.0, 0.8, 0.6)), [1.0833154706, 1.0833154706], points=1,
                  by_hand=True),
        # z = 20: the first one wins always, and nothing is gained.
        _max_case(_FAR, ((7.0, -13.0, 0.6, 0.8), (-13.0, 7.0, 0.6, 0.8)), [7.0, 7.0], points=1, by_hand=True),
        # The better action is chosen with probability 0.8413447461: worth 1 then, else 0. Equal ones: 2.
        _double_case(_SECOND, ((1.0, 0.0, 0.6, 0.8, 0.0), (2.0, 2.0, 3.0, 4.0, 0.0)), [0.8413447461, 2.0], points=1,
                     by_hand=True),
        # 0.8413447461 + 0.2419707245/2; 2 + 1.994711402/4; with c = 1 as for one estimator.
        _double_case(_SHARED, ((1.0, 0.0, 0.6, 0.8, 0.5), (2.0, 2.0, 3.0, 4.0, 0.25), (0.0, 1.0, 0.8, 0.6, 1.0)),
                     [0.96233010835, 2.4986778505, 1.0833154706], points=1, by_hand=True),
    ),
    properties=(
        Case(_ORDER, _ordered, [0.0, 0.0],
             "For every noise: an independent second opinion on average says no more than the larger true value, one "
             "opinion alone no less.", points=1),
    ),
    seeded=_random_cases,
)
