"""A2C on CartPole-v1: seconds until 20 greedy episodes average 475, ours (8 runs at once) beside Stable-Baselines3 (1).

Ours counts until the *slowest* of the eight runs has first crossed; theirs is one run with the hyper-parameters of
its zoo. Evaluation is left out of both clocks and done at the same number of steps. One repetition of each in turn, so
that a busy moment of the machine hits both. Time is this process's processor time (both run in one thread of it), so
that waiting for a processor that others use is not counted. A repetition that never crosses within its steps counts
as infinite. Without Stable-Baselines3 (pip install ".[bench]") only ours is measured.
"""

import statistics
import time
from importlib.util import find_spec
from typing import NamedTuple

import torch

from rlcourse.algorithms import a2c
from rlcourse.core.seeding import generator
from rlcourse.data.episodes import episodes
from rlcourse.data.evaluate import mean_return
from rlcourse.data.sources import DynamicsSource
from rlcourse.envs.cartpole import CartPole
from rlcourse.nets.heads_categorical import CategoricalHead
from rlcourse.nets.policies import Policy
from rlcourse.nets.values import ValueNet

THRESHOLD, GREEDY_EPISODES, LOOK_EVERY = 475, 20, 2048
REPETITIONS, RUNS, ENVIRONMENTS, HIDDEN = 5, 8, 8, (32, 32)


class Crossing(NamedTuple):
    """`steps` of each run and `seconds` until all had crossed (infinite if never), without the `evaluation`."""

    steps: float
    seconds: float
    evaluation: float


def ours(seed: int) -> Crossing:
    """Until all eight runs have crossed."""
    env = CartPole()
    begun, excluded, looked = time.process_time(), 0.0, 0
    source = DynamicsSource(env, RUNS, ENVIRONMENTS, random=generator(seed, "cartpole"))
    policy = Policy(CategoricalHead(4, 2, runs=RUNS, seed=seed, hidden=HIDDEN, dtype=torch.float32), env.action_space)
    critic = ValueNet(4, runs=RUNS, seed=seed, hidden=HIDDEN, dtype=torch.float32)
    crossed = torch.zeros(RUNS, dtype=torch.bool)
    for snapshot in a2c.train(source, policy, critic, seed=seed):
        if snapshot.step - looked >= LOOK_EVERY:
            paused, looked = time.process_time(), snapshot.step
            greedy = DynamicsSource(env, RUNS, GREEDY_EPISODES, random=generator(seed, f"greedy {looked}"))
            crossed |= mean_return(episodes(greedy, snapshot.policy)) >= THRESHOLD
            excluded += time.process_time() - paused
            if bool(crossed.all()):
                return Crossing(snapshot.step, time.process_time() - begun - excluded, excluded)
    return Crossing(float("inf"), float("inf"), excluded)


def theirs(seed: int) -> Crossing:
    """The same for one run of Stable-Baselines3 with the hyper-parameters of rl-baselines3-zoo."""
    from stable_baselines3 import A2C
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.evaluation import evaluate_policy

    greedy = make_vec_env("CartPole-v1", n_envs=GREEDY_EPISODES, seed=seed + 1000)

    class Look(BaseCallback):
        """Stops at the first crossing and keeps the time that looking took."""

        excluded, looked, crossed = 0.0, 0, False

        def _on_step(self) -> bool:
            if self.num_timesteps - self.looked >= LOOK_EVERY:
                paused, self.looked = time.process_time(), self.num_timesteps
                mean, _ = evaluate_policy(self.model, greedy, n_eval_episodes=GREEDY_EPISODES, warn=False)
                self.excluded += time.process_time() - paused
                self.crossed = mean >= THRESHOLD
            return not self.crossed

    begun = time.process_time()
    model = A2C("MlpPolicy", make_vec_env("CartPole-v1", n_envs=8, seed=seed), ent_coef=0.0, seed=seed, device="cpu")
    look = Look()
    model.learn(500_000, callback=look)
    if not look.crossed:
        return Crossing(float("inf"), float("inf"), look.excluded)
    return Crossing(look.looked, time.process_time() - begun - look.excluded, look.excluded)


def rows() -> list[dict]:
    """One row for each way: median, fastest and slowest of the repetitions, and the ratio of the medians."""
    ways = {"ours, the slowest of 8 runs": ours}
    if find_spec("stable_baselines3"):
        ways["Stable-Baselines3, 1 run"] = theirs
    seconds = {name: [] for name in ways}
    for seed in range(REPETITIONS):
        for name, way in ways.items():
            seconds[name].append(way(seed).seconds)
    first = statistics.median(seconds["ours, the slowest of 8 runs"])
    return [{"way": name, "median s": f"{statistics.median(times):.2f}", "fastest": f"{min(times):.2f}",
             "slowest": f"{max(times):.2f}", "ours / this": f"{first / statistics.median(times):.2f}"}
            for name, times in seconds.items()]
