"""TD3 on Pendulum-v1: seconds to −200 in 20 greedy episodes, ours (8 runs at once) beside Stable-Baselines3 (1).

How both are measured stands in `_crossing`. Theirs has the hyper-parameters of rl-baselines3-zoo.
"""

import torch

from rlcourse.algorithms import td3
from rlcourse.core.seeding import generator
from rlcourse.data.sources import DynamicsSource
from rlcourse.envs.pendulum import Pendulum
from rlcourse.nets.heads_deterministic import DeterministicHead
from rlcourse.nets.policies import Policy
from rlcourse.nets.q_values import QNet

from ._crossing import Crossing, Goal, crossing_of_ours, crossing_of_theirs, side_by_side

REPETITIONS, RUNS, ENVIRONMENTS = 3, 8, 8
GOAL = Goal(Pendulum(), "Pendulum-v1", threshold=-200, look_every=500, runs=RUNS)


def learn(seed: int):
    """Eight runs with the default `Config`."""
    source = DynamicsSource(GOAL.env, RUNS, ENVIRONMENTS, random=generator(seed, "pendulum"))
    head = DeterministicHead(3, 1, runs=RUNS, seed=seed, low=-2.0, high=2.0, dtype=torch.float32)
    critic = QNet(3, 1, runs=RUNS, seed=seed, dtype=torch.float32)
    return td3.train(source, Policy(head, GOAL.env.action_space), critic, seed=seed)


def ours(seed: int) -> Crossing:
    """Until all eight runs have crossed."""
    return crossing_of_ours(GOAL, learn, seed)


def theirs(seed: int) -> Crossing:
    """The same for one run of Stable-Baselines3."""
    from stable_baselines3 import TD3
    from stable_baselines3.common.noise import NormalActionNoise

    return crossing_of_theirs(GOAL, lambda make_vec_env: TD3(
        "MlpPolicy", make_vec_env(GOAL.gym_id, n_envs=1, seed=seed), gamma=0.98, buffer_size=200_000,
        learning_starts=10_000, action_noise=NormalActionNoise(mean=[0.0], sigma=[0.1]), gradient_steps=1,
        train_freq=1, learning_rate=1e-3, policy_kwargs={"net_arch": [400, 300]}, seed=seed, device="cpu"),
        20_000, seed)


def rows() -> list[dict]:
    """One row for each way."""
    return side_by_side(ours, theirs, REPETITIONS)
