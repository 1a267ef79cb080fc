"""A small exercise for the tests of the grader: returns, a TD target, and an agent that walks a rope.

Each rule of a good check is here once. What a function *is* (does it require a gradient?) is tested
by what it *does*: `td_step` descends through the student's own target, and where the gradient flows
into the target the weights come out different. An agent is asked for actions only; the environment
that it walks in is run by the case.
"""

import torch
from torch import Tensor

from rlcourse.core.seeding import generator, uniforms
from rlcourse.envs.tightrope import CLIMB, FALLEN, FORWARD, ROPE, mistake_cost, tightrope
from rlcourse.grading.cases import Case, Question


def discounted_returns(rewards: Tensor, ends: Tensor, discount: float) -> Tensor:
    """G_t = r_t + γ G_{t+1} [T], where nothing flows back over the end of an episode."""
    following, returns = torch.zeros((), dtype=rewards.dtype), torch.zeros_like(rewards)
    for t in reversed(range(len(rewards))):
        following = rewards[t] + discount * torch.where(ends[t], 0.0, following)
        returns[t] = following
    return returns


def td_target(reward: Tensor, discount: float, terminated: Tensor, next_value: Tensor) -> Tensor:
    """r + γ V(s') [B], without V(s') where the episode is over; a constant for the gradient."""
    return reward + discount * torch.where(terminated, 0.0, next_value.detach())


def td_step(weights: Tensor, features: Tensor, reward: Tensor, discount: float, terminated: Tensor,
            next_features: Tensor, rate: float) -> Tensor:
    """The weights [D] of a linear value after one semi-gradient step, the sum over the batch."""
    target = td_target(reward, discount, terminated, next_features @ weights)
    return weights + rate * ((target - features @ weights)[:, None] * features).sum(0)


def act(observation: Tensor) -> int:
    """Forward on the rope, climb after a fall."""
    return CLIMB if observation == FALLEN else FORWARD


def _column(*numbers: float) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def _flags(*numbers: int) -> Tensor:
    return torch.tensor(numbers, dtype=torch.bool)


RETURNS = "Work backwards: G_t = r_t + γ G_{t+1}."
LEAKS = "The return of one episode leaks into the one before."
ZERO = "With a discount of 0 the return is the reward: do you divide by a power of the discount?"
TARGET = "The target is r + γ V(s')."
TERMINAL = "There is no next value where the episode is over."
FLOWS = "The gradient flows into the target."
ROPE_HINT = "Forward on the rope, climb after a fall."


def _returns_seeded(seed: int):
    random = generator(seed, "sample returns")
    rewards, discount = 10 * uniforms((6,), random), 0.5 + 0.4 * float(uniforms((1,), random))
    once, twice = _flags(0, 0, 0, 0, 0, 1), _flags(0, 1, 0, 0, 0, 1)
    for title, ends, hint in (("one episode", once, RETURNS), ("two episodes", twice, LEAKS)):
        yield Case("random", lambda f, ends=ends: f.discounted_returns(rewards, ends, discount),
                   discounted_returns(rewards, ends, discount), hint, confirms=title)
    yield Case("random", lambda f: f.discounted_returns(rewards, twice, 0.0), rewards, ZERO,
               confirms="discount 0")


Q1 = Question(
    "q1", "Discounted returns", "S1", {"discounted_returns": discounted_returns},
    difficulty=1, importance=5, minutes=5,
    values=(
        # G2 = 4, G1 = 2 + 4/2 = 4, G0 = 1 + 4/2 = 3
        Case("one episode", lambda f: f.discounted_returns(_column(1, 2, 4), _flags(0, 0, 1), 0.5),
             _column(3, 4, 4), RETURNS, points=2, by_hand=True),
        # G3 = 8, G2 = 4 + 8/2 = 8; the first episode ends with 2: G1 = 2, G0 = 1 + 2/2 = 2
        Case("two episodes", lambda f: f.discounted_returns(_column(1, 2, 4, 8), _flags(0, 1, 0, 1), 0.5),
             _column(2, 2, 8, 8), RETURNS, points=1, by_hand=True,
             mistakes=((_column(4, 6, 8, 8), LEAKS),))),
    properties=(
        Case("discount 0", lambda f: f.discounted_returns(_column(1, 2, 4), _flags(0, 0, 1), 0.0),
             _column(1, 2, 4), ZERO, points=1, by_hand=True),),
    seeded=_returns_seeded)


def _target_seeded(seed: int):
    random = generator(seed, "sample target")
    reward, next_value = 10 * uniforms((4,), random), 10 * uniforms((4,), random)
    discount = 0.5 + 0.4 * float(uniforms((1,), random))
    for title, ends in (("an ordinary step", _flags(0, 0, 0, 0)), ("the last step", _flags(0, 1, 1, 0))):
        yield Case("random", lambda f, ends=ends: f.td_target(reward, discount, ends, next_value),
                   td_target(reward, discount, ends, next_value), TERMINAL if ends.any() else TARGET,
                   confirms=title)
    features, next_features = uniforms((4, 3), random), uniforms((4, 3), random)
    step = (uniforms((3,), random), features, reward, discount, _flags(0, 1, 0, 0), next_features, 0.1)
    yield Case("random", lambda f: f.td_step(*step), td_step(*step), FLOWS, confirms="a constant target")


