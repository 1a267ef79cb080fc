"""Behaviour cloning with networks: eight policies at once, each on its own demonstrations.

Pomerleau 1989, "ALVINN: an autonomous land vehicle in a neural network". Told in
lectures/02_imitation, sections I1, I4 and I5. The loss is the policy's own: squared error,
−log p(a|o), a negative ELBO or a flow-matching loss.

| quick facts       |                                                                     |
|-------------------|---------------------------------------------------------------------|
| learns from       | pairs (observation, expert action), nothing else                    |
| guarantee         | cost up to ε T (T + 1) / 2 (sections I2 and I3)                     |
| details that help | a learning rate that falls to zero; data that show recoveries (I4)  |
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..core.check import require, require_count
from ..core.device import training_device
from ..core.seeding import generator, uniforms
from ..nets.optim import Adam
from ..nets.policies import Policy


@dataclass(frozen=True)
class Config:
    """How long and how fast."""

    steps: int = 400  # updates
    batch_size: int = 128  # pairs in each update, for each run
    learning_rate: float = 0.01  # at the start; falls linearly to zero
    snapshot_every: int = 20  # updates between two snapshots

    def __post_init__(self):
        require_count("steps", self.steps)
        require_count("batch_size", self.batch_size)
        require(self.learning_rate > 0, "learning_rate", "a positive number", self.learning_rate)
        require_count("snapshot_every", self.snapshot_every)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """After `step` updates: the loss of the last batch [R], the live policy, the losses so far.

    `curve` lists (step, loss [R]) for this and all earlier snapshots; it is shared and grows.
    """

    step: int
    loss: Tensor
    policy: Policy
    curve: list[tuple[int, Tensor]]


def train(policy: Policy, obs: Tensor, action: Tensor, config: Config, *, seed: int,
          device: torch.device | str | None = None) -> Iterator[Snapshot]:
    """Fit `policy` (R runs) to obs [R, M, …] and action [R, M, D]; yields Snapshots.

    Run r draws its batches from row r alone and the runs' losses are summed, so that no run
    feels another. `device` defaults to the notebook's toggle. Errors, before training starts:
    ValueError on other shapes, on NaN in the data and on an empty data set; during training,
    FloatingPointError on a loss that is not finite.
    """
    require(obs.shape[0] == policy.runs, "obs", f"{policy.runs} runs on axis 0", obs.shape[0])
    require(obs.ndim >= 3 and obs.shape[1] > 0, "obs", "shape [R, M, …] with M > 0", list(obs.shape))
    require(action.shape[:2] == obs.shape[:2], "action", f"leading shape {list(obs.shape[:2])}", list(action.shape))
    for name, data in (("obs", obs), ("action", action)):
        require(bool(torch.isfinite(data).all()), name, "finite numbers", "NaN or infinity")
    device = training_device() if device is None else torch.device(device)
    dtype = torch.float32 if device.type == "mps" else obs.dtype  # MPS knows no float64
    return _updates(policy.to(device, dtype), obs.to(device, dtype), action.to(device, dtype), config, seed)


def _updates(policy, obs, action, config, seed):
    runs, pairs = obs.shape[:2]
    random, row = generator(seed, "behaviour cloning"), torch.arange(runs, device=obs.device)[:, None]
    optimiser, curve = Adam(policy.parameters(), config.learning_rate), []
    for step in range(config.steps):
        optimiser.learning_rate = config.learning_rate * (1 - step / config.steps)
        pick = torch.randint(pairs, (runs, config.batch_size), generator=random).to(obs.device)
        noise = uniforms((runs, config.batch_size, policy.loss_noise_size), random, action.dtype).to(obs.device)
        loss = policy.loss(obs[row, pick], action[row, pick], noise).mean(1)
        optimiser.zero_grad()
        loss.sum().backward()
        optimiser.step()
        last = step + 1 == config.steps
        if last or step % config.snapshot_every == 0:
            if not bool(torch.isfinite(loss).all()):
                raise FloatingPointError(f"loss: not finite at step {step} in runs "
                                         f"{torch.where(~torch.isfinite(loss))[0].tolist()}")
            curve.append((step + 1, loss.detach().cpu()))
            yield Snapshot(step + 1, curve[-1][1], policy, curve)
