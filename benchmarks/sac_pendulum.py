"""SAC on Pendulum-v1: seconds to −200 in 20 greedy episodes, ours (8 runs at once) beside Stable-Baselines3 (1).

Ours counts until the *slowest* of the eight runs has first crossed; theirs is one run with the hyper-parameters of
its zoo. Evaluation is left out of both clocks. Time is this process's processor time (both run in one thread
of it), so that waiting for a processor that others use is not counted.
One repetition of each in turn, so that a busy moment
of the machine hits both. A repetition that never crosses within its steps counts as infinite. Without
Stable-Baselines3 (pip install ".[bench]") only ours is measured.
"""

import statistics
import time
from importlib.util import find_spec

import torch

from rlcourse.algorithms import sac
from rlcourse.core.seeding import generator
from rlcourse.data.episodes import episodes
from rlcourse.data.evaluate import mean_return
from rlcourse.data.sources import DynamicsSource
from rlcourse.envs.pendulum import Pendulum
from rlcourse.nets.heads_squashed import SquashedGaussianHead
from rlcourse.nets.policies import Policy
from rlcourse.nets.q_values import QNet

from .ppo_cartpole import Crossing

THRESHOLD, GREEDY_EPISODES, LOOK_EVERY = -200, 20, 500
REPETITIONS, RUNS, ENVIRONMENTS = 3, 8, 8


def ours(seed: int) -> Crossing:
    """Until all eight runs have crossed."""
    env = Pendulum()
    begun, excluded, looked = time.process_time(), 0.0, 0
    source = DynamicsSource(env, RUNS, ENVIRONMENTS, random=generator(seed, "pendulum"))
    head = SquashedGaussianHead(3, 1, runs=RUNS, seed=seed, low=-2.0, high=2.0, dtype=torch.float32)
    policy = Policy(head, env.action_space)
    critic = QNet(3, 1, runs=RUNS, seed=seed, dtype=torch.float32)
    crossed = torch.zeros(RUNS, dtype=torch.bool)
    for snapshot in sac.train(source, policy, critic, seed=seed):
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
    from stable_baselines3 import SAC
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.evaluation import evaluate_policy

    greedy = make_vec_env("Pendulum-v1", n_envs=GREEDY_EPISODES, seed=seed + 1000)

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
    model = SAC("MlpPolicy", make_vec_env("Pendulum-v1", n_envs=1, seed=seed), learning_rate=1e-3, seed=seed,
                device="cpu")
    look = Look()
    model.learn(20_000, callback=look)
    if not look.crossed:
        return Crossing(float("inf"), float("inf"), look.excluded)
    return Crossing(look.looked, time.process_time() - begun - look.excluded, look.excluded)


def rows() -> list[dict]:
    """One row for each way: steps and seconds, median, fastest and slowest, and the ratio of the medians."""
    ways = {"ours, the slowest of 8 runs": ours}
    if find_spec("stable_baselines3"):
        ways["Stable-Baselines3, 1 run"] = theirs
    crossings = {name: [] for name in ways}
    for seed in range(REPETITIONS):
        for name, way in ways.items():
            crossings[name].append(way(seed))
    seconds = {name: [crossing.seconds for crossing in found] for name, found in crossings.items()}
    first = statistics.median(seconds["ours, the slowest of 8 runs"])
    return [{"way": name, "median s": f"{statistics.median(times):.2f}", "fastest": f"{min(times):.2f}",
             "slowest": f"{max(times):.2f}", "ours / this": f"{first / statistics.median(times):.2f}",
             "steps of a run": f"{statistics.median(crossing.steps for crossing in crossings[name]):,.0f}"}
            for name, times in seconds.items()]
