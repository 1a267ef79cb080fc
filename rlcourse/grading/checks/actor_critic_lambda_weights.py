"""Exercise 04, q4: how λ mixes the n-step estimates."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ...core.seeding import generator
from ...equations import actor_critic, returns
from ..cases import Case, Question
from .actor_critic_td_target import random_problem
from .tables import table


def lambda_weights(length: int, gae_lambda: float) -> Tensor:
    """(1 − λ) λⁿ⁻¹ for n < N and λᴺ⁻¹ for n = N, [N]: the library's answer."""
    return actor_critic.n_step_weights(length, gae_lambda)


def _geometric(length: int, gae_lambda: float) -> Tensor:
    return (1 - gae_lambda) * table(gae_lambda) ** torch.arange(length)


def _renormalised(length: int, gae_lambda: float) -> Tensor:
    power = table(gae_lambda) ** torch.arange(length)
    return power / power.sum()


def _late(length: int, gae_lambda: float) -> Tensor:
    return _geometric(length, gae_lambda) * gae_lambda


def _with_last(first: Callable, last: Callable) -> Callable:
    def slip(length, gae_lambda):
        weights = first(length, gae_lambda).clone()
        weights[-1] = last(length, gae_lambda)
        return weights
    return slip


_NO_LEFTOVER = ("The weights do not sum to 1: those of all estimates that are longer than the segment are "
                "missing. Each of these *is* the longest one, so it gets their weights too: λᴺ⁻¹ in all.")

_SLIPS: tuple[tuple[Callable, str], ...] = (
    (_geometric, _NO_LEFTOVER),
    (_late, "The exponent is one too large: the one-step estimate has the weight 1 − λ, so n steps have λⁿ⁻¹. And "
            "the weights of estimates longer than the segment are missing."),
    (_with_last(_late, lambda n, la: la**n),
     "The exponent is one too large: the one-step estimate has the weight 1 − λ, so n steps have (1 − λ) λⁿ⁻¹, "
     "and the longest has λᴺ⁻¹."),
    (_with_last(_late, lambda n, la: la ** (n - 1)),
     "The exponent is one too large: the one-step estimate has the weight 1 − λ, so n steps have (1 − λ) λⁿ⁻¹."),
    (_renormalised,
     "You divided by the sum. The weights then add up to 1, but they are those of another estimator: what belongs "
     "to longer estimates goes to the *longest* one, not to all."),
    (lambda n, la: table(la) ** torch.arange(n),
     "1 − λ is missing: λⁿ⁻¹ by themselves sum to 1/(1 − λ). Only the longest estimate has the weight λᴺ⁻¹."),
    (_with_last(_geometric, lambda n, la: la**n),
     "The last weight is only the leftover of the estimates *beyond* N, λᴺ. The N-step estimate has its own "
     "(1 − λ) λᴺ⁻¹ besides: together λᴺ⁻¹."),
    (_with_last(_geometric, lambda n, la: la ** (n - 1) + (1 - la) * la ** (n - 1)),
     "The longest estimate counts twice: λᴺ⁻¹ already contains its own (1 − λ) λᴺ⁻¹."),
    (lambda n, la: lambda_weights(n, la).flip(0),
     "The order is turned round: entry 0 belongs to the one-step estimate."),
    (lambda n, la: torch.full((n,), 1 / n, dtype=torch.float64),
     "All weights are alike. They should shrink: each is λ times the one before it."),
)


def _case(title: str, problem: tuple[int, float], want: Tensor, **more) -> Case:
    return Case(title, lambda f: f.lambda_weights(*problem), want,
                "Weight (1 − λ) λⁿ⁻¹ for n = 1 … N − 1, and for n = N whatever is missing to 1.",
                mistakes=tuple((slip(*problem), hint) for slip, hint in _SLIPS), **more)


def _rollout(seed: str, steps: int) -> tuple:
    """Rewards, values, values of successors and no end in sight; and a discount."""
    reward, next_value, terminated, truncated, discount = random_problem(steps, 3, generator(0, seed), ends=0.0)
    value = torch.cat([next_value[-1:] - 1, next_value[:-1]])
    return reward, value, next_value, terminated, truncated, discount


def _mixture(f: object, problem: tuple, gae_lambda: float) -> Tensor:
    """Σₙ wₙ Âⁿ₀ with the student's weights, [N]."""
    *rollout, discount = problem
    length = len(rollout[0])
    estimates = torch.stack([actor_critic.n_step_advantage(*rollout, discount=discount, steps=n)[0]
                             for n in range(1, length + 1)])
    return torch.as_tensor(f.lambda_weights(length, gae_lambda)).to(torch.float64) @ estimates


def _random_cases(seed: int) -> Iterator[Case]:
    random = generator(seed, "04_actor_critic q4")
    for title, length in ((_THREE, 4), (_THREE, 11), (_ONE, 1), (_ONE, 2), (_ENDS, 6)):
        problem = (length, 0.2 + 0.6 * torch.rand((), generator=random).item())
        yield _case("random", problem, lambda_weights(*problem), confirms=title)


_THREE, _ONE, _ENDS = "three steps are left", "one step is left", "λ = 1 trusts the longest alone"
_FIVE = _rollout("04_actor_critic q4 five", 5)

QUESTION = Question(
    "q4", "What λ mixes", "A6", {"lambda_weights": lambda_weights},
    difficulty=2, importance=3, minutes=12,
    values=(
        # 1 − 0.8; 0.2 · 0.8; 0.8².
        _case(_THREE, (3, 0.8), table([0.2, 0.16, 0.64]), points=1, by_hand=True),
        # There is only one estimate.
        _case(_ONE, (1, 0.8), table([1]), points=1, by_hand=True),
        # (1 − 1) · 1 twice, three times; 1³.
        _case(_ENDS, (4, 1.0), table([0, 0, 0, 1]), points=1, by_hand=True),
    ),
    properties=(
        Case("five random steps: the n-step estimates, so weighed, are the advantage of q3",
             lambda f: _mixture(f, _FIVE, 0.7),
             returns.gae(*_FIVE[:-1], discount=_FIVE[-1], gae_lambda=0.7)[0],
             "Σₙ wₙ Âⁿ must be the number that the recursion Âₜ = δₜ + γλ Âₜ₊₁ gives.", points=1),
    ),
    seeded=_random_cases,
)
