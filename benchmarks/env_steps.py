"""Environment steps per second: our source of CartPole beside Gymnasium's three ways, uniformly random actions.

Every way is timed as a training loop meets it: with its resets, its time limit and its checks, in blocks of about
a fifth of a second taken in turn, so that a busy moment of the machine hits all of them. The fastest block counts:
the others were disturbed. Time is this process's processor time (everything here runs in one thread of it), so
that waiting for a processor that others use is not counted. Actions are drawn beforehand and cost nothing.

What bounds ours: at 64 environments nearly all is the overhead of some 40 calls into torch, 1 to 3 µs each, where
NumPy takes half a microsecond: that is Gymnasium's lead there. (Its vectorised CartPole resets in the step after
an end, keeps no true successor and serves no gradient.) At 65,536 a quarter goes into the physics and more than a
quarter into the four random numbers that every environment draws for a possible new start, whether it ends or not:
no environment's luck may depend on when another one ends.
"""

import time
from collections.abc import Callable

import gymnasium
import numpy as np
import torch

from rlcourse.core.seeding import generator
from rlcourse.data.sources import DynamicsSource
from rlcourse.envs.cartpole import CartPole

COUNTS = (1, 64, 1024, 16384, 65536)
BLOCKS, SECONDS = 7, 0.2
MOST_SCALARS = 1024  # a Python loop over more environments than this only takes longer


def ours(count: int) -> Callable[[], object]:
    """`DynamicsSource`, one run of `count` environments, float32."""
    source = DynamicsSource(CartPole(), 1, count, random=generator(0, "luck"))
    actions = torch.randint(2, (64, 1, count), generator=generator(0, "actions"))
    return _in_turn(source.step, actions)


def transition_alone(count: int) -> Callable[[], object]:
    """`CartPole.transition`: the physics without rewards, ends and resets."""
    cart_pole = CartPole()
    state = cart_pole.initial_state(torch.rand(1, count, 4, generator=generator(0, "luck")))
    actions = torch.randint(2, (64, 1, count), generator=generator(0, "actions"))
    return _in_turn(lambda action: cart_pole.transition(state, action), actions)


def scalar(count: int) -> Callable[[], object]:
    """`gymnasium.make` in a loop, one environment after another."""
    envs = [gymnasium.make("CartPole-v1") for _ in range(count)]
    for seed, env in enumerate(envs):
        env.reset(seed=seed)

    def step(action):
        for env, a in zip(envs, action):
            _, _, terminated, truncated, _ = env.step(a)
            if terminated or truncated:
                env.reset()

    return _in_turn(step, _numpy_actions(count))


def vectorised(count: int, mode: str) -> Callable[[], object]:
    """`gymnasium.make_vec` with "sync" or CartPole's own "vector_entry_point"."""
    envs = gymnasium.make_vec("CartPole-v1", num_envs=count, vectorization_mode=mode)
    envs.reset(seed=0)
    return _in_turn(envs.step, _numpy_actions(count))


def rows() -> list[dict]:
    """Steps per second by number of environments, and our time for one step of them all."""
    return [_row(count) for count in COUNTS]


def _row(count: int) -> dict:
    ways = {"ours": ours(count), "physics alone": transition_alone(count),
            "Gymnasium vectorised": vectorised(count, "vector_entry_point")}
    if count <= MOST_SCALARS:
        ways |= {"Gymnasium scalar": scalar(count), "SyncVectorEnv": vectorised(count, "sync")}
    seconds = best_of(ways)
    rate = {name: count / taken for name, taken in seconds.items()}
    column = {name: f"{rate[name] / 1e6:.3f} M/s" if name in rate else "" for name in (
        "ours", "physics alone", "Gymnasium scalar", "SyncVectorEnv", "Gymnasium vectorised")}
    return {"environments": f"{count:,}", **column,
            "ours / vectorised": f"{rate['ours'] / rate['Gymnasium vectorised']:.2f}",
            "µs per step, ours": f"{seconds['ours'] * 1e6:.0f}"}


def best_of(ways: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Seconds per call of each way, the best of BLOCKS blocks taken in turn."""
    calls, best = {}, {}
    for name, way in ways.items():
        way()
        begin = time.process_time()
        way()
        calls[name] = max(1, round(SECONDS / (time.process_time() - begin)))
    for _ in range(BLOCKS):
        for name, way in ways.items():
            begin = time.process_time()
            for _ in range(calls[name]):
                way()
            best[name] = min(best.get(name, float("inf")), (time.process_time() - begin) / calls[name])
    return best


def _numpy_actions(count: int) -> np.ndarray:
    return torch.randint(2, (64, count), generator=generator(0, "actions")).numpy()


def _in_turn(step: Callable, actions) -> Callable[[], object]:
    """`step` with the next of the prepared actions at every call."""
    turn = 0

    def once():
        nonlocal turn
        turn = (turn + 1) % len(actions)
        return step(actions[turn])

    return once
