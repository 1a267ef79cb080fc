"""Exercise 05a, q7: by which factor the one weight of the two-state problem grows, on paper."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ...core.seeding import generator, uniforms
from ...envs.divergence import two_state
from ...exact import operators
from ..cases import Case, Question


def step_factor(share: float, learning_rate: float, discount: float) -> float:
    """1 + α [p (2γ − 1) + 4 (1 − p)(γ − 1)]: errors γ·2w − w and γ·2w − 2w, times the features 1 and 2."""
    return 1 + learning_rate * (share * (2 * discount - 1) + 4 * (1 - share) * (discount - 1))


def regression_factor(share: float, discount: float) -> float:
    """2γ (2 − p)/(4 − 3p): Σ d φ y / Σ d φ² with the targets y = γ·2w in both states."""
    return 2 * discount * (2 - share) / (4 - 3 * share)


def largest_discount(share: float) -> float:
    """(4 − 3p)/(4 − 2p): where either factor is 1."""
    return (4 - 3 * share) / (4 - 2 * share)


def measured(share: float, learning_rate: float, discount: float) -> tuple[float, float]:
    """Both factors from the library's operators on its two-state problem."""
    problem = two_state(discount)
    backup = operators.policy_backup_matrix(problem.mdp, problem.evaluation, discount)
    weights = torch.tensor([share, 1 - share], dtype=torch.float64)
    step = operators.iteration_matrix(operators.semi_gradient(backup, problem.features, weights), learning_rate)
    return float(step), float(operators.fitted_iteration(backup, problem.features, weights).matrix)


_STEP: tuple[tuple[Callable, str], ...] = (
    (lambda p, a, g: 1 - a * (p * (2 * g - 1) ** 2 + (1 - p) * (2 * g - 2) ** 2),
     "That is the residual gradient: the target depends on w too, but the semi-gradient holds it fixed. The direction "
     "is the error times φ(s), the slope of V(s) alone."),
    (lambda p, a, g: 1 + a * (p * (2 * g - 1) + (1 - p) * (2 * g - 2)),
     "The slope of V(s) is missing: each error is multiplied by φ(s), 1 in the first state and 2 in the second."),
    (lambda p, a, g: 1 + a * (p * (g - 1) + (1 - p) * 2 * (g - 2)),
     "Where do the steps lead? Under the policy in question always to the second state: both targets are γ · 2w."),
    (lambda p, a, g: 1 + a * (p * (2 * g - 1) + (1 - p) * 2 * (g - 2)),
     "The second state leads to itself: its target is γ · 2w, not γ · w."),
    (lambda p, a, g: 1 + a * ((1 - p) * (2 * g - 1) + 4 * p * (g - 1)),
     "The shares are exchanged: p is the share of the first state, where φ = 1."),
    (lambda p, a, g: 1 + a * ((2 * g - 1) + 4 * (g - 1)),
     "Each state counts with its share of the data, p and 1 − p."),
    (lambda p, a, g: 1 + a * p * (2 * g - 1),
     "The second state is missing: its error γ · 2w − 2w has the share 1 − p."),
    (lambda p, a, g: a * (p * (2 * g - 1) + 4 * (1 - p) * (g - 1)),
     "That is the change of w, in units of w. The factor is 1 plus that."),
    (lambda p, a, g: 1 - a * (p * (2 * g - 1) + 4 * (1 - p) * (g - 1)),
     "The sign is turned: w moves so that V(s) comes closer to the target, by α times (target − V(s)) φ(s)."),
)
_REGRESSION: tuple[tuple[Callable, str], ...] = (
    (lambda p, g: g * (1 + p),
     "That is the mean of the weights that would fit each state alone. The regression minimises a sum of squares: set "
     "its derivative to zero."),
    (lambda p, g: 2 * g * (1 + p) / (1 + 3 * p),
     "The shares are exchanged: p is the share of the first state, where φ = 1."),
    (lambda p, g: 2 * g / (2 - p),
     "Setting the derivative to zero, every term is multiplied by φ(s) once more: Σ d φ (φ w' − y) = 0."),
    (lambda p, g: 6 * g / 5, "That is right for p = ½. Each state counts with its share, p and 1 − p."),
    (lambda p, g: 2 * (2 - p) / (4 - 3 * p), "γ is forgotten: the targets are γ · 2w."),
    (lambda p, g: g * (2 - p) / (4 - 3 * p),
     "The targets are the discounted value of the *second* state, γ · 2w."),
    (lambda p, g: g * (4 - 3 * p) / (4 - 3 * p),
     "The exact backup would make every value γ times smaller. The second state is fitted only as far as the first "
     "lets it."),
    (lambda p, g: g * (p + 4 * (1 - p)) / (4 - 3 * p),
     "The first state's target is γ · 2w too: it leads to the second state."),
    (lambda p, g: (4 - 3 * p) / (2 * g * (2 - p)), "That is the old weight over the new one: turn it round."),
)
_LARGEST: tuple[tuple[Callable, str], ...] = (
    (lambda p: 0.5, "That is right for p = 1, data from the first state alone. The second state pulls w down."),
    (lambda p: 5 / 6, "That is right for p = ½. It depends on the share."),
    (lambda p: (4 - 2 * p) / (4 - 3 * p), "It is turned round: a discount is at most 1. Where is the factor 1?"),
    (lambda p: (1 + 3 * p) / (2 + 2 * p),
     "The shares are exchanged: p is the share of the first state, where φ = 1."),
    (lambda p: (2 - p) / (4 - 3 * p),
     "Set your second factor to 1 and solve for γ, or what α multiplies in the first to 0: both give the same."),
    (lambda p: 1.0, "For p > 0 the weight grows before γ reaches 1: look at the factor for γ = 0.99."),
)


