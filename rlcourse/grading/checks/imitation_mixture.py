"""Exercise 02, q5: the log-likelihood of a mixture of Gaussians."""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ...core.seeding import generator
from ...equations.imitation_heads import mixture_log_prob
from ..cases import Case, Question
from .tables import random_distributions, table


def mixture_log_likelihood(action: Tensor, weights: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """log Σ_k w_k N(a; μ_k, σ_k²) for scalar actions: the library's answer."""
    return mixture_log_prob(action[:, None], weights.log(), mean[..., None], std.log()[..., None])


def _component(action: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """log N(a; μ_k, σ_k²), [B, K]."""
    return -0.5 * ((action[:, None] - mean) / std) ** 2 - std.log() - 0.5 * math.log(2 * math.pi)


def _without_weights(action, weights, mean, std):
    return torch.logsumexp(_component(action, mean, std), -1)


def _average_weights(action, weights, mean, std):
    return _without_weights(action, weights, mean, std) - math.log(weights.shape[1])


def _adds_weights(action, weights, mean, std):
    return torch.logsumexp(weights + _component(action, mean, std), -1)


def _mean_of_logs(action, weights, mean, std):
    return (weights * _component(action, mean, std)).sum(-1)


def _no_width(action, weights, mean, std):
    return torch.logsumexp(weights.log() + _component(action, mean, std) + std.log(), -1)


def _no_two_pi(action, weights, mean, std):
    return mixture_log_likelihood(action, weights, mean, std) + 0.5 * math.log(2 * math.pi)


def _std_as_variance(action, weights, mean, std):
    return mixture_log_likelihood(action, weights, mean, std.sqrt())


def _underflows(action, weights, mean, std):
    return (weights * _component(action, mean, std).exp()).sum(-1).log()


def _likelihood(action, weights, mean, std):
    return mixture_log_likelihood(action, weights, mean, std).exp()


def _negative(action, weights, mean, std):
    return -mixture_log_likelihood(action, weights, mean, std)


def _batch_sum(action, weights, mean, std):
    return mixture_log_likelihood(action, weights, mean, std).sum()


def _batch_mean(action, weights, mean, std):
    return mixture_log_likelihood(action, weights, mean, std).mean()


_ONE_EACH = "You add up the batch. Give one number for each action, [B]; whoever trains takes the mean."

# The order matters where two slips give the same number: with a single component many do.
_SLIPS: tuple[tuple[Callable, str], ...] = (
    (_underflows,
     "Every density underflows to 0 far from the components, and log 0 = −∞: no gradient will ever bring "
     "such a network back. Stay among the logarithms: `torch.logsumexp`."),
    (_std_as_variance,
     "You use `std` as if it were the variance. σ is the standard deviation: the exponent has ((a − μ)/σ)²."),
    (_no_width,
     "The factor 1/σ of the density is missing (−log σ in the logarithm). A wide component is a low one."),
    (_no_two_pi,
     "The factor 1/√(2π) of the density is missing (−½ log 2π in the logarithm)."),
    (_mean_of_logs,
     "You take the mean of the logarithms. That asks *every* component to explain the action. "
     "The mixture adds the densities first, then takes the logarithm."),
    (_without_weights,
     "The weights are forgotten: every component counts in full, and the density is too large."),
    (_average_weights,
     "The weights are forgotten: every component counts alike. Component k counts with w_k."),
    (_adds_weights,
     "You add the weights to logarithms. log(w · N) = log w + log N: add *log* w."),
    (_likelihood, "That is the likelihood itself. Its logarithm is asked for."),
    (_negative, "The sign is turned: the log-likelihood is asked for, not the loss."),
    (_batch_sum, _ONE_EACH),
    (_batch_mean, _ONE_EACH),
)


def _case(title: str, problem: tuple[Tensor, Tensor, Tensor, Tensor], want: Tensor, **more) -> Case:
    return Case(title, lambda f: f.mixture_log_likelihood(*problem), want,
                "On paper: the density of each component at the action, times its weight; their sum; its "
                "logarithm.",
                mistakes=tuple((slip(*problem), hint) for slip, hint in _SLIPS), **more)


def _random_problem(actions: int, components: int, random: torch.Generator) -> tuple[Tensor, ...]:
    draw = torch.randn(2, actions, components, generator=random, dtype=torch.float64)
    weights = random_distributions((actions, components), random)
    return torch.randn(actions, generator=random, dtype=torch.float64), weights, draw[0], (0.5 * draw[1]).exp()


def _far(problem: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The same mixtures, asked about actions a hundred units away."""
    return problem[0] + 100, problem[1], problem[2], problem[3].clamp(max=1.0)


_GRID = torch.linspace(-6, 6, 1201, dtype=torch.float64)


def _mass(f: object, weights: list, mean: list, std: list) -> Tensor:
    """∫ p(a) da by the trapezoidal rule, from the student's logarithms on a grid."""
    rows = [table(row).expand(len(_GRID), -1) for row in (weights, mean, std)]
    density = torch.as_tensor(f.mixture_log_likelihood(_GRID, *rows)).to(torch.float64).exp()
    return torch.trapezoid(density, _GRID)


def _random_cases(seed: int) -> Iterator[Case]:
    random = generator(seed, "02_imitation q5")
    for actions, components, title in ((1, 1, "one component"), (1, 2, "two components"),
                                       (4, 3, "three actions, each with its own mixture"),
                                       (2, 5, "three actions, each with its own mixture")):
        problem = _random_problem(actions, components, random)
        yield _case("random", problem, mixture_log_likelihood(*problem), confirms=title)
    problem = _far(_random_problem(3, 2, random))
    yield _case("random", problem, mixture_log_likelihood(*problem), confirms="actions far from every component")


_THREE = (table([0.3, -1.2, 2.0]), table([[0.2, 0.8], [0.7, 0.3], [0.5, 0.5]]),
          table([[-1.0, 1.0], [-1.0, 0.5], [0.0, 2.5]]), table([[0.5, 1.5], [0.4, 2.0], [1.0, 0.3]]))

QUESTION = Question(
    "q5", "The likelihood of two right answers", "I5", {"mixture_log_likelihood": mixture_log_likelihood},
    difficulty=3, importance=4, minutes=15,
    values=(
        # log of 1/(0.5 √(2π)) · exp(−½): one standard deviation from the mean.
        _case("one component", (table([1.5]), table([[1]]), table([[1]]), table([[0.5]])),
              table([math.log(2) - 0.5 - 0.5 * math.log(2 * math.pi)]), points=1, by_hand=True),
        # ¼ of the density 1 σ away (e^(−1/2) / √(2π)) and ¾ of the one 2 σ away (e^(−2) / √(2π)).
        _case("two components", (table([1]), table([[0.25, 0.75]]), table([[0, 3]]), table([[1, 1]])),
              table([math.log((0.25 * math.exp(-0.5) + 0.75 * math.exp(-2)) / math.sqrt(2 * math.pi))]),
              points=1, by_hand=True),
        _case("three actions, each with its own mixture", _THREE, mixture_log_likelihood(*_THREE), points=1),
        # 40 and 50 standard deviations from the nearer component: log ½ − 40²/2 − ½ log 2π, and 50²; the
        # other, at 100 and 110 standard deviations, adds less than e^(−4000) of that.
        _case("actions far from every component",
              (table([100, -50]), table([[0.5, 0.5]] * 2), table([[0, 60]] * 2), table([[1, 1]] * 2)),
              math.log(0.5) - 0.5 * math.log(2 * math.pi) - table([800, 1250]), points=1, by_hand=True),
    ),
    properties=(
        Case("the density integrates to 1", lambda f: _mass(f, [0.2, 0.5, 0.3], [-2, 0, 1.5], [0.3, 0.7, 0.2]), 1.0,
             "exp of your answer, summed over all actions, must give 1: a density.", points=1, rtol=1e-4),
    ),
    seeded=_random_cases,
)
