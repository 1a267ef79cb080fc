"""REINFORCE: whole episodes, and the log-probability of every action weighted by what came of it.

Williams 1992, "Simple statistical gradient-following algorithms for connectionist reinforcement
learning". Told in lectures/03_policy_gradients, sections P1, P3, P4 and P10. The variants of the lecture
are arguments: which reward an action answers for, and what is subtracted from it.

| quick facts       |                                                                          |
|-------------------|--------------------------------------------------------------------------|
| learns from       | whole episodes of its own, each used once                                |
| action spaces     | Discrete and Box                                                         |
| guarantee         | an unbiased gradient (but for `batch_mean` and for `normalise`)          |
| details that help | reward-to-go, a baseline, many episodes for each update                  |
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..core.check import require, require_count, require_unit_interval
from ..core.runs import samples_by_run, socket
from ..core.seeding import generator
from ..data.episodes import episodes
from ..data.evaluate import mean_return
from ..data.sources import Source
from ..equations import policy_gradient, returns
from ..nets.optim import Adam
from ..nets.policies import Policy

BASELINES = {"none": lambda weight, valid: torch.zeros_like(weight), "batch_mean": policy_gradient.batch_mean,
             "leave_one_out": policy_gradient.leave_one_out}
WEIGHTS = {"total": returns.discounted_return, "to_go": returns.reward_to_go}


@dataclass(frozen=True)
class Config:
    """One variant of REINFORCE."""

    updates: int = 60  # gradient steps, each on one episode of every environment
    learning_rate: float = 0.01
    discount: float = 0.99
    weight: str = "to_go"  # what an action answers for: the rewards "to_go", or the "total" return
    baseline: str = "leave_one_out"  # what is subtracted, at each step: "none", "batch_mean", "leave_one_out"
    normalise: bool = False  # divide the weights of each run by their spread, and subtract their mean
    clip_norm: float | None = None  # of each run's gradient

    def __post_init__(self):
        require_count("updates", self.updates)
        require(self.learning_rate > 0, "learning_rate", "a positive number", self.learning_rate)
        require_unit_interval("discount", self.discount)
        require(self.weight in WEIGHTS, "weight", f"one of {sorted(WEIGHTS)}", repr(self.weight))
        require(self.baseline in BASELINES, "baseline", f"one of {sorted(BASELINES)}", repr(self.baseline))
        require(self.clip_norm is None or self.clip_norm > 0, "clip_norm", "a positive number or None", self.clip_norm)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """After `update` updates and `step` environment steps of the run that took most.

    `episode_return` [R]: the mean over the episodes of the last batch. `curve` lists
    (step, episode_return) for this and all earlier snapshots; it is shared and grows. `policy` is live.
    """

    update: int
    step: int
    episode_return: Tensor
    policy: Policy
    curve: list[tuple[int, Tensor]]


def train(source: Source, policy: Policy, config: Config = Config(), *, seed: int, weight: Callable | None = None,
          surrogate: Callable = policy_gradient.surrogate_loss) -> Iterator[Snapshot]:
    """Train R policies, each on episodes of its N environments; yields a Snapshot after every update.

    `weight` and `surrogate` are sockets: a student's function for one run may take their place. Errors, before
    training starts: ValueError on runs or spaces that do not fit, and for a source without a time limit; during
    training, FloatingPointError on a loss that is not finite.
    """
    require(policy.runs == source.runs, "policy", f"{source.runs} runs, as many as the source", policy.runs)
    require(policy.action_space == source.action_space, "policy", f"actions in {source.action_space}",
            policy.action_space)
    require(not policy.clamp, "policy", "one that keeps its actions as drawn (clamp=False)", "clamp=True")
    require(source.time_limit is not None, "source", "a time limit, so that every episode ends", None)
    require(config.baseline != "leave_one_out" or source.environments > 1, "source",
            "at least two environments for each run, one to be left out", source.environments)
    own = WEIGHTS[config.weight]
    return _updates(source, policy, config, seed, socket("weight", own if weight is None else weight, own, axis=1),
                    socket("surrogate", surrogate, policy_gradient.surrogate_loss, axis=0))


def _updates(source, policy, config, seed, weight, surrogate):
    actions, step, curve = generator(seed, "reinforce actions"), 0, []
    optimiser = Adam(policy.parameters(), config.learning_rate, clip_norm=config.clip_norm)
    for update in range(config.updates):
        batch = episodes(source, policy, random=actions)
        answer = weight(batch.reward, batch.terminated, batch.truncated, discount=config.discount)
        answer = torch.where(batch.valid, answer - BASELINES[config.baseline](answer, batch.valid), 0.0)
        valid, answer = samples_by_run(batch.valid), samples_by_run(answer)
        if config.normalise:
            answer = policy_gradient.normalised(answer, valid)
        log_prob = policy.distribution(samples_by_run(batch.obs)).log_prob(samples_by_run(batch.action))
        # A sum over time and a mean over episodes, as in the formula; padding has the weight 0.
        loss = surrogate(log_prob, answer).sum(1) / source.environments
        if not bool(torch.isfinite(loss).all()):
            raise FloatingPointError(f"loss: not finite at update {update} in runs "
                                     f"{torch.where(~torch.isfinite(loss))[0].tolist()}")
        optimiser.zero_grad()
        loss.sum().backward()
        optimiser.step()
        step += int(batch.valid.sum((0, 2)).max())
        curve.append((step, mean_return(batch)))
        yield Snapshot(update + 1, step, curve[-1][1], policy, curve)
