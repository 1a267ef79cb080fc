"""Q-learning when the actions are vectors, and the maximum over them no longer a comparison of A numbers.

Two ways to have it: a Q that is a parabola in the action, whose top is known (NAF), or an actor μ(s) that is trained
to find it (DDPG, TD3). Actions are [*B, D]; values, targets and losses are per element [*B]. Targets are
data, and as in `td` only `terminated` takes the next value away: a truncated step bootstraps.
Derived in lecture 05b, section Q8.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..core.check import require, require_shape
from .actor_critic import td_target


def naf_advantage(action: Float[Tensor, "*B D"], mean: Float[Tensor, "*B D"],
                  cholesky: Float[Tensor, "*B D D"]) -> Float[Tensor, "*B"]:
    """A(s, a) = −½ (a − μ(s))ᵀ L Lᵀ (a − μ(s)), L = `cholesky` lower triangular: [*B], never positive.

    Q(s, a) = V(s) + A(s, a) then has its maximum V(s) at a = μ(s), at no cost, and the Hessian −L Lᵀ in a. The
    target of Q-learning is r + γ (1 − terminated) V(s'), `actor_critic.td_target`. With a positive diagonal, L is
    the Cholesky factor of the curvature, and the maximum is the only one. Exact where Q is a parabola in a,
    as in a linear–quadratic problem. Gu, Lillicrap, Sutskever, Levine 2016. (Lecture 05b, Q8.)
    Errors: ValueError for shapes that differ.
    """
    require_shape("action", action, ("...", "D"))
    require_shape("mean", mean, tuple(action.shape))
    require_shape("cholesky", cholesky, (*action.shape, action.shape[-1]))
    along = (cholesky.mT @ (action - mean)[..., None]).squeeze(-1)  # Lᵀ (a − μ)
    return -0.5 * along.square().sum(-1)


def smoothed_action(action: Float[Tensor, "*B D"], noise: Float[Tensor, "*B D"], *, noise_std: float,
                    noise_clip: float, low: float, high: float) -> Float[Tensor, "*B D"]:
    """ã = clip(μ'(s') + clip(σ ξ, −c, c), low, high), ξ ∼ N(0, 1): target policy smoothing [*B, D].

    `action` = μ'(s') of the target actor and `noise` = ξ, standard normal; σ = `noise_std` and c = `noise_clip`
    in units of the action (0.2 and 0.5 in the paper, for actions in [−1, 1]). Over many
    draws the target averages Q' near μ'(s'), so that a narrow peak of its error should be worth less to the actor.
    σ = 0 leaves only the clip to the box. Fujimoto, van Hoof, Meger 2018. (Lecture 05b, Q8.)
    Errors: ValueError for shapes that differ, a negative σ or c, or `low` not below `high`.
    """
    require_shape("noise", noise, tuple(action.shape))
    require(noise_std >= 0, "noise_std", "a number of at least 0", noise_std)
    require(noise_clip >= 0, "noise_clip", "a number of at least 0", noise_clip)
    require(low < high, "low", f"a number below high = {high}", low)
    return (action + (noise_std * noise).clamp(-noise_clip, noise_clip)).clamp(low, high)


def td3_target(reward: Float[Tensor, "*B"], next_q_1: Float[Tensor, "*B"], next_q_2: Float[Tensor, "*B"],
               terminated: Bool[Tensor, "*B"], *, discount: float) -> Float[Tensor, "*B"]:
    """y = r + γ (1 − terminated) min(Q'₁(s', ã), Q'₂(s', ã)): the target of both critics [*B].

    Q'ᵢ are the target critics, ã the target actor's action, from `smoothed_action`. With one critic in both places
    and without smoothing it is the target of DDPG (Lillicrap and others 2015). Fujimoto, van Hoof, Meger 2018.
    (Lecture 05b, Q8.) Errors as in `actor_critic.td_target`.
    """
    require_shape("next_q_1", next_q_1, tuple(reward.shape))
    require_shape("next_q_2", next_q_2, tuple(reward.shape))
    return td_target(reward, torch.minimum(next_q_1, next_q_2), terminated, discount=discount)


def deterministic_actor_loss(q: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
    """−Q(s, μ_θ(s)) [*B], to be *minimised*: its gradient in θ is −∇_θ μ_θ(s) ∇ₐQ(s, a) at a = μ_θ(s).

    `q` must carry the gradient through the action μ_θ(s), taken now: at a replayed action nothing of it reaches θ.
    Only the actor's parameters are to be stepped, though the gradient reaches the critic's too. With Q = Q^μ and
    states as often as μ visits them (discounted) the gradient's mean is −∇J, up to a factor; with replayed states a
    small step raises the mean of Q over those, which need not raise J.
    Silver and others 2014; Lillicrap and others 2015. (Lecture 05b, Q8.)
    """
    return -q
