"""Gradient ascent from samples, along the gradient or along the natural gradient, with the whole Fisher matrix.

Kakade 2001, "A natural policy gradient"; Peters & Schaal 2008. Told in lectures/03_policy_gradients,
section P9. For policies of a few parameters: the Fisher matrix [P, P] is formed and solved, which
TRPO avoids. Both kinds of steps are as long, measured in nats: they differ in direction alone.

| quick facts       |                                                                         |
|-------------------|-------------------------------------------------------------------------|
| learns from       | whole episodes of its own, each used once                               |
| action spaces     | Discrete and Box                                                        |
| guarantee         | natural steps are the same in whatever units the parameters are written |
| details that help | many episodes for each step: F⁻¹ enlarges the noise of small components |
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..core.batch import Batch
from ..core.check import require, require_count, require_unit_interval
from ..core.runs import samples_by_run, socket
from ..core.seeding import generator
from ..data.episodes import episodes
from ..data.evaluate import mean_return
from ..data.sources import Source
from ..equations import natural_gradient, policy_gradient
from ..nets.flat import flatten, write
from ..nets.policies import Policy
from .reinforce import Snapshot

DIRECTIONS = ("natural", "vanilla")


@dataclass(frozen=True)
class Config:
    """Which way, and how far."""

    updates: int = 40  # steps, each on one episode of every environment
    direction: str = "natural"  # along F⁻¹∇J, or "vanilla": along ∇J
    max_kl: float = 0.02  # nats a step, to second order
    damping: float = 0.0  # added to the Fisher matrix of the natural direction
    discount: float = 0.9

    def __post_init__(self):
        require_count("updates", self.updates)
        require(self.direction in DIRECTIONS, "direction", f"one of {list(DIRECTIONS)}", repr(self.direction))
        require(self.max_kl > 0, "max_kl", "a positive number", self.max_kl)
        require(self.damping >= 0, "damping", "a number of at least 0", self.damping)
        require_unit_interval("discount", self.discount)


def train(source: Source, policy: Policy, config: Config = Config(), *, seed: int,
          natural: Callable = natural_gradient.natural_gradient) -> Iterator[Snapshot]:
    """Train R policies, each on episodes of its N environments; yields REINFORCE's Snapshot after every step.

    `natural(fisher, gradient, *, damping)` is a socket: a student's function for one run may take its place.
    Errors, before training starts: ValueError on runs or spaces that do not fit, for a source without a time
    limit and for fewer than two environments; during training, FloatingPointError on a step that is not finite.
    """
    require(policy.runs == source.runs, "policy", f"{source.runs} runs, as many as the source", policy.runs)
    require(policy.action_space == source.action_space, "policy", f"actions in {source.action_space}",
            policy.action_space)
    require(not policy.clamp, "policy", "one that keeps its actions as drawn (clamp=False)", "clamp=True")
    require(source.time_limit is not None, "source", "a time limit, so that every episode ends", None)
    require(source.environments > 1, "source", "at least two environments for each run, one to be left out",
            source.environments)
    return _updates(source, policy, config, seed,
                    socket("natural", natural, natural_gradient.natural_gradient, axis=0))


def _updates(source, policy, config, seed, natural):
    actions, step, curve = generator(seed, "natural gradient actions"), 0, []
    parameters = list(policy.parameters())
    for update in range(config.updates):
        batch = episodes(source, policy, random=actions)
        gradient, fisher = estimates(policy, batch, discount=config.discount)
        along = gradient if config.direction == "vanilla" else natural(fisher, gradient, damping=config.damping)
        # √(2δ / dᵀFd): along F⁻¹g this is the step of a trust region of δ nats.
        length = natural_gradient.trust_region_step_length((fisher @ along.unsqueeze(-1)).squeeze(-1), along,
                                                           max_kl=config.max_kl)
        moved = flatten(parameters).detach() + length[:, None] * along
        if not bool(torch.isfinite(moved).all()):
            raise FloatingPointError(f"step: not finite at update {update} in runs "
                                     f"{torch.where(~torch.isfinite(moved).all(1))[0].tolist()}")
        write(parameters, moved)
        step += int(batch.valid.sum((0, 2)).max())
        curve.append((step, mean_return(batch)))
        yield Snapshot(update + 1, step, curve[-1][1], policy, curve)


def estimates(policy: Policy, batch: Batch, *, discount: float) -> tuple[Tensor, Tensor]:
    """(ĝ [R, P], F̂ [R, P, P]) from episodes [T, R, N] of the policy itself.

    ĝ = (1/N) Σᵢ Σₜ γᵗ ∇log π(aₜ|sₜ) (Rₜ − bₜ) with leave-one-out baselines: an unbiased estimate of the
    gradient of E Σ γᵗ rₜ. F̂ is the Hessian of the mean KL over the states of the batch, weighted by γᵗ:
    exact in the actions, sampled in the states.
    """
    parameters = list(policy.parameters())
    weight = policy_gradient.discount_weight(batch.reward, batch.terminated, batch.truncated, discount=discount,
                                             option=2)
    weight = torch.where(batch.valid, weight - policy_gradient.leave_one_out(weight, batch.valid), 0.0)
    time = torch.arange(len(weight), device=weight.device)[:, None, None]
    share = samples_by_run(torch.where(batch.valid, discount ** time.to(weight.dtype), 0.0))
    obs, action = samples_by_run(batch.obs), samples_by_run(batch.action)
    now = policy.distribution(obs)
    gain = (now.log_prob(action) * samples_by_run(weight)).sum(1) / weight.shape[-1]
    gradient = flatten(torch.autograd.grad(gain.sum(), parameters, retain_graph=True))
    with torch.no_grad():
        old = policy.distribution(obs)
    kl = (old.kl(now) * share).sum(1) / share.sum(1)
    columns = [natural_gradient.fisher_vector_product(kl, parameters, unit.expand_as(gradient))
               for unit in torch.eye(gradient.shape[1], dtype=gradient.dtype, device=gradient.device)]
    return gradient, torch.stack(columns, -1)
