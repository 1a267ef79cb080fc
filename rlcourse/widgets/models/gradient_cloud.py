"""What the gradient-cloud widget shows: 400 estimates of the policy gradient around the exact one.

Mean, covariance and bias of every estimator are exact. Sampled are the 400 estimates alone, by the equations
of the lecture, under luck that stays the same while a control moves: a longer horizon goes on with
the same episodes, a larger batch adds episodes to the same ones.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from ...core.seeding import generator, uniforms
from ...envs.tabular import sample_index
from ...envs.two_rooms import policy_logits, two_rooms
from ...equations.policy_gradient import batch_mean, gradient_estimate, leave_one_out
from ...equations.returns import discounted_return, reward_to_go
from ...exact.evaluation import finite_horizon_values
from ...exact.gradient_moments import episode_moments, leave_one_out_moments
from ...exact.policy_gradient import gradient_by_theorem, softmax_scores
from .controls import Choice, Slider

TOTAL, TO_GO, AVERAGE, OTHERS, VALUE, ADVANTAGE = ESTIMATORS = (
    "total return", "reward-to-go", "to-go − batch average", "to-go − leave-one-out", "to-go − V(s)",
    "exact advantage")
BATCHES, HORIZONS = (2, 4, 8, 16, 32, 64, 128), (1, 2, 3, 5, 8, 12, 20, 30)
ESTIMATES = 400  # dots of the cloud
ROUNDING = 1e-9  # an estimate of exactly zero, common at N = 2, points neither uphill nor downhill
WORK = slice(1, None, 2)  # of the four flattened logits, those of action "work" in rooms 0 and 1

CONTROLS = (
    Choice("estimator", "weight of ∇log π", ESTIMATORS, TOTAL),
    Slider("batch_size", "batch N (episodes)", BATCHES, 8),
    Slider("horizon", "horizon T", HORIZONS, 3),
)


@dataclass(frozen=True, eq=False)
class Frame:
    """One setting of the controls. Gradients are ∂/∂ logit of "work" in (room 0, room 1).

    With two actions the derivatives by the two logits of a state are opposite numbers, so these two
    are the whole gradient. Lengths, except `length` itself, are in units of `length`.
    """

    chosen: int  # index of the estimator in ESTIMATORS
    batch_size: int
    horizon: int
    length: float  # |∇J|
    exact: np.ndarray  # [2] ∇J / |∇J|
    mean: np.ndarray  # [2] exact expectation of the estimate
    outline: np.ndarray  # [n, 2] ellipse around it: one standard deviation in every direction
    estimates: np.ndarray  # [ESTIMATES, 2], sampled
    uphill: float  # share of the sampled ones with a positive inner product with ∇J
    spread: np.ndarray  # [6] √E|ĝ − E ĝ|² of every estimator, exact
    bias: np.ndarray  # [6] |E ĝ − ∇J|, exact
    sampled_spread: float  # of the chosen estimator, measured on the 400 sampled ones


@cache
def values_by_step(horizon: int) -> tuple[Tensor, Tensor]:
    """(V [T + 1, S], Q [T, S, A]) of the policy."""
    return finite_horizon_values(two_rooms(), torch.softmax(policy_logits(), -1), horizon)


@cache
def single_moments(estimator: str, horizon: int) -> tuple[Tensor, Tensor]:
    """Exact mean [P] and covariance [P, P] of the estimate from one episode."""
    mdp, (values, q_values) = two_rooms(), values_by_step(horizon)
    baseline = values[:-1, :, None]
    weights = {TOTAL: {"earlier": True}, TO_GO: {}, VALUE: {"own_weight": mdp.reward_table - baseline},
               ADVANTAGE: {"own_weight": q_values - baseline, "later": False}}
    return episode_moments(mdp, policy_logits(), horizon, **weights[estimator])


@cache
def batch_moments(estimator: str, batch_size: int, horizon: int) -> tuple[Tensor, Tensor]:
    """Exact mean [2] and covariance [2, 2] of the estimate from N episodes, in the logits of "work"."""
    if estimator == AVERAGE:
        shrink, (mean, covariance) = 1 - 1 / batch_size, batch_moments(OTHERS, batch_size, horizon)
        return shrink * mean, shrink ** 2 * covariance
    if estimator == OTHERS:
        mean, covariance = leave_one_out_moments(two_rooms(), policy_logits(), horizon, batch_size)
    else:
        mean, covariance = single_moments(estimator, horizon)
        covariance = covariance / batch_size
    return mean[WORK], covariance[WORK, WORK]


@cache
def episodes() -> tuple[Tensor, Tensor, Tensor]:
    """(place, reward [T, 400, N], score [T, 400, N, 2]) for the longest horizon and largest batch.

    `place` is where a table [T, S, A], flattened, holds the entry of step, state and action.
    """
    mdp, logits = two_rooms(), policy_logits()
    policy, random = torch.softmax(logits, -1), generator(0, "gradient cloud episodes")
    state = mdp.initial_state(uniforms((ESTIMATES, BATCHES[-1], 1), random))
    states, actions = [], []
    for _ in range(HORIZONS[-1]):
        noise = uniforms((ESTIMATES, BATCHES[-1], 2), random)
        states.append(state)
        actions.append(sample_index(policy[state], noise[..., 0]))
        state = mdp.transition(state, actions[-1], noise[..., 1:])
    state, action = torch.stack(states), torch.stack(actions)
    pair = state * mdp.num_actions + action
    place = torch.arange(len(pair))[:, None, None] * logits.numel() + pair
    every_state, every_action = torch.meshgrid(torch.arange(2), torch.arange(2), indexing="ij")
    scores = softmax_scores(logits, every_state, every_action)[..., WORK].flatten(0, 1)
    return place, mdp.reward_table.take(pair), scores[pair]


def sampled_estimates(estimator: str, batch_size: int, horizon: int) -> Tensor:
    """400 estimates [400, 2] by the equations of the lecture."""
    place, reward, score = (part[:horizon, :, :batch_size] for part in episodes())
    ended = torch.zeros_like(reward, dtype=torch.bool)
    if estimator == TOTAL:
        return gradient_estimate(score, discounted_return(reward, ended, ended))
    values, q_values = values_by_step(horizon)
    baseline = values[:-1, :, None].expand_as(q_values)
    if estimator == ADVANTAGE:
        return gradient_estimate(score, (q_values - baseline).take(place))
    later = reward_to_go(reward, ended, ended)
    if estimator == AVERAGE:
        later = later - batch_mean(later)
    elif estimator == OTHERS:
        later = later - leave_one_out(later)
    elif estimator == VALUE:
        later = later - baseline.take(place)
    return gradient_estimate(score, later)


def ellipse(mean: Tensor, covariance: Tensor, points: int = 120) -> Tensor:
    """Outline [n, 2] around `mean` [2] that reaches one standard deviation on either side, in every direction."""
    angle = torch.linspace(0, 2 * torch.pi, points, dtype=mean.dtype)
    variances, axes = torch.linalg.eigh(covariance)
    circle = torch.stack([angle.cos(), angle.sin()], -1)
    return mean + circle * variances.clamp(min=0).sqrt() @ axes.T


def compute(estimator: str, batch_size: int, horizon: int) -> Frame:
    """The frame of one setting of `CONTROLS`."""
    exact = gradient_by_theorem(two_rooms(), policy_logits(), horizon).flatten()[WORK]
    length = exact.norm()
    every = [batch_moments(name, batch_size, horizon) for name in ESTIMATORS]
    mean, covariance = batch_moments(estimator, batch_size, horizon)
    estimates = sampled_estimates(estimator, batch_size, horizon)
    deviation = (estimates - estimates.mean(0)).square().sum() / (ESTIMATES - 1)
    points_uphill = estimates @ exact > ROUNDING * length ** 2
    return Frame(
        ESTIMATORS.index(estimator), batch_size, horizon, float(length), (exact / length).numpy(),
        (mean / length).numpy(), outline=(ellipse(mean, covariance) / length).numpy(),
        estimates=(estimates / length).numpy(), uphill=float(points_uphill.double().mean()),
        spread=np.array([float(cov.trace().sqrt() / length) for _, cov in every]),
        bias=np.array([float((average - exact).norm() / length) for average, _ in every]),
        sampled_spread=float(deviation.sqrt() / length))
