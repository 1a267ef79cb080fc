"""What a critic is fitted to, and the advantages that it gives an actor.

Tensors are [T, *B] along rollouts in which episodes end, as in `returns`; what looks one step ahead takes
any shape. `value` is V(sₜ); `next_value` is V of the *true* successor, which at an end is not value[t + 1].
An end cuts every sum. Where the problem is over (`terminated`, also when the time limit struck at the
same step) no value follows; where only the time limit cut it (`truncated`), or where the rollout stops,
the future is worth γ V(sₜ₊₁). Targets are data: no gradient flows through them. With one, the
regression would also pull γ V(s') towards V(s) − r, and would be another algorithm.
Derived in lecture 04, sections A1 and A6; the advantage of A6 itself is `returns.gae`.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..core.check import require, require_count, require_shape, require_unit_interval
from .returns import gae, reward_to_go


def td_target(reward: Float[Tensor, "*B"], next_value: Float[Tensor, "*B"], terminated: Bool[Tensor, "*B"], *,
              discount: float) -> Float[Tensor, "*B"]:
    """y = r + γ (1 − terminated) V(s'): one reward, and what the critic thinks of the rest, [*B].

    Little noise, and the critic's error times γ. Truncation is not an argument: the problem would have
    gone on, so its last step bootstraps as any other. V(s') behind a termination may be anything,
    infinite even. Sutton 1988. (Lecture 04, A1.)
    Errors: ValueError for shapes that differ, a flag that is no bool, or a discount outside [0, 1].
    """
    _require_like(reward, next_value=next_value, terminated=terminated)
    require_unit_interval("discount", discount)
    return reward + discount * torch.where(terminated, 0.0, next_value.detach())


def td_error(reward: Float[Tensor, "*B"], value: Float[Tensor, "*B"], next_value: Float[Tensor, "*B"],
             terminated: Bool[Tensor, "*B"], *, discount: float) -> Float[Tensor, "*B"]:
    """δ = r + γ (1 − terminated) V(s') − V(s), [*B]: positive where things went better than V(s) said.

    As an advantage estimate its mean is A^π(s, a) for V = V^π. The gradient of ½ δ² flows through V(s) alone.
    """
    _require_like(reward, value=value)
    return td_target(reward, next_value, terminated, discount=discount) - value


def monte_carlo_target(reward: Float[Tensor, "T *B"], next_value: Float[Tensor, "T *B"],
                       terminated: Bool[Tensor, "T *B"], truncated: Bool[Tensor, "T *B"], *,
                       discount: float) -> Float[Tensor, "T *B"]:
    """yₜ = Σ_{t'=t}^{e} γ^{t'−t} r_{t'} + γ^{e+1−t} V(s_{e+1}): all rewards up to the end e, [T, *B].

    The last term stands only where step e did not terminate: at a time limit, or where the rollout
    stops. `next_value` is not used anywhere else. With `next_value` = 0 this is `returns.reward_to_go`,
    which is V^π(s) on average only if every episode in it terminates. (Lecture 04, A1.)
    """
    _require_like(reward, next_value=next_value, terminated=terminated, truncated=truncated)
    last = terminated | truncated
    last = torch.cat([last[:-1], torch.ones_like(last[-1:])])
    left = torch.where(last & ~terminated, next_value.detach(), 0.0)
    return reward_to_go(reward + discount * left, terminated, truncated, discount=discount)


def n_step_target(reward: Float[Tensor, "T *B"], next_value: Float[Tensor, "T *B"],
                  terminated: Bool[Tensor, "T *B"], truncated: Bool[Tensor, "T *B"], *, discount: float,
                  steps: int) -> Float[Tensor, "T *B"]:
    """yⁿₜ = Σ_{t'=t}^{t+m−1} γ^{t'−t} r_{t'} + γᵐ V(s_{t+m}), m = min(n, steps left), [T, *B].

    m rewards, the last of them r_{t+m−1}: r_{t+m} is already in V(s_{t+m}). Steps are left up to the end of
    the episode or of the rollout; the value is missing where step t + m − 1 terminated. n = `steps` = 1 is
    `td_target`, n ≥ T `monte_carlo_target`. Recursively y¹ₜ = `td_target`, yⁿₜ = rₜ + γ yⁿ⁻¹ₜ₊₁ inside an
    episode and y¹ₜ at its end. Watkins 1989. (Lecture 04, A6.)
    """
    require_count("steps", steps)
    _require_like(reward, truncated=truncated)
    one_step = td_target(reward, next_value, terminated, discount=discount)
    last, target = terminated | truncated, one_step
    for _ in range(min(steps, len(reward)) - 1):
        longer = torch.where(last[:-1], one_step[:-1], reward[:-1] + discount * target[1:])
        target = torch.cat([longer, one_step[-1:]])
    return target


def n_step_advantage(reward: Float[Tensor, "T *B"], value: Float[Tensor, "T *B"],
                     next_value: Float[Tensor, "T *B"], terminated: Bool[Tensor, "T *B"],
                     truncated: Bool[Tensor, "T *B"], *, discount: float, steps: int) -> Float[Tensor, "T *B"]:
    """Âⁿₜ = yⁿₜ − V(sₜ) [T, *B], yⁿ from `n_step_target`: a sum of m TD errors, Σ_{l<m} γˡ δₜ₊ₗ.

    Small n: a biased estimate with little noise; large n: the reverse. (Lecture 04, A6.)
    """
    _require_like(reward, value=value)
    return n_step_target(reward, next_value, terminated, truncated, discount=discount, steps=steps) - value


def lambda_return(reward: Float[Tensor, "T *B"], value: Float[Tensor, "T *B"], next_value: Float[Tensor, "T *B"],
                  terminated: Bool[Tensor, "T *B"], truncated: Bool[Tensor, "T *B"], *, discount: float,
                  gae_lambda: float) -> Float[Tensor, "T *B"]:
    """y^λₜ = Âₜ + V(sₜ) [T, *B] with Â from `returns.gae`: the target that goes with that advantage.

    = Σ_{n=1}^{N} wₙ yⁿₜ over the N steps left, with the weights w of `n_step_weights`: λ = 0 is `td_target`,
    λ = 1 `monte_carlo_target`. Watkins 1989; Sutton, Barto 2018, chapter 12. (Lecture 04, A6.)
    """
    value = value.detach()
    return value + gae(reward, value, next_value.detach(), terminated, truncated, discount=discount,
                       gae_lambda=gae_lambda)


def n_step_weights(length: int, gae_lambda: float) -> Float[Tensor, " {length}"]:
    """wₙ = (1 − λ) λⁿ⁻¹ for n = 1 … N − 1 and w_N = λᴺ⁻¹: how GAE mixes the n-step estimates, [N].

    N = `length` steps are left before the episode or the rollout ends. Every estimate longer than that *is*
    the N-step one, which therefore gets what all of them together weigh, Σ_{n≥N} (1 − λ) λⁿ⁻¹ = λᴺ⁻¹.
    The weights sum to 1; without the leftover they would sum to 1 − λᴺ. float64. (Lecture 04, A6.)
    """
    require_count("length", length)
    require_unit_interval("gae_lambda", gae_lambda)
    power = gae_lambda ** torch.arange(length, dtype=torch.float64)
    return torch.cat([(1.0 - gae_lambda) * power[:-1], power[-1:]])


def _require_like(reward: Tensor, **others: Tensor) -> None:
    for name, tensor in others.items():
        require_shape(name, tensor, tuple(reward.shape))
        if name in ("terminated", "truncated"):
            require(tensor.dtype == torch.bool, name, "dtype bool", tensor.dtype)
