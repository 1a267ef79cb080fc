"""Targets that look more than one reward ahead, for a Q that is learned from other policies' data.

Tensors are [T, *B] along rollouts or windows of a replay, as in `returns`: `reward[t]` belongs to `action[t]`,
`next_value[t]` and `next_expected_q[t]` to the *true* successor of step t. An end cuts every sum; where the
problem is over (`terminated`, also with both flags) nothing follows, and where the time limit cut it (`truncated`)
or the rows end, the last step of the sum bootstraps. Targets are data: no gradient flows through them.

An n-step target contains the rewards of a_{t+1} … a_{t+n−1}. If these are π's (aₜ is free, and a_{t+n} does not
occur) and the value behind them is E_{a∼π} Q, its mean is n backups along π; if not, it is another policy's in
general. What to do about actions that are not π's: nothing (usual for small n and recent data, without a guarantee),
or a trace per step that says how much of the rest of the data to believe:

    trace c(a|s)             with `trace_target` gives
    0                        the target of expected SARSA, from one step
    λ π(a|s)                 tree backup (Precup, Sutton, Singh 2000)
    λ 1[a greedy]            Q(λ) cut at the first other action, for a greedy π (Watkins 1989)
    λ min(1, ρ)              Retrace (Munos, Stepleton, Harutyunyan, Bellemare 2016)
    ρ = π(a|s)/π_β(a|s)      importance weights per decision: the mean of π's own sum, the variance of products
    λ                        Q^π(λ) (Harutyunyan and others 2016): safe only for π close to π_β, or small λ

The ratio needs π_β > 0 wherever π is.

`n_step_target` is not among them: it is what `trace_target` gives for c = 1 with Q(s_{k+1}, a_{k+1}) of the action
that came in the place of the expectation (but at the end), when every Q in between cancels.

Derived in lecture 05b, section Q7.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..core.check import require, require_shape, require_unit_interval
from . import actor_critic


def n_step_target(reward: Float[Tensor, "N *B"], next_value: Float[Tensor, "N *B"],
                  terminated: Bool[Tensor, "N *B"], truncated: Bool[Tensor, "N *B"], *,
                  discount: float) -> Float[Tensor, "*B"]:
    """y = Σ_{k<m} γᵏ r_k + γᵐ V(s_m), the first step's target from a window of N rows: [*B].

    m = N, or up to and with the first end in the window; V(s_m) = `next_value[m − 1]` is missing if row m − 1
    terminated. Q-learning puts maxₐ Q(s_m, a) there. What stands behind the first end belongs to another
    episode and does not matter. As a rule N = 1 has the most bias and the least noise, large N the reverse. The
    first row of `actor_critic.n_step_target`. Right off-policy only as said above. Watkins 1989. (Lecture 05b, Q7.)
    Errors: ValueError for no rows, shapes that differ, a flag that is no bool, or a discount outside [0, 1].
    """
    _require_rows(reward)
    return actor_critic.n_step_target(reward, next_value, terminated, truncated, discount=discount,
                                      steps=len(reward))[0]


def retrace_coefficients(importance_ratio: Float[Tensor, "*B"], *, trace_decay: float) -> Float[Tensor, "*B"]:
    """cₜ = λ min(1, ρₜ), ρ = π(a|s)/π_β(a|s), λ = `trace_decay`: [*B].

    Never above 1, so products of them cannot blow up, and as long as possible where π_β does what π does.
    For a fixed π the operator of `trace_target` contracts to Q^π for any π_β that takes all of π's actions.
    Munos, Stepleton, Harutyunyan, Bellemare 2016.
    (Lecture 05b, Q7.) Errors: ValueError for a negative ratio or a decay outside [0, 1].
    """
    require_unit_interval("trace_decay", trace_decay)
    require(not bool((importance_ratio < 0).any()), "importance_ratio", "ratios of at least 0",
            "a negative one (a logarithm?)")
    return trace_decay * importance_ratio.detach().clamp(max=1.0)


def watkins_coefficients(was_greedy: Bool[Tensor, "*B"], *, trace_decay: float) -> Float[Tensor, "*B"]:
    """cₜ = λ where aₜ was a greedy action of the present Q, else 0, λ = `trace_decay`: [*B] (float64).

    The trace is cut in front of the first exploring action, which a greedy π would not have taken.
    Short with much exploration. Watkins 1989. (Lecture 05b, Q7.)
    Errors: ValueError for a flag that is no bool or a decay outside [0, 1].
    """
    require(was_greedy.dtype == torch.bool, "was_greedy", "dtype bool", was_greedy.dtype)
    require_unit_interval("trace_decay", trace_decay)
    return trace_decay * was_greedy.double()


def trace_target(reward: Float[Tensor, "T *B"], q: Float[Tensor, "T *B"], next_expected_q: Float[Tensor, "T *B"],
                 trace: Float[Tensor, "T *B"], terminated: Bool[Tensor, "T *B"], truncated: Bool[Tensor, "T *B"], *,
                 discount: float) -> Float[Tensor, "T *B"]:
    """Gₜ = Q(sₜ, aₜ) + Σ_{k≥t} γ^{k−t} (Π_{i=t+1}^{k} cᵢ) δ_k: off-policy targets of every step, [T, *B].

    δ_k = r_k + γ (1 − terminated_k) E_{a∼π} Q(s_{k+1}, a) − Q(s_k, a_k), with `q` = Q(s_k, a_k) of the data's action
    and `next_expected_q` = Σₐ π(a|s_{k+1}) Q(s_{k+1}, a), maxₐ Q for a greedy π. The sum stops at the first end.
    `trace[t]` = cₜ belongs to aₜ and weighs what comes from step t on in the targets of the steps *before*:
    c_{t+1} is the first in Gₜ, since aₜ is given, and c₀ occurs nowhere. Backwards, with Gₜ = Q(sₜ, aₜ) + xₜ,
    xₜ = δₜ + γ c_{t+1} xₜ₊₁ inside an episode and xₜ = δₜ at its end and in the last row.

    For Q = Q^π the mean of Gₜ is Q^π whatever the traces and whoever acted, since every δ has mean 0. For another
    Q, a fixed π and 0 ≤ c ≤ ρ the largest error of the mean is at most γ times that of Q.
    Munos, Stepleton, Harutyunyan, Bellemare 2016. (Lecture 05b, Q7.) Errors as in `n_step_target`.
    """
    _require_rows(reward)
    others = {"q": q, "next_expected_q": next_expected_q, "trace": trace, "truncated": truncated}
    for name, tensor in others.items():
        require_shape(name, tensor, tuple(reward.shape))
    require(truncated.dtype == torch.bool, "truncated", "dtype bool", truncated.dtype)
    error = actor_critic.td_error(reward, q, next_expected_q, terminated, discount=discount).detach()
    weight = discount * trace.detach().to(error.dtype)
    last = terminated | truncated
    ahead = [error[-1]]
    for t in range(len(error) - 2, -1, -1):
        ahead.append(torch.where(last[t], error[t], error[t] + weight[t + 1] * ahead[-1]))
    return q.detach() + torch.stack(ahead[::-1])


def _require_rows(reward: Tensor) -> None:
    require(reward.ndim >= 1 and len(reward) > 0, "reward", "at least one step, shape [T, *B]", list(reward.shape))
