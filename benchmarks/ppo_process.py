"""PPO on CartPole-v1, the whole process: seconds from starting Python to trained policies, imports included.

Ours ends when the slowest of eight runs has first crossed 475, theirs when its one run has; evaluation is left out,
as in `ppo_cartpole`. The third way is the floor of both: a process that imports torch and does nothing. One thread,
one process of each in turn; processor time of the whole process, which on an idle machine is its wall clock.
"""

import os
import resource
import statistics
import subprocess
import sys
from importlib.util import find_spec

REPETITIONS = 5
TRAIN = """
import torch
torch.set_num_threads(1)
from benchmarks import ppo_cartpole
crossing = ppo_cartpole.{way}({seed})
print(crossing.evaluation if crossing.seconds < float("inf") else "never")
"""


def process_seconds(program: str) -> float:
    """The processor time of a fresh Python that runs `program`, less what it prints as spent on evaluation."""
    begun = _of_children()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True,
                          env=os.environ | {"OMP_NUM_THREADS": "1"})
    taken, printed = _of_children() - begun, done.stdout.strip()
    return float("inf") if printed == "never" else taken - float(printed)


def _of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def rows() -> list[dict]:
    """One row for each way: median, fastest and slowest of the repetitions, and the ratio of the medians."""
    ways = {"ours, eight policies": lambda seed: TRAIN.format(way="ours", seed=seed)}
    if find_spec("stable_baselines3"):
        ways["Stable-Baselines3, one policy"] = lambda seed: TRAIN.format(way="theirs", seed=seed)
    ways["import torch, nothing else"] = lambda seed: "import torch; print(0)"
    seconds = {name: [] for name in ways}
    for seed in range(REPETITIONS):
        for name, program in ways.items():
            seconds[name].append(process_seconds(program(seed)))
    first = statistics.median(seconds["ours, eight policies"])
    return [{"whole process": name, "median s": f"{statistics.median(times):.2f}", "fastest": f"{min(times):.2f}",
             "slowest": f"{max(times):.2f}", "ours / this": f"{first / statistics.median(times):.2f}"}
            for name, times in seconds.items()]
