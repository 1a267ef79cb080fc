"""Two ways to fit a table of values to the same record: the average of what came, and the fixed point of (TD).

A record is n transitions (s, r, s') of one policy, in any order, [*B, n]; axes in front are independent runs.
States are int64 from 0 to S − 1. A state that was never visited is worth 0. Derived in lecture 04, section A1.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..core.check import require, require_count, require_shape, require_unit_interval


def average_target(state: Int[Tensor, "*B n"], target: Float[Tensor, "*B n"], *,
                   num_states: int) -> Float[Tensor, "*B S"]:
    """V(s) = Σᵢ 1[sᵢ = s] yᵢ / Σᵢ 1[sᵢ = s]: the least-squares fit of a table to any targets y, [*B, S].

    With what came after each visit as the target this is the Monte Carlo critic. (Lecture 04, A1.)
    """
    here = _indicator("state", state, num_states, target.dtype)
    require_shape("target", target, tuple(state.shape))
    return (here * target.unsqueeze(-1)).sum(-2) / here.sum(-2).clamp(min=1.0)


def bootstrapped_table(state: Int[Tensor, "*B n"], reward: Float[Tensor, "*B n"], next_state: Int[Tensor, "*B n"],
                       terminated: Bool[Tensor, "*B n"], *, discount: float,
                       num_states: int) -> Float[Tensor, "*B S"]:
    """V = (I − γ P̂)⁻¹ r̂ [*B, S]: where refitting a table to y = r + γ (1 − terminated) V(s') comes to rest.

    P̂ and r̂ are the observed frequencies and mean rewards: V is the exact value of the world that the record
    describes. Solved as (N − γ C) V = b with the counts N of visits and C of passages and the sums b of rewards.
    Bradtke, Barto 1996 (least-squares TD, here for a table). (Lecture 04, A1.)
    Errors: ValueError for shapes or states that do not fit, or γ = 1.
    """
    require_unit_interval("discount", discount, closed=False)
    for name, tensor in (("reward", reward), ("next_state", next_state), ("terminated", terminated)):
        require_shape(name, tensor, tuple(state.shape))
    require(terminated.dtype == torch.bool, "terminated", "dtype bool", terminated.dtype)
    here = _indicator("state", state, num_states, reward.dtype)
    after = _indicator("next_state", next_state, num_states, reward.dtype) * ~terminated.unsqueeze(-1)
    visits = here.sum(-2).clamp(min=1.0)
    passages = here.transpose(-1, -2) @ after
    paid = (here * reward.unsqueeze(-1)).sum(-2)
    return torch.linalg.solve(torch.diag_embed(visits) - discount * passages, paid)


def _indicator(name: str, state: Tensor, num_states: int, dtype: torch.dtype) -> Float[Tensor, "*B n S"]:
    """1[sᵢ = s]."""
    require_count("num_states", num_states)
    require(state.dtype == torch.int64, name, "dtype int64", state.dtype)
    inside = bool(((state >= 0) & (state < num_states)).all())
    require(inside, name, f"states from 0 to {num_states - 1}", "others")
    return torch.nn.functional.one_hot(state, num_states).to(dtype)
