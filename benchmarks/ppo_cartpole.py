"""PPO on CartPole-v1: seconds until 20 greedy episodes average 475, ours (8 runs at once) beside Stable-Baselines3 (1).

How both are measured stands in `_crossing`. Theirs has the hyper-parameters of rl-baselines3-zoo.
"""

import torch

from rlcourse.algorithms import ppo
from rlcourse.core.seeding import generator
from rlcourse.data.sources import DynamicsSource
from rlcourse.envs.cartpole import CartPole
from rlcourse.nets.heads_categorical import CategoricalHead
from rlcourse.nets.policies import Policy
from rlcourse.nets.values import ValueNet

from ._crossing import Crossing, Goal, crossing_of_ours, crossing_of_theirs, side_by_side

REPETITIONS, RUNS, ENVIRONMENTS = 5, 8, 16
GOAL = Goal(CartPole(), "CartPole-v1", threshold=475, look_every=2048, runs=RUNS)


def learn(seed: int):
    """Eight runs with the default `Config`."""
    source = DynamicsSource(GOAL.env, RUNS, ENVIRONMENTS, random=generator(seed, "cartpole"))
    policy = Policy(CategoricalHead(4, 2, runs=RUNS, seed=seed, dtype=torch.float32), GOAL.env.action_space)
    return ppo.train(source, policy, ValueNet(4, runs=RUNS, seed=seed, dtype=torch.float32), seed=seed)


def ours(seed: int) -> Crossing:
    """Until all eight runs have crossed."""
    return crossing_of_ours(GOAL, learn, seed)


def theirs(seed: int) -> Crossing:
    """The same for one run of Stable-Baselines3."""
    from stable_baselines3 import PPO

    return crossing_of_theirs(GOAL, lambda make_vec_env: PPO(
        "MlpPolicy", make_vec_env(GOAL.gym_id, n_envs=8, seed=seed), n_steps=32, batch_size=256, gae_lambda=0.8,
        gamma=0.98, n_epochs=20, ent_coef=0.0, learning_rate=lambda left: 0.001 * left,
        clip_range=lambda left: 0.2 * left, seed=seed, device="cpu"), 100_000, seed)


def rows() -> list[dict]:
    """One row for each way."""
    return side_by_side(ours, theirs, REPETITIONS)
