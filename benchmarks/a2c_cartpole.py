"""A2C on CartPole-v1: seconds until 20 greedy episodes average 475, ours (8 runs at once) beside Stable-Baselines3 (1).

How both are measured stands in `_crossing`. Theirs has the hyper-parameters of rl-baselines3-zoo.
"""

import torch

from rlcourse.algorithms import a2c
from rlcourse.core.seeding import generator
from rlcourse.data.sources import DynamicsSource
from rlcourse.envs.cartpole import CartPole
from rlcourse.nets.heads_categorical import CategoricalHead
from rlcourse.nets.policies import Policy
from rlcourse.nets.values import ValueNet

from ._crossing import Crossing, Goal, crossing_of_ours, crossing_of_theirs, side_by_side

REPETITIONS, RUNS, ENVIRONMENTS, HIDDEN = 5, 8, 8, (32, 32)
GOAL = Goal(CartPole(), "CartPole-v1", threshold=475, look_every=2048, runs=RUNS)


def learn(seed: int):
    """Eight runs with the default `Config`."""
    source = DynamicsSource(GOAL.env, RUNS, ENVIRONMENTS, random=generator(seed, "cartpole"))
    head = CategoricalHead(4, 2, runs=RUNS, seed=seed, hidden=HIDDEN, dtype=torch.float32)
    critic = ValueNet(4, runs=RUNS, seed=seed, hidden=HIDDEN, dtype=torch.float32)
    return a2c.train(source, Policy(head, GOAL.env.action_space), critic, seed=seed)


def ours(seed: int) -> Crossing:
    """Until all eight runs have crossed."""
    return crossing_of_ours(GOAL, learn, seed)


def theirs(seed: int) -> Crossing:
    """The same for one run of Stable-Baselines3."""
    from stable_baselines3 import A2C

    return crossing_of_theirs(GOAL, lambda make_vec_env: A2C(
        "MlpPolicy", make_vec_env(GOAL.gym_id, n_envs=8, seed=seed), ent_coef=0.0, seed=seed, device="cpu"),
        500_000, seed)


def rows() -> list[dict]:
    """One row for each way."""
    return side_by_side(ours, theirs, REPETITIONS)
