"""Exercise 04, q7: the log-density of a Gaussian action pressed into a box by tanh."""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ...core.seeding import generator
from ...nets.distributions import DiagGaussian
from ..cases import Case, Question
from .tables import table

Problem = tuple[Tensor, Tensor, Tensor]
_HALF_LOG_TAU = 0.5 * math.log(2 * math.pi)


def squashed_log_prob(pre_tanh: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """log N(u; μ, σ²) − Σ_d log(1 − tanh² u_d) [B]: the library's answer."""
    return DiagGaussian(mean, log_std).log_prob(pre_tanh) - _log_slope(pre_tanh).sum(-1)


def _log_slope(u: Tensor) -> Tensor:
    """log(1 − tanh² u), as it may be computed anywhere."""
    return 2 * (math.log(2) - u - softplus(-2 * u))


def _gaussian(u: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    return -0.5 * ((u - mean) / log_std.exp()).square() - log_std - _HALF_LOG_TAU


def _terms(gaussian: Callable = _gaussian,
           slope: Callable = lambda u, mean: _log_slope(u)) -> Callable[..., Tensor]:
    """The log-density with another Gaussian part, or another logarithm of the slope, summed over the axes of a."""
    def slip(pre_tanh, mean, log_std):
        return (gaussian(pre_tanh, mean, log_std) - slope(pre_tanh, mean)).sum(-1)
    return slip


def _entries(pre_tanh: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    return _gaussian(pre_tanh, mean, log_std) - _log_slope(pre_tanh)


def _over_the_batch(*problem):
    return _entries(*problem).sum(0)


def _over_everything(*problem):
    return _entries(*problem).sum()


def _mean_over_axes(*problem):
    return _entries(*problem).mean(-1)


def _column(*problem):
    return squashed_log_prob(*problem)[:, None]


def _density(*problem):
    return squashed_log_prob(*problem).exp()


def _turned(*problem):
    return -squashed_log_prob(*problem)


def _first_slope_only(pre_tanh, mean, log_std):
    return _gaussian(pre_tanh, mean, log_std).sum(-1) - _log_slope(pre_tanh)[:, 0]


_PLUS = ("The sign of the correction is turned. Where tanh is flat it squeezes many u into few a, so the density "
         "*rises* there: log(1 − tanh² u) is negative and is subtracted.")
_UNSTABLE = ("1 − tanh² is 0 in float64 from |u| ≈ 19 on, and its logarithm −∞. Rewrite it: 1 − tanh² u is "
             "1/cosh² u, and log(1 − tanh² u) = 2 (log 2 − u − softplus(−2u)).")
_AXES = "The actions' axes are independent, so their logarithms add up, over the last axis: `sum(-1)`."

# The order matters where two slips give the same number.
_SLIPS: tuple[tuple[Callable, str], ...] = (
    (_terms(slope=lambda u, mean: 0 * u),
     "The correction is missing: this is the density of u. The action is a = tanh(u), and densities change with "
     "the slope of the map."),
    (_terms(slope=lambda u, mean: -_log_slope(u)), _PLUS),
    (_terms(slope=lambda u, mean: (1 - u.tanh().square()).log()), _UNSTABLE),
    (_terms(slope=lambda u, mean: (1 - u.tanh().square()).clamp(min=1e-6).log()),
     "You keep the slope away from 0 by a clamp. That is finite and wrong from |u| = 8 on, and its gradient is 0 "
     "there: an actor at the wall would feel no pull back. " + _UNSTABLE),
    (_terms(slope=lambda u, mean: (1 - u.tanh().square() + 1e-6).log()),
     "You keep the slope away from 0 by adding 10⁻⁶. That is finite and wrong: by ¼ nat at |u| = 7, by 25 at 20. "
     + _UNSTABLE),
    (_terms(slope=lambda u, mean: 0.5 * _log_slope(u)),
     "The factor 2 is missing before the bracket: 1 − tanh² u = 1/cosh² u, a square."),
    (_terms(slope=lambda u, mean: 2 * (math.log(2) - u - softplus(2 * u))),
     "The sign inside the softplus is turned: softplus(−2u). At u = 0 it makes no difference, so test u = 1."),
    (_terms(slope=lambda u, mean: _log_slope(mean)),
     "The correction is taken at the mean. It belongs to the action that was drawn: put u into it."),
    (_terms(lambda u, mean, log_std: -0.5 * (u - mean).square() / log_std.exp() - 0.5 * log_std - _HALF_LOG_TAU),
     "You use exp(log_std) as the variance. It is σ; the variance is its square."),
    (_terms(lambda u, mean, log_std: -0.5 * (u - mean).square() / log_std.exp() - log_std - _HALF_LOG_TAU),
     "You divide by σ where σ² belongs: ((u − μ)/σ)²."),
    (_terms(lambda u, mean, log_std: -0.5 * (u - mean).square() * (-log_std).exp().square() - _HALF_LOG_TAU),
     "−log σ is missing: a narrow Gaussian is a high one."),
    (_terms(lambda u, mean, log_std: _gaussian(u, mean, log_std) + 2 * log_std),
     "The sign of log σ is turned: a narrow Gaussian is a high one, so log σ is subtracted."),
    (_terms(lambda u, mean, log_std: _gaussian(u, mean, log_std) + _HALF_LOG_TAU),
     "−½ log 2π is missing, once for each axis of the action: the density does not integrate to 1."),
    (_terms(lambda u, mean, log_std: _gaussian(u, mean, log_std) - 0.5 * ((u - mean) / log_std.exp()).square()),
     "The ½ before the square is missing."),
    (_terms(lambda u, mean, log_std: _gaussian(u.tanh(), mean, log_std)),
     "You put tanh(u) into the Gaussian. It is u that is Gaussian, not the action: put u there."),
    (_terms(lambda u, mean, log_std: -0.5 * ((u - mean) / log_std).square() - log_std.abs().log() - _HALF_LOG_TAU),
     "You use log σ as if it were σ: take its `exp` first."),
    (_first_slope_only, "Only the first axis is corrected. Every axis has its own tanh: sum over all of them."),
    (_over_the_batch, "You add up the batch. " + _AXES),
    (_over_everything, "You add up everything, the batch too. " + _AXES),
    (_mean_over_axes, "You take the mean over the axes of the action. " + _AXES),
    (_entries, "One number for each sample is asked for, [B]. " + _AXES),
    (_column, "One number for each sample is asked for, [B]: sum without `keepdim=True`."),
    (_density, "That is the density. Its logarithm is asked for."),
    (_turned, "The sign is turned: log π is asked for, not −log π."),
)


def _case(title: str, problem: Problem, want: Tensor, **more) -> Case:
    return Case(title, lambda f: f.squashed_log_prob(*problem), want,
                "Two parts. The Gaussian: −½ ((u − μ)/σ)² − log σ − ½ log 2π. The slope: minus log(1 − tanh² u). "
                "Both summed over the last axis.",
                mistakes=tuple((slip(*problem), hint) for slip, hint in _SLIPS
                               if not bool(torch.isnan(slip(*problem)).any())), **more)


def _area(f: object, mean: float, log_std: float, points: int = 2000) -> Tensor:
    """∫ π(a) da over (−1, 1), by the midpoint rule."""
    action = (2 * torch.arange(points, dtype=torch.float64)[:, None] + 1) / points - 1
    log_prob = f.squashed_log_prob(torch.atanh(action), torch.full_like(action, mean),
                                   torch.full_like(action, log_std))
    return torch.as_tensor(log_prob, dtype=torch.float64).exp().sum() * 2 / points


def _area_case(title: str, mean: float, log_std: float, **more) -> Case:
    return Case(title, lambda f: _area(f, mean, log_std), table(1),
                "The density of the *action* must integrate to 1 over (−1, 1); yours has another area.",
                rtol=1e-3, **more)


def _random_cases(seed: int) -> Iterator[Case]:
    random = generator(seed, "04_actor_critic q7")
    for samples, axes, shift, title in ((1, 1, 0.0, "in the middle of the box"), (3, 1, 0.0, "towards the wall"),
                                        (3, 4, 0.0, "actions of two axes"), (2, 2, 25.0, "at the wall"),
                                        (2, 2, -25.0, "at the wall")):
        draw = torch.randn(3, samples, axes, generator=random, dtype=torch.float64)
        mean, log_std = draw[1] + shift, 0.4 * draw[2] - 0.3
        pre_tanh = torch.zeros_like(mean) if title == "in the middle of the box" else mean + 0.8 * draw[0]
        problem = (pre_tanh, mean, log_std)
        yield _case("random", problem, squashed_log_prob(*problem), confirms=title)
    numbers = torch.rand(2, generator=random, dtype=torch.float64).tolist()
    yield _area_case("random", numbers[0] - 0.5, numbers[1] - 1.5, confirms="the density has the area 1")


_TWO = (table([[0.3, -1.2], [2, 0.5], [-0.7, 0.1]]), table([[0, -1], [1, 1], [-0.5, 0.4]]),
        table([[-0.5, 0.2], [0.3, -1], [0.1, -0.4]]))

QUESTION = Question(
    "q7", "The density of a squashed action", "A8", {"squashed_log_prob": squashed_log_prob}, difficulty=3,
    importance=4, minutes=15,
    values=(
        # u = 0: tanh has the slope 1 there, log 1 = 0. Gaussian with z = −2/2 = −1: −½ − log 2 − ½ log 2π.
        _case("in the middle of the box", (table([[0]]), table([[2]]), table([[math.log(2)]])),
              table([-0.5 - math.log(2) - _HALF_LOG_TAU]), points=1, by_hand=True),
        # u = ½ log 3: tanh u = (3 − 1)/(3 + 1) = ½ and 1 − ¼ = ¾; at the mean, with σ = 2. u = −log 2:
        # tanh u = (¼ − 1)/(¼ + 1) = −3/5 and 1 − 9/25 = 16/25; one σ = ½ from the mean.
        _case("towards the wall",
              (table([[0.5 * math.log(3)], [-math.log(2)]]), table([[0.5 * math.log(3)], [-math.log(2) + 0.5]]),
               table([[math.log(2)], [-math.log(2)]])),
              table([-math.log(2) - _HALF_LOG_TAU - math.log(3 / 4),
                     -0.5 + math.log(2) - _HALF_LOG_TAU - math.log(16 / 25)]), points=1, by_hand=True),
        _case("actions of two axes", _TWO, squashed_log_prob(*_TWO), points=1),
        # On each axis, at the mean and with σ = 1: −½ log 2π, and 1 − tanh² u = 4/(eᵘ + e⁻ᵘ)² = 4 e^(−2|u|) up to
        # 10⁻¹⁷, so minus log 4 − 40.
        _case("at the wall", (table([[20, -20]]), table([[20, -20]]), table([[0, 0]])),
              table([2 * (-_HALF_LOG_TAU - math.log(4) + 40)]), points=1, by_hand=True),
    ),
    properties=(_area_case("the density has the area 1", 0.4, -0.5, points=1),),
    seeded=_random_cases,
)
