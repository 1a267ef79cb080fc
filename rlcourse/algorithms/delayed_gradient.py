"""Actor-critic with gradients that come too late, by a number of updates that is chosen and never varies.

A worker of a parallel actor-critic takes the parameters, acts, computes a gradient and hands it in; meanwhile others
have moved the parameters on (Mnih and others 2016). Here every gradient is computed k updates before it is applied:
rollout, targets and ∇ all belong to the parameters θ_{u−k}, the step is taken from θ_u. k = 0 is `a2c`, bit for bit.
Told in lectures/04_actor_critic, section A5.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from ..core.check import require_count
from ..core.seeding import generator
from ..data.progress import EpisodeReturns
from ..data.rollout import rollout
from ..data.sources import Source
from ..equations import actor_critic, policy_gradient, returns
from ..nets.policies import Policy
from . import a2c


def train(source: Source, policy: Policy, critic: nn.Module, config: a2c.Config = a2c.Config(), *, staleness: int,
          seed: int, td_target: Callable = actor_critic.td_target, gae: Callable = returns.gae,
          surrogate: Callable = policy_gradient.surrogate_loss) -> Iterator[a2c.Snapshot]:
    """`a2c.train` with gradients `staleness` = k updates old; the first k are those of the first parameters.

    The returns of a snapshot are those of the old parameters, which acted; its policy is the present one.
    """
    require_count("staleness", staleness, least=0)
    a2c.require_fit(source, policy, critic)
    return _updates(source, policy, critic, config, staleness, seed, a2c.sockets(td_target, gae, surrogate))


def _updates(source, policy, critic, config, staleness, seed, equations):
    actions = generator(seed, "a2c actions")
    optimisers = a2c.make_optimisers(policy, critic, config)
    progress, curve = EpisodeReturns(source.runs, source.environments), []
    clock = a2c.EpisodeClock(source)
    rollout_steps = config.horizon * source.environments
    updates = math.ceil(config.total_steps / rollout_steps)
    parameters = [parameter for optimiser in optimisers for parameter in optimiser.parameters]
    past = deque(maxlen=staleness + 1)  # θ_{u−k} … θ_u
    for done in range(updates):
        a2c.slow_down(optimisers, config, 1 - done / updates)
        past.append([parameter.detach().clone() for parameter in parameters])
        put(parameters, past[0])
        batch = rollout(source, policy, config.horizon, random=actions)
        loss = a2c.losses(batch, clock.add(batch), policy, critic, config, equations)
        for optimiser in optimisers:
            optimiser.zero_grad()
        loss.sum().backward()
        put(parameters, past[-1])
        for optimiser in optimisers:
            optimiser.step()
        step = (done + 1) * rollout_steps
        a2c.require_finite(loss, step)
        curve.append((step, progress.add(batch)))
        yield a2c.Snapshot(step, curve[-1][1], policy, critic, curve)


@torch.no_grad()
def put(parameters: list[Tensor], values: list[Tensor]) -> None:
    """Write `values` into `parameters`, in place."""
    for parameter, value in zip(parameters, values):
        parameter.copy_(value)
