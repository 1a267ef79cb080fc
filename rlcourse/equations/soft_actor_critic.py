"""Soft actor-critic: the target of the critics, two losses for the actor, and one for the temperature.

The objective is E Σₜ γᵗ (rₜ + α H(π(·|sₜ))): reward, and α (the `temperature`, in units of reward per nat)
times entropy. Then V(s) = E_{a∼π}[Q(s, a) − α log π(a|s)] and Q(s, a) = r + γ E V(s'): the entropy at s
itself is not in Q(s, a). All results are per element [*B]. The temperature is a number or a tensor that
broadcasts to [*B] (one per run, [R, 1]), and is data here: only `temperature_loss` moves it.
Haarnoja, Zhou, Abbeel, Levine 2018; with the tuned temperature Haarnoja and others 2018 ("Soft
Actor-Critic Algorithms and Applications"). Derived in lecture 04, section A8.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..core.check import require, require_shape
from .actor_critic import td_target


def soft_value(q: Float[Tensor, "*B"], log_prob: Float[Tensor, "*B"], *,
               temperature: float | Tensor) -> Float[Tensor, "*B"]:
    """Q(s, a) − α log π(a|s) [*B]: the soft value of s, from one action a ∼ π(·|s).

    Unlikely actions get a bonus: the sign is that of +α H, since H = −E log π.
    """
    require_shape("log_prob", log_prob, tuple(q.shape))
    return q - _data(temperature, q) * log_prob


def sac_target(reward: Float[Tensor, "*B"], next_q: Float[Tensor, "*B"], next_log_prob: Float[Tensor, "*B"],
               terminated: Bool[Tensor, "*B"], *, discount: float,
               temperature: float | Tensor) -> Float[Tensor, "*B"]:
    """y = r + γ (1 − terminated) (minᵢ Qᵢ(s', a') − α log π(a'|s')),   a' ∼ π(·|s'): the critics' target [*B].

    a' is drawn *now* from the present policy; the replay's next action came from an old one. r and s'
    may come from the replay, they depend on (s, a) alone. `next_q` is the smaller of the (slowly
    following) twin critics at (s', a'), against the overestimation of an actor that looks for their
    errors (Fujimoto, van Hoof, Meger 2018). No gradient flows through the target.
    Errors as in `actor_critic.td_target`.
    """
    return td_target(reward, soft_value(next_q, next_log_prob, temperature=temperature), terminated,
                     discount=discount)


def actor_loss(log_prob: Float[Tensor, "*B"], q: Float[Tensor, "*B"], *,
               temperature: float | Tensor) -> Float[Tensor, "*B"]:
    """α log π(a|s) − Q(s, a), a = f_θ(s, ε) [*B]: the reparameterised loss, to be *minimised*.

    Its mean over the noise ε is −V(s); its gradient flows through a, in Q and in log π, and through
    the parameters of log π. Both arguments must carry that: a ∼ π(·|s) drawn now, differentiably, never the
    replay's. Only the actor's parameters are to be stepped, though the gradient reaches the critics' too.
    """
    return -soft_value(q, log_prob, temperature=temperature)


def score_actor_loss(log_prob: Float[Tensor, "*B"], q: Float[Tensor, "*B"],
                     baseline: Float[Tensor, "*B"] | None = None, *,
                     temperature: float | Tensor) -> Float[Tensor, "*B"]:
    """−log π(a|s) (Q(s, a) − α log π(a|s) − b(s)) [*B]: the score-function form, to be *minimised*.

    a ∼ π(·|s) drawn now, and data; the bracket is data too. The gradient has the same mean as that of
    `actor_loss` (what is missing, α E ∇log π, is 0), often a larger variance, and needs no ∇ₐQ:
    it serves discrete actions as well. `baseline` b is any number that a did not touch, such as an estimate of V(s).
    """
    weight = soft_value(q, log_prob, temperature=temperature)
    if baseline is not None:
        require_shape("baseline", baseline, tuple(q.shape))
        weight = weight - baseline
    return -log_prob * weight.detach()


def temperature_loss(log_prob: Float[Tensor, "*B"], *, log_temperature: Tensor,
                     target_entropy: float) -> Float[Tensor, "*B"]:
    """−α (log π(a|s) + H̄), α = exp(`log_temperature`) [*B]: to be *minimised* in log α alone.

    The slope in log α is α (H − H̄) on average, with H = −E log π: a policy with too little entropy raises
    α. `log_temperature` broadcasts to [*B]; `log_prob` is data. H̄ = `target_entropy` in nats, of the
    same density as log π: for actions scaled to (−1, 1)ᴰ the usual choice is −D.
    """
    require(_broadcasts(log_temperature, log_prob), "log_temperature",
            f"a shape that broadcasts to {list(log_prob.shape)}", list(log_temperature.shape))
    return -torch.exp(log_temperature) * (log_prob.detach() + target_entropy)


def _data(temperature: float | Tensor, like: Tensor) -> float | Tensor:
    if not isinstance(temperature, Tensor):
        require(temperature >= 0, "temperature", "a number of at least 0", temperature)
        return temperature
    require(_broadcasts(temperature, like), "temperature", f"a shape that broadcasts to {list(like.shape)}",
            list(temperature.shape))
    return temperature.detach()


def _broadcasts(small: Tensor, large: Tensor) -> bool:
    """Whether `small` can be spread over `large` without making it larger."""
    missing = large.ndim - small.ndim
    return missing >= 0 and all(have in (1, want) for have, want in zip(small.shape, large.shape[missing:]))
