"""What the tests of worker processes start: an environment that breaks, a small training; and who is still there.

Not a test file, so that worker processes can import it.
"""

import os
import signal
import time
from dataclasses import dataclass

import psutil
import torch

from rlcourse.algorithms import a2c
from rlcourse.algorithms.async_actor_critic import Config, train
from rlcourse.envs.cartpole import CartPole
from rlcourse.nets.heads_categorical import CategoricalHead
from rlcourse.nets.policies import Policy
from rlcourse.nets.values import ValueNet


@dataclass(frozen=True, eq=False)
class Breaking(CartPole):
    """CartPole that goes wrong once a pole has tipped by `limit` (rad): an error, or the process is killed."""

    how: str = "error"
    limit: float = 0.1

    def reward(self, state, action, next_state, noise=None):
        if bool((next_state[..., 2].abs() > self.limit).any()):
            if self.how == "error":
                raise ArithmeticError("the pole broke\nin two places")
            if self.how == "nan":
                return torch.full_like(next_state[..., 0], torch.nan)
            os.kill(os.getpid(), signal.SIGKILL)
        return super().reward(state, action, next_state, noise)


def networks(runs: int = 2, seed: int = 0, hidden: tuple[int, ...] = (16,),
             dtype: torch.dtype = torch.float32) -> tuple[Policy, ValueNet]:
    """A small policy and critic for CartPole."""
    head = CategoricalHead(4, 2, runs=runs, seed=seed, hidden=hidden, dtype=dtype)
    return Policy(head, CartPole().action_space), ValueNet(4, runs=runs, seed=seed, hidden=hidden, dtype=dtype)


def settings(workers: int, updates: int, environments: int = 4, horizon: int = 8, **others) -> Config:
    """A Config for a given number of updates."""
    learner = a2c.Config(total_steps=updates * environments * horizon, horizon=horizon, **others)
    return Config(workers=workers, environments=environments, learner=learner, report_every=5)


def endless(workers: int = 2):
    """A training that nobody will see the end of."""
    return train(CartPole(), *networks(), settings(workers, 10**6), seed=0)


def still_there(pids: list[int], seconds: float = 15.0) -> list[int]:
    """Those of the processes that have not ended after so many seconds (0: now)."""
    deadline = time.monotonic() + seconds
    while left := [pid for pid in pids if _runs(pid)]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    return left


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
