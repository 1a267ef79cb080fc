"""One network with two heads: the actor and the critic look through the same hidden layers.

Both losses train the trunk. What one of them finds out about the world serves the other; but their gradients add up
there, and the larger one has its way: with returns in the hundreds that is the critic's, whose loss therefore needs a
weight. Two networks have no such conflict. Told in lectures/04_actor_critic, section A4.

    trunk = SharedTrunk(4, 2, runs=8, seed=0)
    policy, critic = Policy(trunk, env.action_space), TrunkValue(trunk, seed=0)
"""

import math

import torch
from torch import Tensor, nn

from ..core.check import require
from .distributions import Categorical
from .inputs import require_noise
from .mlp import ACTIVATIONS, MLP, take_run


class SharedTrunk(nn.Module):
    """P(a|o) = softmax(W h(o) + b)_a on features h(o) that `TrunkValue` may use too, for R runs: a head for `Policy`.

    Layer for layer the size of a `CategoricalHead`. `noise_size` 1; actions are int64 [R, B].
    """

    def __init__(self, obs_size: int, actions: int, *, runs: int, seed: int, hidden: tuple[int, ...] = (64, 64),
                 activation: str = "tanh", dtype: torch.dtype = torch.float64):
        super().__init__()
        require(len(hidden) > 0, "hidden", "at least one layer to share", list(hidden))
        self.obs_size, self.actions = obs_size, actions
        self.noise_size, self.loss_noise_size = 1, 0
        self.trunk = MLP((obs_size, *hidden), runs=runs, seed=seed, name="shared trunk", activation=activation,
                         output_scale=math.sqrt(2.0), dtype=dtype)
        self.logits = MLP((hidden[-1], actions), runs=runs, seed=seed, name="action head", output_scale=0.1,
                          dtype=dtype)

    def features(self, obs: Tensor) -> Tensor:
        """h(o) [R, B, H] for `obs` [R, B, O]."""
        return ACTIVATIONS[self.trunk.activation](self.trunk(obs))

    def distribution(self, obs: Tensor) -> Categorical:
        """P(·|o) for `obs` [R, B, O]."""
        return Categorical(self.logits(self.features(obs)))

    def sample(self, obs: Tensor, noise: Tensor | None = None) -> Tensor:
        """An action [R, B] for uniforms [R, B, 1]; the most probable one without noise."""
        distribution = self.distribution(obs)
        if noise is None:
            return distribution.mode
        return distribution.sample(require_noise(noise, obs, 1).squeeze(-1))


class TrunkValue(nn.Module):
    """V(o) = w·h(o) + c on the features of a `SharedTrunk`: obs [R, B, O] → [R, B], never [R, B, 1].

    Its parameters are the trunk's, the same tensors as the policy's, and those of its own last layer `net`.
    """

    def __init__(self, trunk: SharedTrunk, *, seed: int):
        super().__init__()
        weight = trunk.logits.weights[0]
        self.shared = trunk
        self.net = MLP((weight.shape[1], 1), runs=weight.shape[0], seed=seed, name="value head", dtype=weight.dtype)

    def forward(self, obs: Tensor) -> Tensor:
        """The values [R, B]."""
        return self.net(self.shared.features(obs)).squeeze(-1)

    def run(self, r: int) -> "TrunkValue":
        """An independent copy of run r alone (R = 1)."""
        return take_run(self, r)
