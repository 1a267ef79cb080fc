"""Following a velocity field: from noise to actions, and what that does to densities.

A velocity is a function (point [*B, D], time [*B]) → [*B, D]; time runs from 0 (noise) to 1.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from ..core.check import require, require_count
from ..equations.imitation_heads import gaussian_nll

Velocity = Callable[[Tensor, Tensor], Tensor]


def follow(velocity: Velocity, start: Tensor, *, steps: int, method: str = "euler") -> Tensor:
    """a₁ from a₀ = `start` [*B, D] along da/dt = v(a, t), in `steps` equal steps from t = 0 to 1.

    "euler": a ← a + h v(a, t), error O(h), one evaluation a step. "heun": the mean of the slopes at
    both ends of the Euler step, error O(h²), two evaluations a step.
    """
    require_count("steps", steps)
    require(method in ("euler", "heun"), "method", "'euler' or 'heun'", repr(method))
    width, point = 1.0 / steps, start
    for step in range(steps):
        time = torch.full_like(start[..., 0], step * width)
        slope = velocity(point, time)
        if method == "heun":
            slope = 0.5 * (slope + velocity(point + width * slope, time + width))
        point = point + width * slope
    return point


def flow_log_prob(velocity: Velocity, action: Tensor, *, steps: int) -> Tensor:
    """log p₁(a₁) = log N(a₀; 0, I) − ∫₀¹ ∇·v(a_t, t) dt   [*B, D] → [*B].

    The instantaneous change of variables (Chen, Rubanova, Bettencourt & Duvenaud 2018): the path is
    followed back from `action` to the noise it came from, by Heun steps, and the divergence
    Σ_d ∂v_d/∂a_d is added up on the way. D backward passes a step: for one or two dimensions.
    The result carries no gradient to the parameters.
    """
    require_count("steps", steps)
    width, point = 1.0 / steps, action.detach()
    change = torch.zeros_like(point[..., 0])
    for step in range(steps, 0, -1):
        time = torch.full_like(change, step * width)
        slope, divergence = _with_divergence(velocity, point, time)
        earlier = point - width * slope
        earlier_slope, earlier_divergence = _with_divergence(velocity, earlier, time - width)
        point = point - 0.5 * width * (slope + earlier_slope)
        change = change + 0.5 * width * (divergence + earlier_divergence)
    return -gaussian_nll(point, torch.zeros_like(point), torch.zeros_like(point)) - change


def _with_divergence(velocity: Velocity, point: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        point = point.detach().requires_grad_()
        slope = velocity(point, time)
        rows = [torch.autograd.grad(slope[..., d].sum(), point, retain_graph=True)[0][..., d]
                for d in range(point.shape[-1])]
    return slope.detach(), torch.stack(rows).sum(0)
