"""What the advantage-estimates widget shows: bias and noise of GAE and n-step estimates under a wrong critic.

Everything but the cloud is exact. n-step estimates stand at λ = 1 − 1/n, since the n-step estimates that
GAE mixes are 1/(1 − λ) steps long on average. The bias is split in two. What is common to all actions of a state
is a baseline and leaves the gradient's mean alone; what differs between the actions does not. In the cloud
the luck stays the same while a control moves. ∇J stands for E[∇log π(a|s) A(s, a)] over the states where the
policy is in the long run, with the discounted A: it is near the gradient of the mean reward only as γ → 1.
The problem never ends; where one does, a critic that is too high by the same amount in every state is not too
high behind the end, and that difference is no baseline.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from ...core.seeding import generator, uniforms
from ...envs.corridor import corridor, corridor_policy
from ...envs.tabular import TabularMDP, sample_index
from ...equations.returns import gae
from ...exact.actor_critic import advantage_moments
from ...exact.evaluation import policy_evaluation, q_from_value
from ...exact.stationary import stationary_distribution
from .controls import Choice, Slider

SAME, FLAT, RANDOM = KINDS = ("the same in every cell", "too flat", "random, cell by cell")
LAMBDAS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 1.0)
BATCHES = (10, 100, 1000, 10_000)
CELL = 6  # where the cloud is taken
DRAWS, LENGTH = 150, 300  # trajectories after either action, and their steps: 0.98³⁰⁰ is 0.002
ENDS = 0.01  # bends the axis of λ so that λ = 1 is on it
STEPS = (1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 28, 38, 50, 90, None)  # of the n-step curve; None is all of them
GRID = 18  # points of the GAE curve beside those of LAMBDAS

CONTROLS = (
    Slider("gae_lambda", "λ", LAMBDAS, 0.0),
    Slider("discount", "discount γ", (0.8, 0.9, 0.95, 0.98), 0.95),
    Choice("kind", "error of the critic", KINDS, RANDOM),
    Slider("error", "its size (std of V)", (0.0, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0), 0.3),
    Slider("batch_size", "batch N (steps)", BATCHES, 1000),
)


@dataclass(frozen=True, eq=False)
class Curve:
    """One family of estimates. Sizes of estimates are in units of √E A², those of gradients of |∇J|."""

    gae_lambda: np.ndarray  # [K] increasing; 1 − 1/n for n steps
    place: np.ndarray  # [K] on the axis
    between: np.ndarray  # [K] root mean square of the bias that differs between actions
    common: np.ndarray  # [K] and of the bias common to them
    noise: np.ndarray  # [K] root of the mean variance
    gradient_bias: np.ndarray  # [K] |E ĝ − ∇J|
    gradient_noise: np.ndarray  # [K] √E|ĝ − E ĝ|² for N = 1

    def gradient_error(self, batch_size: int) -> np.ndarray:
        """√E|ĝ − ∇J|² of the mean over N steps, drawn independently: [K]."""
        return np.sqrt(self.gradient_bias ** 2 + self.gradient_noise ** 2 / batch_size)


@dataclass(frozen=True, eq=False)
class Frame:
    """One setting of the controls; the cloud in units of √E A² as well, actions (back, forward)."""

    chosen: int  # index in `gae` of the chosen λ
    steps: int | None  # the n that belongs to it
    discount: float
    kind: str
    error: float
    batch_size: int
    unit: float  # √E A²
    gae: Curve
    n_step: Curve
    gae_error: np.ndarray  # [K] of the gradient from a batch
    n_step_error: np.ndarray  # [K']
    exact: np.ndarray  # [2] A^π in CELL
    mean: np.ndarray  # [2] expectation of the estimate there
    deviation: np.ndarray  # [2] and its standard deviation
    estimates: np.ndarray  # [2, DRAWS] sampled


def place(gae_lambda: np.ndarray | float) -> np.ndarray:
    """Where λ stands on the axis: about log n, with room for λ = 1."""
    return np.log((1 + ENDS) / (1 + ENDS - np.asarray(gae_lambda)))


def grid() -> np.ndarray:
    """Values of λ for the GAE curve: evenly spaced on the axis, and those of the slider."""
    even = (1 + ENDS) * (1 - np.exp(-np.linspace(0, float(place(1.0)), GRID)[1:-1]))
    return np.sort(np.concatenate([even, LAMBDAS]))


@cache
def problem() -> tuple[TabularMDP, Tensor]:
    """The corridor and the policy [S, A] that is evaluated."""
    return corridor(), corridor_policy()


@cache
def exact_values(discount: float) -> tuple[Tensor, Tensor, Tensor, float]:
    """(V^π [S], A^π [S, A], how often each pair is met [S, A], √E A²)."""
    mdp, policy = problem()
    value = policy_evaluation(mdp, policy, discount)
    met = stationary_distribution(mdp, policy)[:, None] * policy
    advantage = q_from_value(mdp, value, discount) - value[:, None]
    return value, advantage, met, float((met * advantage.square()).sum().sqrt())


@cache
def critic(discount: float, kind: str, error: float) -> Tensor:
    """V̂ [S], whose root mean squared error is `error` times the standard deviation of V^π over the cells."""
    value, _, met, _ = exact_values(discount)
    often = met.sum(-1)
    level = often @ value
    spread = (often @ (value - level).square()).sqrt()
    if kind == SAME:
        return value + error * spread
    if kind == FLAT:
        return value - error * (value - level)
    draw = torch.randn(len(value), dtype=value.dtype, generator=generator(0, "advantage-estimates critic"))
    draw = draw - often @ draw
    return value + error * spread * draw / (often @ draw.square()).sqrt()


def gradient_moments(policy: Tensor, met: Tensor, advantage: Tensor, bias: Tensor, variance: Tensor
                     ) -> tuple[Tensor, Tensor, Tensor]:
    """(∇J [S, A], |E ĝ − ∇J| [K], √E|ĝ − E ĝ|² [K]) of ĝ = ∇log π(a|s) Â from one pair (s, a), in the logits.

    `bias` and `variance` of Â are [K, S, A]. ∂ log π(a|s) / ∂ logits[s, a'] = 1[a' = a] − π(a'|s), and so
    E ĝ[s, a'] = p(s, a') (E Â(s, a') − Σₐ π(a|s) E Â(s, a)).
    """
    mean = advantage + bias
    gradient, expected = (met * (x - (policy * x).sum(-1, keepdim=True)) for x in (advantage, mean))
    score_square = 1 - 2 * policy + policy.square().sum(-1, keepdim=True)  # |∇log π(a|s)|²
    square = (met * score_square * (variance + mean.square())).sum((-2, -1))
    noise = (square - expected.square().sum((-2, -1))).clamp(min=0).sqrt()
    return gradient, (expected - gradient).square().sum((-2, -1)).sqrt(), noise


@cache
def curve(discount: float, kind: str, error: float, family: str) -> Curve:
    """All that is exact of "gae" or "n-step"."""
    (mdp, policy), (_, advantage, met, unit) = problem(), exact_values(discount)
    values = critic(discount, kind, error)
    every = [{"gae_lambda": float(x)} for x in grid()] if family == "gae" else [{"steps": n} for n in STEPS]
    pairs = [advantage_moments(mdp, policy, values, discount=discount, **choice) for choice in every]
    bias, variance = (torch.stack(part) for part in zip(*pairs))  # [K, S, A]
    common = (policy * bias).sum(-1, keepdim=True)
    sizes = [(met * square).sum((-2, -1)).clamp(min=0).sqrt() / unit
             for square in ((bias - common).square(), common.square(), variance)]
    gradient, gradient_bias, gradient_noise = gradient_moments(policy, met, advantage, bias, variance)
    gae_lambda = grid() if family == "gae" else np.array([1.0 if n is None else 1 - 1 / n for n in STEPS])
    return Curve(gae_lambda, place(gae_lambda), *(size.numpy() for size in sizes),
                 *((size / gradient.norm()).numpy() for size in (gradient_bias, gradient_noise)))


@cache
def trajectories() -> tuple[Tensor, Tensor]:
    """(state [LENGTH + 1, 2, DRAWS], action [LENGTH, 2, DRAWS]) from CELL on, after either first action."""
    (mdp, policy), random = problem(), generator(0, "advantage-estimates cloud")
    state, states, actions = torch.full((2, DRAWS), CELL), [], []
    action = torch.tensor([[0], [1]]).expand(2, DRAWS)
    for luck in uniforms((LENGTH, 2, 2, DRAWS), random):
        states.append(state)
        actions.append(action)
        state = mdp.transition(state, action, luck[0][..., None])
        action = sample_index(policy[state], luck[1])
    return torch.stack([*states, state]), torch.stack(actions)


def sampled(gae_lambda: float, discount: float, critic_values: Tensor) -> Tensor:
    """Estimates [2, DRAWS] at the first step of every trajectory, by the lecture's equation."""
    state, action = trajectories()
    value = critic_values.take(state)
    reward = problem()[0].reward_table.take(2 * state[:-1] + action)
    never = torch.zeros_like(action, dtype=torch.bool)
    return gae(reward, value[:-1], value[1:], never, never, discount=discount, gae_lambda=gae_lambda)[0]


def compute(gae_lambda: float, discount: float, kind: str, error: float, batch_size: int) -> Frame:
    """The frame of one setting of `CONTROLS`."""
    mixed, cut = (curve(discount, kind, error, family) for family in ("gae", "n-step"))
    (_, advantage, _, unit), values = exact_values(discount), critic(discount, kind, error)
    bias, variance = advantage_moments(*problem(), values, discount=discount, gae_lambda=gae_lambda)
    exact = advantage[CELL] / unit
    return Frame(
        int(np.flatnonzero(mixed.gae_lambda == gae_lambda)[0]),
        None if gae_lambda == 1 else math.floor(1 / (1 - gae_lambda) + 0.5), discount, kind, error, batch_size,
        unit, mixed, cut, mixed.gradient_error(batch_size), cut.gradient_error(batch_size),
        exact.numpy(), mean=(exact + bias[CELL] / unit).numpy(),
        deviation=(variance[CELL].clamp(min=0).sqrt() / unit).numpy(),
        estimates=(sampled(gae_lambda, discount, values) / unit).numpy())
