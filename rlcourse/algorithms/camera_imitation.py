"""Learning to drive from camera pictures: cloning, side cameras, injected noise, DAgger.

One loop for all four, told in lectures/02_imitation, sections I4 and I7: what differs is who drives,
how noisily, and which cameras look. Side cameras: Bojarski et al. 2016, "End to end learning for
self-driving cars" (as ALVINN's shifted pictures before); noise: Laskey et al. 2017; DAgger: Ross,
Gordon and Bagnell 2011.

| quick facts       |                                                                       |
|-------------------|-----------------------------------------------------------------------|
| learns from       | pairs (one line of pixels, steering); labels by a scripted expert     |
| eight runs        | each with its own demonstrations, its own network, its own drives     |
| details that help | the network goes on from the last round instead of starting anew      |
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..core.check import require, require_count
from ..core.device import training_device
from ..core.runs import samples_by_run
from ..core.seeding import generator, uniforms
from ..data.episodes import episodes_with_states
from ..data.rollout import rollout_with_states
from ..data.sources import DynamicsSource
from ..envs.car import Car
from ..envs.experts import Expert, corrected_steering
from ..nets.heads_regression import RegressionHead
from ..nets.policies import Policy
from . import behaviour_cloning
from .dagger import dagger as library_dagger

DTYPE = torch.float32


@dataclass(frozen=True)
class Config:
    """What is driven, by how much, and how the network learns from it."""

    rounds: int = 0  # rounds of DAgger after the first fit; 0 is cloning
    demonstrations: int = 1  # drives of the expert, for each run
    drives: int = 10  # drives of the learner in each round of DAgger, for each run
    steps: int = 300  # steps in each drive; more than a lap
    noise: float = 0.0  # standard deviation of what is added to the expert's steering as it drives
    cameras: tuple[float, ...] = (0.0,)  # m to the left; pictures of side cameras get corrected labels
    test_drives: int = 16  # drives after each fit, for each run, that nothing is learned from
    hidden: int = 64  # width of the network's two layers
    cloning: behaviour_cloning.Config = field(default=behaviour_cloning.Config(
        steps=800, learning_rate=0.003, snapshot_every=800))

    def __post_init__(self):
        require_count("rounds", self.rounds, least=0)
        for name in ("demonstrations", "drives", "steps", "test_drives", "hidden"):
            require_count(name, getattr(self, name))
        require(self.noise >= 0, "noise", "a number of at least 0", self.noise)
        require(len(self.cameras) > 0, "cameras", "at least one camera", self.cameras)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """After a round: the live policy and its test drives.

    `states` [≤ T, R, N, 3] and `on_road` [T, R, N] (bool): a drive ends where it leaves the road.
    `pairs` counts the labelled pictures of each run so far; `history` lists the crash rates [R] of this
    and all earlier rounds, and is shared.
    """

    step: int  # the round
    policy: Policy
    states: Tensor
    on_road: Tensor
    pairs: int
    history: list[Tensor]

    @property
    def share_of_lap(self) -> Tensor:
        """The part of a full drive that each run stays on the road for, on average [R]."""
        return self.on_road.double().mean((0, 2))

    @property
    def states_on_road(self) -> Tensor:
        """The states of all drives up to the last one on the road [n, 3]."""
        before = torch.ones_like(self.on_road[:1])
        return self.states[torch.cat([before, self.on_road[:-1]])[:len(self.states)]]

    @property
    def crash_rate(self) -> Tensor:
        """The share of its drives that each run does not finish [R]."""
        return crash_rate(self.on_road)


def crash_rate(on_road: Tensor) -> Tensor:
    """The share of drives [T, R, N] that are off the road at the end [R]."""
    return 1 - on_road[-1].double().mean(1)


def pictures(car: Car, states: Tensor, steering: Tensor, cameras: tuple[float, ...]) -> tuple[Tensor, Tensor]:
    """(obs [R, C·T·N, pixels], action [R, C·T·N, 1]) as seen by every camera of the car.

    states [T, R, N, 3] and the expert's steering there [T, R, N, 1]. A camera beside the centre
    sees what the car would see there, and its label steers back from there (`corrected_steering`).
    """
    obs = [samples_by_run(car.observe_from(states, offset)) for offset in cameras]
    action = [samples_by_run(corrected_steering(car, steering, offset)) for offset in cameras]
    return torch.cat(obs, 1), torch.cat(action, 1)


def train(car: Car, expert: Expert, config: Config, *, seed: int, runs: int = 8,
          device: torch.device | str | None = None, dagger: Callable = library_dagger) -> Iterator[Snapshot]:
    """Learn to drive; yields a Snapshot after the first fit and after each round of DAgger.

    `expert(state) → steering` labels and, in the first round, drives. The networks train on
    `device` (by default the notebook's toggle); the car is driven on the CPU. `dagger` is the
    socket for another loop with the library's arguments.
    """
    require_count("runs", runs)
    require(callable(expert), "expert", "a function of the state", type(expert).__name__)
    require(callable(dagger), "dagger", "a function", type(dagger).__name__)
    device = training_device() if device is None else torch.device(device)
    head = RegressionHead(car.pixels, 1, runs=runs, seed=seed, hidden=(config.hidden, config.hidden),
                          activation="relu", dtype=DTYPE)
    policy = Policy(head, car.action_space)
    luck, history = generator(seed, "drives"), []

    def disturbed_expert(states):
        if config.noise == 0:
            return expert(states)
        wobble = torch.special.ndtri(uniforms((*states.shape[:-1], 1), luck, DTYPE))
        return (expert(states) + config.noise * wobble).clamp(-1.0, 1.0)

    def collect(learner):
        drives, driver = ((config.demonstrations, disturbed_expert) if learner is None
                          else (config.drives, learner.to("cpu")))
        source = DynamicsSource(car, runs, drives, random=luck, dtype=DTYPE)
        return rollout_with_states(source, driver, config.steps)[1]

    def fit(dataset):
        views = [pictures(car, states, steering, config.cameras) for states, steering in dataset]
        obs, action = (torch.cat(part, 1) for part in zip(*views))
        new_batches = seed + len(dataset)  # a seed of its own for every round
        for snapshot in behaviour_cloning.train(policy, obs, action, config.cloning, seed=new_batches,
                                                device=device):
            pass
        return snapshot.policy.to("cpu").copy()  # the network trains on; a loop may keep its policies

    def test(learner, number):
        luck_of_test = generator(seed, "test drives")  # the same weather after every round
        source = DynamicsSource(car, runs, config.test_drives, random=luck_of_test, dtype=DTYPE)
        batch, states = episodes_with_states(source, learner)
        pairs = (config.demonstrations + number * config.drives) * config.steps * len(config.cameras)
        on_road = torch.zeros(car.time_limit, *batch.valid.shape[1:], dtype=torch.bool)
        on_road[:len(states)] = batch.valid & ~batch.terminated  # shorter if every drive has ended
        history.append(crash_rate(on_road))
        return Snapshot(number, learner, states, on_road, pairs, history)

    return (test(learner, number) for number, learner in enumerate(dagger(config.rounds, collect, expert, fit)))
