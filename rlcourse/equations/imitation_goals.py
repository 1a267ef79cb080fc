"""Relabelling in hindsight: every drive is a demonstration of how to get where it went.

Derived in lectures/02_imitation, section I6. What cloning learns from endlessly many relabelled
drives is computed in `exact.goals`.
"""

import torch
from jaxtyping import Shaped
from torch import Tensor

from ..core.check import require, require_shape


def relabel(states: Shaped[Tensor, "_ *B"], actions: Shaped[Tensor, "T *B"]) -> tuple[
        Shaped[Tensor, "pairs *B"], Shaped[Tensor, "pairs *B"], Shaped[Tensor, "pairs *B"]]:
    """(state, goal, action) = (sₜ, sₖ, aₜ) for all 0 ≤ t < k ≤ T: aₜ was taken on the way to sₖ.

    Whatever the driver was told to do, it did reach s_k, so a_t is a label for the goal s_k. In
    the order of t, then of k. All pairs count alike: a step with much future gives more of them.

    Shapes: states [T + 1, *B], actions [T, *B] → three of [T (T + 1)/2, *B], dtypes as they came.
    Kaelbling 1993, "Learning to achieve goals"; Andrychowicz et al. 2017, "Hindsight experience
    replay"; for cloning: Lynch et al. 2019, "Learning latent plans from play", and Ghosh et al. 2021,
    "Learning to reach goals via iterated supervised learning" (GCSL).
    """
    require_shape("actions", actions, ("...",))
    require(actions.ndim > 0 and actions.shape[0] > 0, "actions", "at least one step, shape [T, *B]",
            list(actions.shape))
    steps = actions.shape[0]
    require_shape("states", states, (steps + 1, *actions.shape[1:]))
    now, later = torch.triu_indices(steps, steps, device=states.device)
    return states[now], states[later + 1], actions[now]
