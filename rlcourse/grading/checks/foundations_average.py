"""Exercise 01, q4: the average reward, by the stationary distribution."""

from collections.abc import Iterator

import torch
from torch import Tensor

from ...core.seeding import generator
from ...envs.tabular import TabularMDP
from ...equations.foundations import expected_reward
from ...exact.stationary import stationary_distribution
from ..cases import Case, Question
from .foundations_marginal import RING, ROOMS, ROOMS_POLICY
from .tables import random_distributions, table


def average_reward(transition_probs: Tensor, reward_table: Tensor, policy: Tensor) -> float:
    """Σ_s μ(s) Σₐ π(a|s) r(s, a) with the stationary μ: the library's answer."""
    states = transition_probs.shape[0]
    mdp = TabularMDP(transition_probs, reward_table, torch.full((states,), 1 / states, dtype=torch.float64))
    return expected_reward(stationary_distribution(mdp, policy), policy, reward_table).item()


def _last_of_a_thousand(P: Tensor, r: Tensor, policy: Tensor) -> Tensor:
    marginal, chain = torch.nn.functional.one_hot(torch.tensor(0), len(P)).double(), torch.einsum(
        "sa,sax->sx", policy, P)
    return marginal @ torch.linalg.matrix_power(chain, 1000) @ (policy * r).sum(-1)


_SLIPS = (
    (lambda P, r, policy: (policy * r).sum(-1).mean(),
     "Every state counts the same in your average. Did you take an eigenvector of P instead of its "
     "transpose? That one is always (1, …, 1): the rows of P sum to 1."),
    (_last_of_a_thousand,
     "You followed the chain for a long time and took where it was then. A periodic chain never settles; "
     "only its average does. Solve μ = Pᵀμ, Σ μ = 1."),
    (lambda P, r, policy: average_reward(P, r.sum(-1, keepdim=True).expand_as(r), policy),
     "You add the rewards of all actions. Weight each by the probability π(a|s) that it is taken."),
)


def _case(title: str, problem: tuple[Tensor, Tensor, Tensor], want: float, **more) -> Case:
    return Case(title, lambda f: f.average_reward(*problem), want,
                "First the chain P[s, n] = Σₐ π(a|s) p(n|s, a), then μ with μ = Pᵀμ and Σ μ = 1, then "
                "Σ_s μ(s) Σₐ π(a|s) r(s, a).",
                mistakes=tuple((slip(*problem), hint) for slip, hint in _SLIPS), **more)


def _random_cases(seed: int) -> Iterator[Case]:
    random = generator(seed, "01_foundations q4")
    p, q, pay = (0.1 + 0.8 * torch.rand(3, generator=random, dtype=torch.float64)).tolist()
    machine, reward = (_machine(p, q), table([[1 + pay], [0]]), table([[1], [1]])), (1 + pay) * q / (p + q)
    yield _case("random", machine, reward, confirms="a machine")
    yield _case("random", (_machine(1, 1), table([[pay], [0]]), table([[1], [1]])), pay / 2,
                confirms="broken every other step")
    problem = (0.8 * random_distributions((4, 3, 4), random) + 0.05,
               torch.randn(4, 3, generator=random, dtype=torch.float64), random_distributions((4, 3), random))
    yield _case("random", problem, average_reward(*problem), confirms="two rooms")


def _machine(p: float, q: float) -> Tensor:
    return table([[[1 - p, p]], [[q, 1 - q]]])


QUESTION = Question(
    "q4", "The average reward", "F4", {"average_reward": average_reward}, difficulty=3, importance=3, minutes=20,
    values=(
        # Works q/(p + q) = 0.3/0.4 of the time.
        _case("a machine", (_machine(0.1, 0.3), table([[1], [0]]), table([[1], [1]])), 0.75, points=1,
              by_hand=True),
        # Works on every other step.
        _case("broken every other step", (_machine(1, 1), table([[1], [0]]), table([[1], [1]])), 0.5, points=1,
              by_hand=True),
        # 0→1 with 0.275, 1→0 with 0.8: μ = (0.8, 0.275)/1.075 = (32, 11)/43. Rewards by state 0.25·4 = 1
        # and 0.4·2 = 0.8: (32 + 8.8)/43.
        _case("two rooms", (ROOMS, table([[0, 4], [2, 0]]), ROOMS_POLICY), 40.8 / 43, points=2, by_hand=True),
    ),
    properties=(
        _case("where every action pays 3", (0.5 * RING + 0.5 / 3, table([[3, 3], [3, 3], [3, 3]]),
                                            table([[0.8, 0.2], [0.5, 0.5], [0.25, 0.75]])), 3.0, points=1),
    ),
    seeded=_random_cases,
)
