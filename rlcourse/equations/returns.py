"""Returns, rewards-to-go and advantages along rollouts in which episodes end.

Every function takes [T, *B] tensors: T steps of *B environments, whatever ends and begins
meanwhile. `reward[t]` belongs to `action[t]`; `terminated[t]` and `truncated[t]` (bool) say that
step t was the last one of its episode, because the problem was over or because the time limit
cut it. Nothing flows back over an end: what follows it belongs to another episode.
Derived in lecture 03, sections P3 and P8; `gae` in lecture 04, section A6.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..core.check import require, require_unit_interval


def reward_to_go(reward: Float[Tensor, "T *B"], terminated: Bool[Tensor, "T *B"],
                 truncated: Bool[Tensor, "T *B"], *, discount: float = 1.0) -> Float[Tensor, "T *B"]:
    """Rₜ = Σ_{t' ≥ t} γ^{t'−t} r_{t'}, up to the end of the episode or of the rollout: [T, *B].

    Backwards, Rₜ = rₜ + γ Rₜ₊₁, or rₜ alone where the episode ends. An action cannot change the
    rewards before it (causality, P3). What a truncated or unfinished episode would still have
    earned is not in the sum: `gae` puts a value there.
    Errors: ValueError for a rollout without steps, other shapes, or rewards that are not finite.
    """
    _require_rollout(reward, terminated=terminated, truncated=truncated)
    require_unit_interval("discount", discount)
    return _sum_backwards(reward, discount * (~(terminated | truncated)).to(reward.dtype))


def discounted_return(reward: Float[Tensor, "T *B"], terminated: Bool[Tensor, "T *B"],
                      truncated: Bool[Tensor, "T *B"], *, discount: float = 1.0) -> Float[Tensor, "T *B"]:
    """R(τ) = Σ_k γᵏ r_k over the whole episode that step t belongs to, k from its start: [T, *B].

    The same number at every step of an episode: the weight of plain REINFORCE (P1; Williams 1992),
    which credits an action also with the rewards before it. An episode that was already running
    when the rollout began counts from the rollout's first step. Errors as in `reward_to_go`.
    """
    later = reward_to_go(reward, terminated, truncated, discount=discount)
    total, returns = later[0], [later[0]]
    for ended, fresh in zip((terminated | truncated)[:-1].unbind(0), later[1:].unbind(0)):
        total = torch.where(ended, fresh, total)
        returns.append(total)
    return torch.stack(returns)


def episode_step(terminated: Bool[Tensor, "T *B"], truncated: Bool[Tensor, "T *B"]) -> Int[Tensor, "T *B"]:
    """How many steps of its episode lie before step t: [T, *B] (int64), 0 right after an end.

    Environments are taken to be at the start of an episode when the rollout begins.
    """
    require(terminated.shape == truncated.shape, "truncated", f"the shape of terminated, "
            f"{list(terminated.shape)}", list(truncated.shape))
    count = torch.zeros(terminated.shape[1:], dtype=torch.int64, device=terminated.device)
    counts = []
    for ended in (terminated | truncated).unbind(0):
        counts.append(count)
        count = torch.where(ended, 0, count + 1)
    return torch.stack(counts) if counts else torch.zeros_like(terminated, dtype=torch.int64)


def gae(reward: Float[Tensor, "T *B"], value: Float[Tensor, "T *B"], next_value: Float[Tensor, "T *B"],
        terminated: Bool[Tensor, "T *B"], truncated: Bool[Tensor, "T *B"], *, discount: float,
        gae_lambda: float) -> Float[Tensor, "T *B"]:
    """Âₜ = Σ_l (γλ)ˡ δₜ₊ₗ,   δₜ = rₜ + γ V(sₜ₊₁) − V(sₜ): generalised advantages [T, *B].

    Backwards, Âₜ = δₜ + γλ Âₜ₊₁. `value` is V(sₜ) and `next_value` V of the *true* successor, which
    at an end is not value[t+1]. Three cases at step t:
    terminated: no value follows, δₜ = rₜ − V(sₜ), and the sum stops;
    truncated: δₜ = rₜ + γ V(sₜ₊₁) − V(sₜ), since the problem would have gone on, and the sum stops;
    last step of the rollout: the same, by `next_value[T − 1]`.
    λ = 0 gives the TD error δₜ, λ = 1 the reward-to-go (with a value at its end) minus V(sₜ).
    Schulman, Moritz, Levine, Jordan, Abbeel 2016. Errors as in `reward_to_go`.
    """
    _require_rollout(reward, value=value, next_value=next_value, terminated=terminated, truncated=truncated)
    require_unit_interval("discount", discount)
    require_unit_interval("gae_lambda", gae_lambda)
    following = torch.where(terminated, 0.0, next_value)
    td_error = reward + discount * following - value
    goes_on = (~(terminated | truncated)).to(reward.dtype)
    return _sum_backwards(td_error, discount * gae_lambda * goes_on)


def _sum_backwards(term: Tensor, decay: Tensor) -> Tensor:
    """Gₜ = termₜ + decayₜ Gₜ₊₁ with G_T = 0."""
    total, sums = torch.zeros_like(term[0]), []
    for now, keep in zip(term.unbind(0)[::-1], decay.unbind(0)[::-1]):
        total = torch.addcmul(now, keep, total)
        sums.append(total)
    return torch.stack(sums[::-1])


def _require_rollout(reward: Tensor, **others: Tensor) -> None:
    require(reward.ndim >= 1 and len(reward) > 0, "reward", "at least one step, shape [T, *B]", list(reward.shape))
    require(bool(torch.isfinite(reward).all()), "reward", "finite numbers", "NaN or infinity")
    for name, tensor in others.items():
        require(tensor.shape == reward.shape, name, f"the shape of reward, {list(reward.shape)}",
                list(tensor.shape))
        if name in ("terminated", "truncated"):
            require(tensor.dtype == torch.bool, name, "dtype bool", tensor.dtype)
