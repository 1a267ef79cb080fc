"""What the importance-weights widget shows: the weights, how many episodes they leave, and the gradient's error.

The episodes are samples of the behaviour policy under luck that stays the same while a control moves;
second moments and errors are exact. Nothing but the marker depends on the horizon, since the
first t steps of an episode do not know how many follow.
"""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
from torch import Tensor

from ...core.seeding import generator, uniforms
from ...envs.tabular import sample_index
from ...envs.two_rooms import behaviour_logits, policy_logits, two_rooms
from ...equations.importance import effective_sample_size
from ...exact.importance import (log_second_moment_of_weights, off_policy_gradient_moments, policy_ratio,
                                 weight_growth)
from ...exact.propagation import state_marginals, total_variation
from .controls import Choice, Slider

LONGEST = 100  # steps of the longest episode
MOST = 10_000  # episodes
SHOWN = 60  # of which the picture shows so many
PRODUCT, SINGLE = WEIGHTS = ("product ρ₀ … ρₜ₋₁", "single ratio ρₜ₋₁")

CONTROLS = (
    Slider("horizon", "horizon T", (1, 2, 3, 5, 10, 20, 30, 50, 75, 100), 50),
    Slider("distance", "policy distance d", (0.0, 0.1, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5), 0.75),
    Slider("episodes", "episodes n", (10, 100, 1000, MOST), 1000),
    Choice("weights", "weights", WEIGHTS, PRODUCT),
)


@dataclass(frozen=True, eq=False)
class Frame:
    """One setting of the controls. Rows run over t = 0 … LONGEST steps (errors over T = 1 … LONGEST)."""

    weights: str
    distance: float
    episodes: int
    horizon: int
    epsilon: float  # the largest total variation between the policies in a state
    paths: np.ndarray  # [LONGEST + 1, min(n, SHOWN)] log₁₀ of the weights of the first episodes
    heaviest: np.ndarray  # [LONGEST + 1] log₁₀ of the weights of the episode that is heaviest at T
    sample_mean: np.ndarray  # [LONGEST + 1] log₁₀ of the mean of n weights, whose expectation is 1
    top_count: int  # how many episodes are one in a hundred, at least one
    top_share: np.ndarray  # [LONGEST + 1] share of all weight that so many of the heaviest carry
    left: np.ndarray  # [LONGEST + 1] effective sample size of the n episodes over n
    left_exact: np.ndarray  # [LONGEST + 1] 1 / E w², what that tends to for many episodes
    growth: float  # factor of E w² a step, in the long run
    product_error: np.ndarray  # [LONGEST] root mean squared error of the gradient estimate over ‖∇J‖
    single_error: np.ndarray  # [LONGEST]
    single_bias: np.ndarray  # [LONGEST] what is left of it for infinitely many episodes


def target_logits(distance: float) -> Tensor:
    """(1 − d) · behaviour + d · target: the policy to be learned about, [S, A]."""
    return (1 - distance) * behaviour_logits() + distance * policy_logits()


@cache
def behaviour_episodes() -> tuple[Tensor, Tensor]:
    """(states, actions) of the behaviour policy, both [LONGEST, MOST]; remembered."""
    mdp, policy = two_rooms(), torch.softmax(behaviour_logits(), -1)
    luck = uniforms((LONGEST, 2, MOST), generator(0, "importance-weights episodes"))
    state = mdp.initial_state(uniforms((MOST, 1), generator(0, "importance-weights starts")))
    states, actions = [], []
    for choice, chance in luck:
        states.append(state)
        actions.append(sample_index(policy[state], choice))
        state = mdp.transition(state, actions[-1], chance[:, None])
    return torch.stack(states), torch.stack(actions)


def log_weights(distance: float, weights: str, chosen: slice | int) -> Tensor:
    """log w [LONGEST + 1, n] of the chosen episodes (or [LONGEST + 1] of one), beginning with 0."""
    states, actions = behaviour_episodes()
    table = torch.log_softmax(target_logits(distance), -1) - torch.log_softmax(behaviour_logits(), -1)
    ratios = table.flatten()[(states * table.shape[1] + actions)[:, chosen]]
    rows = ratios.cumsum(0) if weights == PRODUCT else ratios
    return torch.cat([torch.zeros_like(rows[:1]), rows])


@cache
def exact_part(distance: float) -> dict:
    """What needs no samples: numbers of `Frame`, and means and variances of the two gradient estimates."""
    mdp, logits = two_rooms(), target_logits(distance)
    policy, behaviour = torch.softmax(logits, -1), torch.softmax(behaviour_logits(), -1)
    ratio = policy_ratio(mdp, policy, behaviour)
    single = state_marginals(mdp, behaviour, LONGEST)[:-1] @ (behaviour * ratio.square()).sum(-1)  # E ρₜ²
    estimates = (mdp, logits, behaviour_logits(), LONGEST)
    product_mean, product_variance = off_policy_gradient_moments(*estimates, "product")
    single_mean, single_variance = off_policy_gradient_moments(*estimates, "single")
    size = product_mean.norm(dim=-1)  # unbiased: this is ‖∇J‖
    return {"epsilon": float(total_variation(policy, behaviour).max()),
            "growth": weight_growth(mdp, policy, behaviour),
            PRODUCT: torch.exp(-log_second_moment_of_weights(mdp, policy, behaviour, LONGEST)).numpy(),
            SINGLE: torch.cat([torch.ones(1, dtype=single.dtype), 1.0 / single]).numpy(),
            "product noise": (product_variance.sqrt() / size).numpy(),
            "single noise": (single_variance.sqrt() / size).numpy(),
            "single bias": ((single_mean - product_mean).norm(dim=-1) / size).numpy()}


@cache
def every_horizon(distance: float, episodes: int, weights: str) -> tuple[Frame, np.ndarray]:
    """All that does not depend on the horizon, as the frame of T = 1; who is heaviest at every t. Remembered."""
    exact, log_weight = exact_part(distance), log_weights(distance, weights, slice(episodes))
    top_count = max(1, episodes // 100)
    total = torch.logsumexp(log_weight, -1)
    largest, index = log_weight.topk(top_count, -1)
    frame = Frame(
        weights, distance, episodes, 1, exact["epsilon"],
        paths=in_tens(log_weight[:, :SHOWN]), heaviest=in_tens(log_weight[:, int(index[1, 0])]),
        sample_mean=in_tens(total - np.log(episodes)), top_count=top_count,
        top_share=torch.exp(torch.logsumexp(largest, -1) - total).numpy(),
        left=(effective_sample_size(log_weight) / episodes).numpy(), left_exact=exact[weights],
        growth=exact["growth"], product_error=exact["product noise"] / episodes ** 0.5,
        single_error=np.sqrt(exact["single noise"] ** 2 / episodes + exact["single bias"] ** 2),
        single_bias=exact["single bias"])
    return frame, index[:, 0].numpy()


def compute(horizon: int, distance: float, episodes: int, weights: str) -> Frame:
    """The frame of one setting of `CONTROLS`."""
    frame, who = every_horizon(distance, episodes, weights)
    return replace(frame, horizon=horizon, heaviest=in_tens(log_weights(distance, weights, int(who[horizon]))))


def in_tens(log: Tensor) -> np.ndarray:
    """Natural to common logarithms."""
    return (log / np.log(10)).numpy()
