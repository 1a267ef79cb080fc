"""Importance sampling for policy gradients: data of π_β, gradient of π.

ρₜ = π(aₜ|sₜ) / π_β(aₜ|sₜ); the dynamics cancel from the ratio of two trajectories' probabilities.
The weights below stand in the place of Ψₜ in Σₜ ∇log π(aₜ|sₜ) Ψₜ with episodes of π_β. Sequences
are [T, *B] with `terminated` and `truncated` (bool), over whose ends no product and no sum goes.
Rollouts are taken to begin at the start of an episode. Derived in lecture 03, section P6.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..core.check import require, require_shape, require_unit_interval
from .returns import discounted_return, reward_to_go


def importance_ratio(log_prob: Float[Tensor, "*B"],
                     behaviour_log_prob: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
    """ρ = π(a|s) / π_β(a|s) = exp(log π − log π_β): [*B], per action.

    E_β[ρ f(a)] = E_π[f(a)] wherever π_β can take every action that π can.
    """
    require_shape("behaviour_log_prob", behaviour_log_prob, tuple(log_prob.shape))
    return torch.exp(log_prob - behaviour_log_prob)


def trajectory_ratio(ratio: Float[Tensor, "T *B"], terminated: Bool[Tensor, "T *B"],
                     truncated: Bool[Tensor, "T *B"]) -> Float[Tensor, "T *B"]:
    """Π_{t'} ρ_{t'} over the whole episode that step t belongs to: [T, *B].

    = p_π(τ) / p_β(τ). Its mean is 1 for any horizon, its variance grows exponentially with it.
    """
    ahead = future_ratio(ratio, terminated, truncated)
    total, products = ahead[0], [ahead[0]]
    for ended, fresh in zip((terminated | truncated)[:-1].unbind(0), ahead[1:].unbind(0)):
        total = torch.where(ended, fresh, total)
        products.append(total)
    return torch.stack(products)


def past_ratio(ratio: Float[Tensor, "T *B"], terminated: Bool[Tensor, "T *B"],
               truncated: Bool[Tensor, "T *B"]) -> Float[Tensor, "T *B"]:
    """Π_{t' ≤ t} ρ_{t'} from the start of the episode up to and including step t: [T, *B]."""
    _require_ratio(ratio, terminated, truncated)
    total, products = torch.ones_like(ratio[0]), []
    for now, ended in zip(ratio.unbind(0), (terminated | truncated).unbind(0)):
        products.append(total * now)
        total = torch.where(ended, 1.0, products[-1])
    return torch.stack(products)


def future_ratio(ratio: Float[Tensor, "T *B"], terminated: Bool[Tensor, "T *B"],
                 truncated: Bool[Tensor, "T *B"]) -> Float[Tensor, "T *B"]:
    """Π_{t' ≥ t} ρ_{t'} from step t to the end of its episode: [T, *B]."""
    _require_ratio(ratio, terminated, truncated)
    total, products = torch.ones_like(ratio[0]), []
    for now, ended in zip(ratio.unbind(0)[::-1], (terminated | truncated).unbind(0)[::-1]):
        total = now * torch.where(ended, 1.0, total)
        products.append(total)
    return torch.stack(products[::-1])


def corrected_reward_to_go(reward: Float[Tensor, "T *B"], ratio: Float[Tensor, "T *B"],
                           terminated: Bool[Tensor, "T *B"], truncated: Bool[Tensor, "T *B"], *,
                           discount: float = 1.0) -> Float[Tensor, "T *B"]:
    """Gₜ = Σ_{t' ≥ t} γ^{t'−t} r_{t'} Π_{t''=t+1}^{t'} ρ_{t''}: [T, *B], an estimate of Q^π(sₜ, aₜ).

    Backwards, Gₜ = rₜ + γ ρₜ₊₁ Gₜ₊₁. The product begins at t + 1: aₜ is given, and its own ratio
    belongs to the past. Precup, Sutton, Singh 2000.
    """
    require_shape("ratio", ratio, tuple(reward.shape))
    _require_ratio(ratio, terminated, truncated)
    require_unit_interval("discount", discount)
    ends = (terminated | truncated).unbind(0)
    ahead, sums = torch.zeros_like(reward[0]), []
    for now, own, ended in zip(reward.unbind(0)[::-1], ratio.unbind(0)[::-1], ends[::-1]):
        later = now + discount * torch.where(ended, 0.0, ahead)
        sums.append(later)
        ahead = own * later
    return torch.stack(sums[::-1])


def trajectory_weight(reward: Float[Tensor, "T *B"], ratio: Float[Tensor, "T *B"],
                      terminated: Bool[Tensor, "T *B"], truncated: Bool[Tensor, "T *B"], *,
                      discount: float = 1.0) -> Float[Tensor, "T *B"]:
    """Ψ = (Π_{t'} ρ_{t'}) Σ_{t'} γ^{t'} r_{t'}: unbiased, and of the largest variance. [T, *B]."""
    require_shape("ratio", ratio, tuple(reward.shape))
    later = discounted_return(reward, terminated, truncated, discount=discount)
    return trajectory_ratio(ratio, terminated, truncated) * later


def causal_weight(reward: Float[Tensor, "T *B"], ratio: Float[Tensor, "T *B"],
                  terminated: Bool[Tensor, "T *B"], truncated: Bool[Tensor, "T *B"], *,
                  discount: float = 1.0) -> Float[Tensor, "T *B"]:
    """Ψₜ = (Π_{t' ≤ t} ρ_{t'}) Σ_{t' ≥ t} γ^{t'−t} r_{t'} Π_{t''=t+1}^{t'} ρ_{t''}: [T, *B], unbiased.

    Every reward is weighted by the actions up to it and no later ones; every ρ appears once.
    With γ < 1 this is discount option 1 (times γᵗ it is option 2; see `discount_weight`).
    """
    later = corrected_reward_to_go(reward, ratio, terminated, truncated, discount=discount)
    return past_ratio(ratio, terminated, truncated) * later


def past_only_weight(reward: Float[Tensor, "T *B"], ratio: Float[Tensor, "T *B"],
                     terminated: Bool[Tensor, "T *B"], truncated: Bool[Tensor, "T *B"], *,
                     discount: float = 1.0) -> Float[Tensor, "T *B"]:
    """Ψₜ = (Π_{t' ≤ t} ρ_{t'}) Σ_{t' ≥ t} γ^{t'−t} r_{t'}: the future ratios dropped, [T, *B].

    No estimate of ∇J: the rewards are still those of π_β, so that it follows Q^β where π goes. A
    step of policy iteration, biased as a gradient.
    """
    require_shape("ratio", ratio, tuple(reward.shape))
    later = reward_to_go(reward, terminated, truncated, discount=discount)
    return past_ratio(ratio, terminated, truncated) * later


def single_ratio_weight(reward: Float[Tensor, "T *B"], ratio: Float[Tensor, "T *B"],
                        terminated: Bool[Tensor, "T *B"], truncated: Bool[Tensor, "T *B"], *,
                        discount: float = 1.0) -> Float[Tensor, "T *B"]:
    """Ψₜ = ρₜ Σ_{t' ≥ t} γ^{t'−t} r_{t'}: one ratio a step, [T, *B]. Biased, of bounded variance.

    The gradient of the local objective Σₜ E_{sₜ∼β, aₜ∼π}[Q^β(sₜ, aₜ)], in which the states are still
    those of π_β. Right to first order: where the policies differ by at most ε in total variation
    at every state, the marginals of sₜ differ by at most 2εt in L1. What TRPO and PPO follow.
    """
    require_shape("ratio", ratio, tuple(reward.shape))
    return ratio * reward_to_go(reward, terminated, truncated, discount=discount)


def effective_sample_size(log_weight: Float[Tensor, "*B N"]) -> Float[Tensor, "*B"]:
    """(Σᵢ wᵢ)² / Σᵢ wᵢ²: between 1 and N, [*B] from log w [*B, N].

    How many samples of equal weight would be as good; N if all weights agree, 1 if one rules.
    Taken in logarithms, as products over long episodes over- and underflow. Kong 1992.
    """
    require(log_weight.shape[-1] > 0, "log_weight", "at least one sample", list(log_weight.shape))
    return torch.exp(2.0 * torch.logsumexp(log_weight, -1) - torch.logsumexp(2.0 * log_weight, -1))


def _require_ratio(ratio: Tensor, terminated: Tensor, truncated: Tensor) -> None:
    require(ratio.ndim >= 1 and len(ratio) > 0, "ratio", "at least one step, shape [T, *B]", list(ratio.shape))
    for name, flag in (("terminated", terminated), ("truncated", truncated)):
        require_shape(name, flag, tuple(ratio.shape))
        require(flag.dtype == torch.bool, name, "dtype bool", flag.dtype)
