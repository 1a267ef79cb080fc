"""DQN on CartPole-v1: seconds until 20 greedy episodes average 475, ours (8 runs at once) beside Stable-Baselines3 (1).

How both are measured stands in `_crossing`. Theirs has the hyper-parameters of rl-baselines3-zoo. Ours is measured
with the default `Config`, which is double, and with the single target.
"""

from dataclasses import replace

import torch

from rlcourse.algorithms import dqn
from rlcourse.core.seeding import generator
from rlcourse.data.sources import DynamicsSource
from rlcourse.envs.cartpole import CartPole
from rlcourse.nets.q_values import DiscreteQNet

from ._crossing import Crossing, Goal, crossing_of_ours, crossing_of_theirs, side_by_side

REPETITIONS, RUNS, ENVIRONMENTS = 5, 8, 8
GOAL = Goal(CartPole(), "CartPole-v1", threshold=475, look_every=2048, runs=RUNS)


def learn(seed: int, config: dqn.Config = dqn.Config()):
    """Eight runs."""
    source = DynamicsSource(GOAL.env, RUNS, ENVIRONMENTS, random=generator(seed, "cartpole"))
    critic = DiscreteQNet(4, 2, runs=RUNS, seed=seed, activation="tanh", dtype=torch.float32)
    return dqn.train(source, critic, config, seed=seed)


def ours(seed: int) -> Crossing:
    """Until all eight runs have crossed, with the default `Config`."""
    return crossing_of_ours(GOAL, learn, seed)


def single(seed: int) -> Crossing:
    """The same without double Q."""
    return crossing_of_ours(GOAL, lambda seed: learn(seed, replace(dqn.Config(), double=False)), seed)


def theirs(seed: int) -> Crossing:
    """The same for one run of Stable-Baselines3."""
    from stable_baselines3 import DQN

    return crossing_of_theirs(GOAL, lambda make_vec_env: DQN(
        "MlpPolicy", make_vec_env(GOAL.gym_id, n_envs=1, seed=seed), learning_rate=2.3e-3, batch_size=64,
        buffer_size=100_000, learning_starts=1000, gamma=0.99, target_update_interval=10, train_freq=256,
        gradient_steps=128, exploration_fraction=0.16, exploration_final_eps=0.04,
        policy_kwargs={"net_arch": [256, 256]}, seed=seed, device="cpu"), 50_000, seed)


def rows() -> list[dict]:
    """One row for each way."""
    return side_by_side(ours, theirs, REPETITIONS)
