"""The flow-matching head: noise carried to actions along a learned velocity field."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..core.check import require_count
from ..core.runs import socket
from ..equations.imitation_heads import flow_matching_loss, flow_matching_point
from .flow import flow_log_prob, follow
from .inputs import require_noise, require_pairs
from .mlp import MLP


class FlowHead(nn.Module):
    """a₁ = the end of da/dt = v(a, t, o) from a₀ ~ N(0, I), t = 0 … 1 (Lipman et al. 2023).

    Trained on ‖v(a_t, t, o) − (a₁ − a₀)‖² at a random time of a random straight path that ends in
    the demonstrated action; no density, no encoder. The simplest relative of a diffusion policy.
    `steps` and `method` ("euler" or "heun") are those of `sample`. `noise_size` D (a₀),
    `loss_noise_size` 1 + D (t, a₀). `point_equation` and `loss_equation` are the sockets.
    """

    def __init__(self, obs_size: int, action_size: int, *, runs: int, seed: int, steps: int = 10,
                 method: str = "heun", hidden: tuple[int, ...] = (64, 64), activation: str = "silu",
                 point_equation: Callable = flow_matching_point,
                 loss_equation: Callable = flow_matching_loss, dtype: torch.dtype = torch.float64):
        super().__init__()
        require_count("steps", steps)
        self.obs_size, self.action_size, self.steps, self.method = obs_size, action_size, steps, method
        self.noise_size, self.loss_noise_size = action_size, 1 + action_size
        self.point_equation = socket("point_equation", point_equation, flow_matching_point, axis=0)
        self.loss_equation = socket("loss_equation", loss_equation, flow_matching_loss, axis=0)
        self.net = MLP((obs_size + action_size + 1, *hidden, action_size), runs=runs, seed=seed,
                       name="flow head", activation=activation, dtype=dtype)

    def velocity(self, obs: Tensor, point: Tensor, time: Tensor) -> Tensor:
        """v(a_t, t, o) [R, B, D] for `point` [R, B, D] and `time` [R, B]."""
        return self.net(torch.cat((obs, point, time.unsqueeze(-1)), dim=-1))

    def loss(self, obs: Tensor, action: Tensor, noise: Tensor | None = None) -> Tensor:
        """‖v(a_t, t, o) − (a₁ − a₀)‖² [R, B]; `noise` are uniforms [R, B, 1 + D] for t and a₀."""
        require_pairs(obs, action, self.net.runs, self.obs_size, self.action_size)
        noise = require_noise(noise, obs, self.loss_noise_size)
        time, start = noise[..., 0], torch.special.ndtri(noise[..., 1:])
        point = self.point_equation(start, action, time)
        return self.loss_equation(self.velocity(obs, point, time), start, action)

    def sample(self, obs: Tensor, noise: Tensor | None = None) -> Tensor:
        """An action [R, B, D] for uniforms [R, B, D].

        There is no greedy action: the path from a₀ = 0 ends near the middle of the distribution.
        """
        start = torch.special.ndtri(require_noise(noise, obs, self.noise_size))
        return follow(lambda point, time: self.velocity(obs, point, time), start,
                      steps=self.steps, method=self.method)

    def log_prob(self, obs: Tensor, action: Tensor, steps: int = 100) -> Tensor:
        """log p(a|o) [R, B] of the flow followed exactly (`steps` → ∞), by `flow_log_prob`."""
        require_pairs(obs, action, self.net.runs, self.obs_size, self.action_size)
        return flow_log_prob(lambda point, time: self.velocity(obs, point, time), action, steps=steps)
