"""The first crossing of a threshold: eight runs of ours at once, beside one run of Stable-Baselines3.

Ours counts until the *slowest* run has first crossed. Both are judged by the mean of 20 greedy episodes, as often as
the other, and the time of judging is left out. One repetition of each in turn, so that a busy moment of the machine
hits both. Time is this process's processor time (both run in one thread of it), so that waiting for a processor that
others use is not counted. A repetition that never crosses within its steps counts as infinite. Without
Stable-Baselines3 (pip install ".[bench]") only ours is measured.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import NamedTuple

import torch

from rlcourse.core.seeding import generator
from rlcourse.data.episodes import episodes
from rlcourse.data.evaluate import mean_return
from rlcourse.data.sources import DynamicsSource
from rlcourse.envs.dynamics import Dynamics

GREEDY_EPISODES = 20
OURS, THEIRS = "ours, the slowest of 8 runs", "Stable-Baselines3, 1 run"


class Goal(NamedTuple):
    """What has to be crossed: a problem, ours and by Gymnasium's name, and the mean return; judged every few steps."""

    env: Dynamics
    gym_id: str
    threshold: float
    look_every: int
    runs: int


class Crossing(NamedTuple):
    """`steps` of each run and `seconds` until all had crossed (infinite if never), without the `evaluation`."""

    steps: float
    seconds: float
    evaluation: float


def crossing_of_ours(goal: Goal, learn: Callable[[int], Iterator], seed: int) -> Crossing:
    """Until all runs have crossed; `learn(seed)` builds everything and yields snapshots."""
    begun, excluded, looked = time.process_time(), 0.0, 0
    crossed = torch.zeros(goal.runs, dtype=torch.bool)
    for snapshot in learn(seed):
        if snapshot.step - looked >= goal.look_every:
            paused, looked = time.process_time(), snapshot.step
            greedy = DynamicsSource(goal.env, goal.runs, GREEDY_EPISODES, random=generator(seed, f"greedy {looked}"))
            crossed |= mean_return(episodes(greedy, snapshot.policy)) >= goal.threshold
            excluded += time.process_time() - paused
            if bool(crossed.all()):
                return Crossing(snapshot.step, time.process_time() - begun - excluded, excluded)
    return Crossing(float("inf"), float("inf"), excluded)


def crossing_of_theirs(goal: Goal, make: Callable[[Callable], object], steps: int, seed: int) -> Crossing:
    """Until their one run has crossed; `make(make_vec_env)` builds the model of Stable-Baselines3."""
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.evaluation import evaluate_policy

    greedy = make_vec_env(goal.gym_id, n_envs=GREEDY_EPISODES, seed=seed + 1000)

    class Look(BaseCallback):
        """Stops at the first crossing and keeps the time that looking took."""

        excluded, looked, crossed = 0.0, 0, False

        def _on_step(self) -> bool:
            if self.num_timesteps - self.looked >= goal.look_every:
                paused, self.looked = time.process_time(), self.num_timesteps
                mean, _ = evaluate_policy(self.model, greedy, n_eval_episodes=GREEDY_EPISODES, warn=False)
                self.excluded += time.process_time() - paused
                self.crossed = mean >= goal.threshold
            return not self.crossed

    begun, look = time.process_time(), Look()
    make(make_vec_env).learn(steps, callback=look)
    if not look.crossed:
        return Crossing(float("inf"), float("inf"), look.excluded)
    return Crossing(look.looked, time.process_time() - begun - look.excluded, look.excluded)


def side_by_side(ours: Callable[[int], Crossing], theirs: Callable[[int], Crossing], repetitions: int) -> list[dict]:
    """One row for each: median, fastest and slowest of the repetitions, the ratio of the medians, median steps."""
    ways = {OURS: ours, **({THEIRS: theirs} if find_spec("stable_baselines3") else {})}
    found = {name: [] for name in ways}
    for seed in range(repetitions):
        for name, way in ways.items():
            found[name].append(way(seed))
    seconds = {name: [crossing.seconds for crossing in crossings] for name, crossings in found.items()}
    first = statistics.median(seconds[OURS])
    return [{"way": name, "median s": f"{statistics.median(times):.2f}", "fastest": f"{min(times):.2f}",
             "slowest": f"{max(times):.2f}", "ours / this": f"{first / statistics.median(times):.2f}",
             "steps of a run": f"{statistics.median(crossing.steps for crossing in found[name]):,.0f}"}
            for name, times in seconds.items()]


def robustness(ours: Callable[[int], Crossing], runs: int, repetitions: int = 20) -> list[dict]:
    """One row: in how many repetitions all runs crossed, and what the slowest run of each needed."""
    crossings = [ours(seed) for seed in range(repetitions)]
    steps = sorted(crossing.steps for crossing in crossings)
    seconds = sorted(crossing.seconds for crossing in crossings)
    crossed = sum(count < float("inf") for count in steps)
    return [{"runs at once": runs, "all crossed in": f"{crossed} of {repetitions}",
             "steps of each run, median": f"{statistics.median(steps):,.0f}", "most steps": f"{steps[-1]:,.0f}",
             "median s": f"{statistics.median(seconds):.2f}", "slowest": f"{seconds[-1]:.2f}"}]
