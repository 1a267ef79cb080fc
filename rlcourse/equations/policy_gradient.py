"""The policy gradient: what multiplies ∇log π, and the losses whose gradient it is.

∇J = E[ Σₜ ∇log π(aₜ|sₜ) Ψₜ ]. The weight Ψₜ is the total return (`returns.discounted_return`, P1),
the reward-to-go (`returns.reward_to_go`, P3), either of them minus a baseline (P4), or an
advantage. Sequences are [T, *B, N]: N episodes (or environments) side by side, before them any
axes of independent runs. Derived in lecture 03, sections P1 to P4 and P7 to P9.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..core.check import require, require_shape
from .returns import episode_step, reward_to_go


def gradient_estimate(score: Float[Tensor, "T *B N P"], weight: Float[Tensor, "T *B N"]) -> Float[Tensor, "*B P"]:
    """ĝ = (1/N) Σᵢ Σₜ ∇log π(aₜⁱ|sₜⁱ) Ψₜⁱ: [*B, P] from scores [T, *B, N, P] and weights [T, *B, N].

    The sum over time is a sum: a mean would be another step size, and for episodes of different
    lengths another direction. Williams 1992. (Lecture 03, P1.)
    """
    require_shape("weight", weight, tuple(score.shape[:-1]))
    return (score * weight.unsqueeze(-1)).sum(0).mean(-2)


def batch_mean(weight: Float[Tensor, "*B N"], valid: Bool[Tensor, "*B N"] | None = None) -> Float[Tensor, "*B N"]:
    """bᵢ = (1/N) Σⱼ Ψⱼ: the batch's average as the baseline of each of its members, [*B, N].

    The average contains Ψᵢ and so depends on the actions of episode i: the expected estimate is
    (1 − 1/N) times the gradient. Its direction is right, its length too short. `valid` leaves
    padding out of the average and gives it the baseline 0. (Lecture 03, P4.)
    """
    if valid is None:
        return weight.mean(-1, keepdim=True).expand_as(weight)
    require_shape("valid", valid, tuple(weight.shape))
    total = torch.where(valid, weight, 0.0).sum(-1, keepdim=True)
    return torch.where(valid, total / valid.sum(-1, keepdim=True).clamp(min=1), 0.0)


def leave_one_out(weight: Float[Tensor, "*B N"],
                  valid: Bool[Tensor, "*B N"] | None = None) -> Float[Tensor, "*B N"]:
    """bᵢ = (1/(N − 1)) Σ_{j ≠ i} Ψⱼ: the average of the *other* episodes, [*B, N].

    Independent of the actions of episode i, so the estimate is unbiased; Ψᵢ − bᵢ is N/(N − 1)
    times what the batch mean leaves. With `valid` the others are those that still run; who is
    alone has the baseline 0. Kool, van Hoof, Welling 2019. (Lecture 03, P4.)
    Errors: ValueError for N = 1.
    """
    require(weight.shape[-1] > 1, "weight", "at least two episodes on the last axis", weight.shape[-1])
    valid = torch.ones_like(weight, dtype=torch.bool) if valid is None else valid
    require_shape("valid", valid, tuple(weight.shape))
    own = torch.where(valid, weight, 0.0)
    others = valid.sum(-1, keepdim=True) - 1
    return torch.where(valid & (others > 0), (own.sum(-1, keepdim=True) - own) / others.clamp(min=1), 0.0)


def optimal_baseline(score: Float[Tensor, "*B N P"], episode_return: Float[Tensor, "*B N"],
                     prob: Float[Tensor, "*B N"] | None = None, *,
                     per_component: bool = True) -> Float[Tensor, "*B P"]:
    """b*ₚ = E[gₚ² R] / E[gₚ²], one number per component of the gradient: [*B, P].

    g = Σₜ ∇log π(aₜ|sₜ) is the score of an episode [*B, N, P] and R its return [*B, N]: b* makes the
    variance of every gₚ (R − bₚ) as small as a constant can. With `per_component=False` all P
    numbers are the one that minimises their sum, E[‖g‖² R] / E[‖g‖²]. Expectations are means over
    the N episodes, or weighted by `prob` [*B, N] (summing to 1). Estimated from the very episodes
    it is used on, it biases them, as the batch mean does. Only for the total return: for the
    reward-to-go see `optimal_reward_to_go_baseline`. Greensmith, Bartlett, Baxter 2004; Peters,
    Schaal 2008. (Lecture 03, P4.)
    """
    require_shape("episode_return", episode_return, tuple(score.shape[:-1]))
    return _ratio_of_means(score.square() * episode_return.unsqueeze(-1), score.square(), prob, per_component)


def optimal_reward_to_go_baseline(score: Float[Tensor, "T *B N P"], later: Float[Tensor, "T *B N"],
                                  prob: Float[Tensor, "*B N"] | None = None, *,
                                  per_component: bool = True) -> Float[Tensor, "*B P"]:
    """b*ₚ = E[(Σₜ gₜₚ Rₜ)(Σₜ gₜₚ)] / E[(Σₜ gₜₚ)²]: the best constant for rewards-to-go, [*B, P].

    gₜ = ∇log π(aₜ|sₜ) [T, *B, N, P], Rₜ = `later` [T, *B, N]. It minimises the variance of each
    Σₜ gₜₚ (Rₜ − bₚ); b* of `optimal_baseline` does not. `prob` and `per_component` as there.
    """
    require_shape("later", later, tuple(score.shape[:-1]))
    gradient, total = (score * later.unsqueeze(-1)).sum(0), score.sum(0)
    return _ratio_of_means(gradient * total, total.square(), prob, per_component)


def discount_weight(reward: Float[Tensor, "T *B"], terminated: Bool[Tensor, "T *B"],
                    truncated: Bool[Tensor, "T *B"], *, discount: float, option: int) -> Float[Tensor, "T *B"]:
    """The two ways to discount a reward-to-go, [T, *B] (t counts from the start of the episode).

    option 1: Ψₜ = Σ_{t' ≥ t} γ^{t'−t} r_{t'}: every step matters alike. What is used.
    option 2: Ψₜ = γᵗ Σ_{t' ≥ t} γ^{t'−t} r_{t'}: the gradient of E Σₜ γᵗ rₜ, which hardly cares
    about late steps. Option 1 is not the gradient of that (Thomas 2014), nor in general of any
    other function of θ (Nota, Thomas 2020). (Lecture 03, P8.)
    """
    require(option in (1, 2), "option", "1 or 2", option)
    later = reward_to_go(reward, terminated, truncated, discount=discount)
    return later if option == 1 else discount ** episode_step(terminated, truncated).to(later.dtype) * later


def normalised(advantage: Float[Tensor, "*B n"], valid: Bool[Tensor, "*B n"] | None = None, *,
               least_std: float = 1e-8) -> Float[Tensor, "*B n"]:
    """(Aᵢ − mean A) / (std A + least_std) over the last axis: [*B, n], padding 0.

    One learning rate then serves rewards of any size. It is no unbiased estimate times a
    constant: mean and deviation depend on the actions that they weigh. The deviation is that of
    the batch itself (divided by n), so that a single element gives 0, not NaN. (Lecture 03, P10.)
    """
    require(advantage.shape[-1] > 0, "advantage", "at least one element", list(advantage.shape))
    centred = advantage - batch_mean(advantage, valid)
    if valid is None:
        return centred / (centred.square().mean(-1, keepdim=True).sqrt() + least_std)
    centred = torch.where(valid, centred, 0.0)
    variance = centred.square().sum(-1, keepdim=True) / valid.sum(-1, keepdim=True).clamp(min=1)
    return centred / (variance.sqrt() + least_std)


def surrogate_loss(log_prob: Float[Tensor, "*B"], weight: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
    """−log π(a|s) Ψ, per element [*B]: to be *minimised*; its gradient is −∇log π Ψ.

    The weight is taken as data: no gradient flows through it. The value itself means nothing;
    only its gradient at the policy that drew the actions does. Shapes must agree exactly: [n]
    times [n, 1] would be a matrix, whose mean is a product of means. (Lecture 03, P7.)
    """
    require_shape("weight", weight, tuple(log_prob.shape))
    return -log_prob * weight.detach()


def clipped_surrogate(log_prob: Float[Tensor, "*B"], behaviour_log_prob: Float[Tensor, "*B"],
                      advantage: Float[Tensor, "*B"], *, clip_range: float) -> Float[Tensor, "*B"]:
    """min(ρ A, clip(ρ, 1 − ε, 1 + ε) A),   ρ = π(a|s) / π_old(a|s): per element [*B].

    To be *maximised*, as in the paper: an objective and not a loss. At ρ = 1 its gradient is the
    policy gradient's, ∇log π A. The clip binds, and the gradient is zero, where the policy has already moved far
    enough the way the advantage points: ρ > 1 + ε with A > 0, ρ < 1 − ε with A < 0. Moves the
    wrong way are never clipped. `behaviour_log_prob` and `advantage` are data.
    Schulman, Wolski, Dhariwal, Radford, Klimov 2017. (Lecture 03, P9.)
    """
    require_shape("behaviour_log_prob", behaviour_log_prob, tuple(log_prob.shape))
    require_shape("advantage", advantage, tuple(log_prob.shape))
    require(clip_range > 0, "clip_range", "a positive number", clip_range)
    ratio, advantage = torch.exp(log_prob - behaviour_log_prob.detach()), advantage.detach()
    clipped = ratio.clamp(1.0 - clip_range, 1.0 + clip_range)
    return torch.minimum(ratio * advantage, clipped * advantage)


def _ratio_of_means(above: Tensor, below: Tensor, prob: Tensor | None, per_component: bool) -> Tensor:
    """E[above] / E[below] over axis −2 of [*B, N, P]; 0 where below is 0, as any baseline will do there."""
    if prob is not None:
        require_shape("prob", prob, tuple(above.shape[:-1]))
        above, below = above * prob.unsqueeze(-1), below * prob.unsqueeze(-1)
    above, below = above.sum(-2), below.sum(-2)
    if not per_component:
        above, below = (part.sum(-1, keepdim=True).expand_as(part) for part in (above, below))
    return torch.where(below > 0, above / torch.where(below > 0, below, 1.0), 0.0)
