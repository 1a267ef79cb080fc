"""Exercise 03, q8: the natural gradient of a Gaussian policy with a linear mean."""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ...core.seeding import generator
from ...equations import natural_gradient as equations
from ..cases import Case, Question
from .tables import table

Problem = tuple[Tensor, Tensor, Tensor]


def natural_gradient(state: Tensor, gradient: Tensor, log_std: Tensor) -> Tensor:
    """F⁻¹∇J with F = diag(mean(s²)/σ², 2) [2]: the library's answer."""
    by_gain = state.square().mean() * torch.exp(-2 * log_std)
    return equations.natural_gradient(torch.diag(torch.stack([by_gain, torch.full_like(by_gain, 2)])), gradient)


def _divided(of: Callable[[Tensor, Tensor], tuple]) -> Callable[..., Tensor]:
    """A slip that divides the gradient by another diagonal, made of the states and log σ."""
    def slip(state, gradient, log_std):
        entries = [torch.as_tensor(entry, dtype=torch.float64) for entry in of(state, log_std)]
        return gradient / torch.stack(entries)
    return slip


def _fisher_itself(state, gradient, log_std):
    return gradient * torch.stack([state.square().mean() * torch.exp(-2 * log_std), torch.tensor(2.0)])


# The order matters where two slips give the same number.
_SLIPS: tuple[tuple[Callable, str], ...] = (
    (_fisher_itself,
     "You multiply by F. The natural gradient needs its *inverse*: where the policy is sensitive, take care."),
    (_divided(lambda s, log_std: (s.square().mean() * torch.exp(-log_std), 2)),
     "You divide by σ where σ² belongs: the score of k is (a − ks) s/σ², and E(a − ks)² = σ²."),
    (_divided(lambda s, log_std: (s.square().mean() / log_std.square(), 2)),
     "You use log σ as if it were σ: take its `exp` first."),
    (_divided(lambda s, log_std: (s.square().mean() * torch.exp(2 * log_std), 2)),
     "σ² stands on the wrong side: F has mean(s²)/σ², so F⁻¹ has σ²/mean(s²)."),
    (_divided(lambda s, log_std: (torch.exp(-2 * log_std), 2)),
     "The states are not used. In a large state a small change of k moves the action far: F has mean(s²)/σ²."),
    (_divided(lambda s, log_std: (s.mean().square() * torch.exp(-2 * log_std), 2)),
     "You square the mean. It is the mean of the squares, E s²: states on both sides of 0 must not cancel."),
    (_divided(lambda s, log_std: (s.var(correction=0) * torch.exp(-2 * log_std), 2)),
     "You take the variance of the states. It is the mean of their squares, E s², whatever their mean is."),
    (_divided(lambda s, log_std: (s.square().sum() * torch.exp(-2 * log_std), 2)),
     "You add up the squares. F is an expectation: the *mean* over the states."),
    (_divided(lambda s, log_std: (s.abs().mean() * torch.exp(-2 * log_std), 2)),
     "You take the mean of |s|. The score of k is proportional to s, and F has its square: E s²."),
    (_divided(lambda s, log_std: (s.square().mean() * torch.exp(-2 * log_std), 1)),
     "The 2 for log σ is missing: with z = (a − ks)/σ the score is z² − 1, and E(z² − 1)² = 3 − 2 + 1 = 2."),
    (_divided(lambda s, log_std: (s.square().mean() * torch.exp(-2 * log_std), 0.5)),
     "The second component is four times too long: F has a 2 for log σ, so F⁻¹ has ½."),
    (_divided(lambda s, log_std: (s.square().mean() * torch.exp(-2 * log_std), 2 * torch.exp(-2 * log_std))),
     "2/σ² is the Fisher information of σ. The parameter here is log σ, where it is 2 whatever σ is."),
)


def _case(title: str, problem: Problem, want: Tensor, **more) -> Case:
    return Case(title, lambda f: f.natural_gradient(*problem), want,
                "F is diagonal: divide the first component by mean(s²)/σ², the second by 2.",
                mistakes=tuple((slip(*problem), hint) for slip, hint in _SLIPS
                               if bool(torch.isfinite(slip(*problem)).all())), **more)


def _in_other_units(f: object, problem: Problem, scale: float) -> Tensor:
    """The step of (k, log σ) with states in units that are `scale` times as large: s' = s/c, k' = ck."""
    state, gradient, log_std = problem
    unit = table([scale, 1])
    step = torch.as_tensor(f.natural_gradient(state / scale, gradient / unit, log_std))
    return step.to(torch.float64) / unit


def _unit_case(title: str, problem: Problem, scale: float, **more) -> Case:
    return Case(title, lambda f: _in_other_units(f, problem, scale), natural_gradient(*problem),
                "Measure the states in other units, and the same step of the policy must come out. Yours depends "
                "on the units: where do the states enter?", **more)


def _random_cases(seed: int) -> Iterator[Case]:
    random = generator(seed, "03_policy_gradients q8")
    for states, spread, title in ((1, 0.0, "one state, σ = 1"), (5, 0.6, "two states, σ = 2"),
                                  (8, 0.6, "states on both sides of 0")):
        draw = torch.randn(states + 3, generator=random, dtype=torch.float64)
        problem = (draw[3:] + 0.5, 3 * draw[:2], spread * draw[2])
        yield _case("random", problem, natural_gradient(*problem), confirms=title)
    yield _unit_case("random", problem, 2.0 + abs(float(draw[0])), confirms="the units of the state do not matter")


_BOTH_SIDES = (table([-1.5, 0.2, 2, -0.4]), table([-2, 0.7]), table(-0.7))

QUESTION = Question(
    "q8", "The natural gradient of a Gaussian policy", "P9", {"natural_gradient": natural_gradient}, difficulty=3,
    importance=3, minutes=15,
    values=(
        # F = diag(2²/1, 2): 6/4 and 3/2.
        _case("one state, σ = 1", (table([2]), table([6, 3]), table(0)), table([1.5, 1.5]), points=1,
              by_hand=True),
        # F = diag(((1 + 9)/2)/4, 2) = diag(5/4, 2): 10/(5/4) and −6/2.
        _case("two states, σ = 2", (table([1, 3]), table([10, -6]), table(math.log(2))), table([8, -3]), points=2,
              by_hand=True),
        _case("states on both sides of 0", _BOTH_SIDES, natural_gradient(*_BOTH_SIDES), points=1),
    ),
    properties=(_unit_case("the units of the state do not matter", _BOTH_SIDES, 100.0, points=1),),
    seeded=_random_cases,
)