# V(s) = 1 and V(s') = 2, so the target is 1 + 2/2 = 2, the error 1, and w0 moves by 0.1 · 1 · 1.
_STEP = (_column(1, 2), torch.tensor([[1.0, 0]], dtype=torch.float64), _column(1), 0.5, _flags(0),
         torch.tensor([[0.0, 1]], dtype=torch.float64), 0.1)

Q2 = Question(
    "q2", "TD target", "S2", {"td_target": td_target, "td_step": td_step},
    difficulty=2, importance=5, minutes=10,
    values=(
        # 1 + 10/2 and 2 + 20/2
        Case("an ordinary step", lambda f: f.td_target(_column(1, 2), 0.5, _flags(0, 0), _column(10, 20)),
             _column(6, 12), TARGET, points=1, by_hand=True),
        # the second episode is over
        Case("the last step", lambda f: f.td_target(_column(1, 2), 0.5, _flags(0, 1), _column(10, 20)),
             _column(6, 2), TARGET, points=1, by_hand=True, mistakes=((_column(6, 12), TERMINAL),))),
    properties=(
        # where the gradient flows, w1 moves as well, by −0.1 · 1 · γ
        Case("a constant target", lambda f: f.td_step(*_STEP), _column(1.1, 2), FLOWS, points=1, by_hand=True,
             mistakes=((_column(1.1, 1.95), FLOWS),)),),
    seeded=_target_seeded)

QUESTIONS = (Q1, Q2)


def walk(f: object, start: int, steps: int) -> float:
    """How many mistakes the student's agent makes on a rope that only this process has."""
    rope, state, mistakes = tightrope(recoverable=True), torch.tensor(start), 0.0
    cost = mistake_cost(recoverable=True)
    for _ in range(steps):
        action = torch.tensor(int(f.act(state)))
        mistakes += cost[state, action].item()
        state = rope.transition(state, action, torch.full((1,), 0.5, dtype=torch.float64))
    return mistakes


AGENT = Question(
    "q3", "An agent on the rope", "S3", {"act": act}, difficulty=1, importance=5, minutes=5,
    values=(
        Case("on the rope", lambda f: walk(f, ROPE, 5), 0, ROPE_HINT, points=1, by_hand=True),
        # who never climbs pays for each of the 20 steps
        Case("after a fall", lambda f: walk(f, FALLEN, 20), 0, ROPE_HINT, points=2, by_hand=True,
             mistakes=((20, "It never climbs."),))),
    seeded=lambda seed: [Case("random", lambda f: walk(f, FALLEN, 3 + seed % 7), 0, ROPE_HINT,
                              confirms="after a fall")])

# The notebook of a diligent student, cell by cell.
SETUP = """\
import math

import numpy as np
import torch

from rlcourse.grading import exercise
from rlcourse.notebook import start

start()
ex = exercise("sample")"""
RIGHT_RETURNS = """\
def discounted_returns(rewards, ends, discount):
    returns = torch.zeros_like(rewards)
    following = 0.0
    for t in reversed(range(len(rewards))):
        following = rewards[t] + (0.0 if ends[t] else discount * following)
        returns[t] = following
    return returns"""
STEP = """\
def td_step(weights, features, reward, discount, terminated, next_features, rate):
    weights = weights.clone().requires_grad_()
    target = td_target(reward, discount, terminated, next_features @ weights)
    loss = 0.5 * ((features @ weights - target) ** 2).sum()
    gradient, = torch.autograd.grad(loss, weights)
    return weights.detach() - rate * gradient"""
RIGHT_TARGET = """\
def td_target(reward, discount, terminated, next_value):
    return reward + discount * torch.where(terminated, torch.zeros_like(next_value), next_value.detach())"""
RIGHT_ACT = """\
def act(observation):
    return 1 if int(observation) == 1 else 0"""
BLANK_RETURNS = """\
def discounted_returns(rewards, ends, discount):
    raise NotImplementedError("q1: your code here")"""
BLANK_TARGET = """\
def td_target(reward, discount, terminated, next_value):
    raise NotImplementedError("q2: your code here")"""
CHECK1, CHECK2, SCORE = 'ex.check("q1")', 'ex.check("q2")', "ex.score()"


def notebook(returns: str = RIGHT_RETURNS, target: str = RIGHT_TARGET, step: str = STEP,
             before: tuple[str, ...] = (), between: tuple[str, ...] = (),
             after: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The cells with some of them changed, and further ones before, between and after the answers."""
    return (SETUP, *before, returns, CHECK1, *between, step, target, CHECK2, *after, SCORE)