def _case(title: str, name: str, places: tuple[tuple, ...], want: list[float],
          slips: tuple[tuple[Callable, str], ...], hint: str, **more) -> Case:
    return Case(title, lambda f: [getattr(f, name)(*place) for place in places], want, hint,
                mistakes=tuple(([slip(*place) for place in places], text) for slip, text in slips), **more)


def _step_case(title: str, places: tuple[tuple[float, float, float], ...], want: list[float], **more) -> Case:
    return _case(title, "step_factor", places, want, _STEP,
                 "Two errors, γ · 2w − w and γ · 2w − 2w; each times its φ, its share and α; add w, divide by w.",
                 **more)


def _regression_case(title: str, places: tuple[tuple[float, float], ...], want: list[float], **more) -> Case:
    return _case(title, "regression_factor", places, want, _REGRESSION,
                 "Minimise p (w' − y)² + (1 − p)(2w' − y)² over w', with y = γ · 2w.", **more)


def _largest_case(title: str, places: tuple[tuple[float], ...], want: list[float], **more) -> Case:
    return _case(title, "largest_discount", places, want, _LARGEST, "For which γ is the factor exactly 1?", **more)


def _against_measured(f: object) -> Tensor:
    """Both factors [places, 2]."""
    return torch.tensor([[f.step_factor(share, rate, discount), f.regression_factor(share, discount)]
                         for share, rate, discount in _PLACES], dtype=torch.float64)


_PLACES = tuple((share, rate, discount) for share in (0.1, 0.5, 0.8) for rate in (0.05, 0.3)
                for discount in (0.4, 0.9, 0.99))
_ALONE, _MIXED, _FIT, _EDGE = "one step, first state alone", "one step, both states", "a regression", "the largest γ"


def _random_cases(seed: int) -> Iterator[Case]:
    random = generator(seed, "05a_q_learning q7")
    share, rate, discount = (0.2 + 0.6 * uniforms((3, 3), random).double()).tolist()
    alone = tuple((1.0, *place) for place in zip(rate, discount))
    yield _step_case("random", alone, [step_factor(*place) for place in alone], confirms=_ALONE)
    mixed = tuple(zip(share, rate, discount))
    yield _step_case("random", mixed, [measured(*place)[0] for place in mixed], confirms=_MIXED)
    fits = tuple(zip(share, discount))
    yield _regression_case("random", fits, [measured(p, 0.1, g)[1] for p, g in fits], confirms=_FIT)
    yield _largest_case("random", tuple((p,) for p in share), [largest_discount(p) for p in share], confirms=_EDGE)


QUESTION = Question(
    "q7", "Where the weight grows, on paper", "Q2",
    {"step_factor": step_factor, "regression_factor": regression_factor, "largest_discount": largest_discount},
    difficulty=3, importance=4, minutes=20,
    values=(
        # 1 + ½ (2 · ¾ − 1); 1 + ½ (0 − 1); 1 + (1 − 1) · 0.1.
        _step_case(_ALONE, ((1.0, 0.5, 0.75), (1.0, 0.5, 0.0), (1.0, 0.1, 0.5)), [1.25, 0.5, 1.0], points=1,
                   by_hand=True),
        # ½ · 1 · (2 · ¾ − 1) + ½ · 2 · (2 · ¾ − 2) = ¼ − ½, a tenth of it; ¼ (2 − 1) + ¾ · 2 · 0 = ¼, a fifth of it.
        _step_case(_MIXED, ((0.5, 0.1, 0.75), (0.25, 0.2, 1.0)), [0.975, 1.05], points=1, by_hand=True),
        # w' = 2γw (½ · 1 + ½ · 2)/(½ · 1 + ½ · 4) = 6γw/5; the first state alone: 2γw; the second alone: γw.
        _regression_case(_FIT, ((0.5, 1.0), (0.5, 0.5), (1.0, 0.9), (0.0, 0.9)), [1.2, 0.6, 1.8, 0.9], points=1,
                         by_hand=True),
        # 6γ/5 = 1; 2γ = 1; γ = 1.
        _largest_case(_EDGE, ((0.5,), (1.0,), (0.0,)), [5 / 6, 0.5, 1.0], points=1, by_hand=True),
    ),
    properties=(
        Case("as measured", _against_measured, torch.tensor([measured(*place) for place in _PLACES]).double(),
             "The factors of the problem itself, computed with matrices, at eighteen places: check yours at p = 0.1.",
             points=1),
    ),
    seeded=_random_cases,
)
