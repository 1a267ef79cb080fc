"""Exercise 05b, q6: the action of TD3's target, and the target."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ...core.seeding import generator
from ...equations import continuous_q
from ..cases import Case, Question
from .tables import numbers, table

STD, CLIP, LOW, HIGH = 0.2, 0.5, -1.0, 1.0  # of `td3_target`, as in the paper
Smoothing = tuple[Tensor, Tensor, float, float, float, float]
Problem = tuple[Tensor, Tensor, Tensor, Tensor, Callable, Callable, Tensor, float]


def smoothed_action(action: Tensor, noise: Tensor, noise_std: float, noise_clip: float, low: float,
                    high: float) -> Tensor:
    """clip(a + clip(σ ξ, −c, c), low, high) [B, D]: the library's answer."""
    return continuous_q.smoothed_action(action, noise, noise_std=noise_std, noise_clip=noise_clip, low=low, high=high)


def td3_target(reward: Tensor, action: Tensor, next_obs: Tensor, terminated: Tensor, actor: Callable,
               critics: Callable, noise: Tensor, discount: float) -> Tensor:
    """r + γ (1 − terminated) min Q'ᵢ(s', ã) [B]: the library's answer."""
    near = smoothed_action(numbers(actor(next_obs)), noise, STD, CLIP, LOW, HIGH)
    return continuous_q.td3_target(reward, *numbers(critics(next_obs, near)), terminated, discount=discount)


_SMOOTHING: tuple[tuple[Callable, str], ...] = (
    (lambda a, n, s, c, low, high: (a + s * n).clamp(low, high),
     "The noise is not clipped: one large draw would judge an action that the actor never thought of."),
    (lambda a, n, s, c, low, high: (a + s * n.clamp(-c, c)).clamp(low, high),
     "You clip ξ and then scale it. c is in units of the action: clip σ ξ."),
    (lambda a, n, s, c, low, high: a + (s * n).clamp(-c, c),
     "The action is not clipped to the box [low, high]: nobody can act there, and the critics know nothing of it."),
    (lambda a, n, s, c, low, high: a + s * n,
     "Nothing is clipped: neither the noise to [−c, c] nor the action to the box."),
    (lambda a, n, s, c, low, high: (a + (s * n).clamp(-c, c)).clamp(-c, c),
     "The action is clipped to [−c, c]. That is the range of the *noise*; the box is [low, high]."),
    (lambda a, n, s, c, low, high: (a + (s * n).clamp(low, high)).clamp(low, high),
     "The noise is clipped to the box [low, high]. Its own range is [−c, c]."),
    (lambda a, n, s, c, low, high: a.clamp(low, high) + (s * n).clamp(-c, c),
     "The box comes last: also with the noise the action must lie in it."),
    (lambda a, n, s, c, low, high: (a + n.clamp(-c, c)).clamp(low, high), "σ is forgotten: ξ has the spread 1."),
    (lambda a, n, s, c, low, high: (a + (s * s * n).clamp(-c, c)).clamp(low, high),
     "σ is the standard deviation, not the variance: σ ξ."),
    (lambda a, n, s, c, low, high: (a - (s * n).clamp(-c, c)).clamp(low, high), "The noise is added, not subtracted."),
    (lambda a, n, s, c, low, high: (a + (s * n).clamp(max=c)).clamp(low, high),
     "The noise is clipped above only. It has two sides: [−c, c]."),
    (lambda a, n, s, c, low, high: a.clamp(low, high), "There is no noise in your action."),
    (lambda a, n, s, c, low, high: (s * n).clamp(-c, c), "That is the noise alone. The action is added to it."),
)


def _with(value: Callable = lambda q: q.amin(0), near: Callable = lambda mine, stored, noise: mine,
          mask: bool = True, rate: Callable = lambda discount: discount) -> Callable[..., Tensor]:
    """A target with another value of the two critics, of another action, or without the mask."""
    def slip(reward, action, next_obs, terminated, actor, critics, noise, discount):
        chosen = numbers(actor(next_obs))
        mine = smoothed_action(chosen, noise, STD, CLIP, LOW, HIGH)
        following = value(numbers(critics(next_obs, near(mine, action, noise))))
        following = torch.where(terminated, 0.0, following) if mask else following
        return reward + rate(discount) * following
    return slip


def _stored(mine: Tensor, stored: Tensor, noise: Tensor) -> Tensor:
    return smoothed_action(stored, noise, STD, CLIP, LOW, HIGH)


def _plain_action(reward, action, next_obs, terminated, actor, critics, noise, discount):
    following = numbers(critics(next_obs, numbers(actor(next_obs)))).amin(0)
    return reward + discount * torch.where(terminated, 0.0, following)


def _masked_reward(reward, action, next_obs, terminated, actor, critics, noise, discount):
    return _with(mask=False)(reward, action, next_obs, terminated, actor, critics, noise, discount) * ~terminated


def _two_actions(reward, action, next_obs, terminated, actor, critics, noise, discount):
    """Both critics with another action each: one smoothed, one not."""
    chosen = numbers(actor(next_obs))
    near = smoothed_action(chosen, noise, STD, CLIP, LOW, HIGH)
    following = torch.minimum(numbers(critics(next_obs, near))[0], numbers(critics(next_obs, chosen))[1])
    return reward + discount * torch.where(terminated, 0.0, following)


# The order matters where two slips give the same number.
_TARGET: tuple[tuple[Callable, str], ...] = (
    (_with(mask=False),
     "You look behind the end of the problem: where the step terminated the target is the reward alone."),
    (_masked_reward, "The last reward is lost: it was paid. Only what would come after it goes."),
    (_with(lambda q: q.amax(0)),
     "You take the larger of both critics. The smaller one is asked for: an actor seeks out what is too high."),
    (_with(lambda q: q[0]), "Only the first critic is asked. The target is the smaller of both."),
    (_with(lambda q: q[1]), "Only the second critic is asked. The target is the smaller of both."),
    (_with(lambda q: q.mean(0)), "You average the critics. The smaller one is asked for."),
    (_with(lambda q: q.min()),
     "That is one minimum for the whole batch. Of each transition the smaller of its two values: `amin(0)`."),
    (_with(lambda q: q.sum(0)), "You add the critics up. The smaller one is asked for."),
    (_with(near=_stored),
     "The noise is added to the stored action, the one that was taken in s. The target asks about s': what would the "
     "target *actor* do there?"),
    (_with(near=lambda mine, stored, noise: stored),
     "You evaluate the stored action in s'. It was taken in s; in s' the target actor chooses."),
    (_plain_action, "The target actor's action is not smoothed."),
    (_two_actions, "Both critics are asked about one and the same action, the smoothed one."),
    (_with(rate=lambda discount: 1.0), "γ is forgotten: the value of s' counts γ."),
    (lambda *problem: problem[0],
     "That is the reward alone. What comes after it counts too, unless the problem is over."),
)


def _smooth_case(title: str, problem: Smoothing, want: Tensor, **more) -> Case:
    return Case(title, lambda f: f.smoothed_action(*problem), want,
                "σ ξ, clipped to [−c, c]; added to the action; clipped to [low, high].",
                mistakes=tuple((slip(*problem), hint) for slip, hint in _SMOOTHING), **more)


def _target_case(title: str, problem: Problem, want: Tensor, **more) -> Case:
    return Case(title, lambda f: f.td3_target(*problem), want,
                "ã: the actor's action in s', smoothed with 0.2, 0.5, −1 and 1. Then both critics in (s', ã), and of "
                "each transition the smaller.",
                mistakes=tuple((slip(*problem), hint) for slip, hint in _TARGET), **more)


def _actor(next_obs: Tensor) -> Tensor:
    """Half of what is observed."""
    return next_obs / 2


def _critics(next_obs: Tensor, action: Tensor) -> Tensor:
    """10 a + s and 6 − s − a, of the first axes [2, B]."""
    return torch.stack([10 * action[:, 0] + next_obs[:, 0], 6 - next_obs[:, 0] - action[:, 0]])


def _random_callables(axes: int, random: torch.Generator) -> tuple[Callable, Callable]:
    turn, weights = (torch.randn(axes, axes, generator=random, dtype=torch.float64),
                     torch.randn(2, 2 * axes, generator=random, dtype=torch.float64))

    def actor(next_obs: Tensor) -> Tensor:
        return torch.tanh(numbers(next_obs) @ turn)

    def critics(next_obs: Tensor, action: Tensor) -> Tensor:
        return weights @ torch.cat([numbers(next_obs), numbers(action).sin() * 3], 1).T
    return actor, critics


def _random_problem(size: int, axes: int, random: torch.Generator, ends: bool) -> Problem:
    reward = torch.randn(size, generator=random, dtype=torch.float64)
    action, next_obs, noise = torch.randn(3, size, axes, generator=random, dtype=torch.float64)
    terminated = torch.rand(size, generator=random) < (0.4 if ends else 0.0)
    if ends:
        terminated[0] = True
    return (reward, action.tanh(), next_obs, terminated, *_random_callables(axes, random), 2 * noise,
            0.5 + 0.4 * torch.rand((), generator=random).item())


def _no_noise(f: object, problem: Smoothing) -> Tensor:
    action, noise, _, clip, low, high = problem
    return numbers(f.smoothed_action(action, noise, 0.0, clip, low, high))


def _random_cases(seed: int) -> Iterator[Case]:
    random = generator(seed, "05b_q_in_practice q6")
    for axes in (1, 3):
        action, noise = torch.randn(2, 12, axes, generator=random, dtype=torch.float64)
        high = 1 + torch.rand((), generator=random).item()
        problem = (high * action.tanh(), 2 * noise, 0.4, 0.3, -high, high)
        yield _smooth_case("random", problem, smoothed_action(*problem), confirms=_NOISE)
        problem = (1.3 * action, noise, 0.1, 0.3, -high / 2, high)
        yield _smooth_case("random", problem, smoothed_action(*problem), confirms=_BOX)
        problem = _random_problem(9, axes, random, ends=False)
        yield _target_case("random", problem, td3_target(*problem), confirms=_QUIET)
        problem = _random_problem(9, axes, random, ends=True)
        yield _target_case("random", problem, td3_target(*problem), confirms=_OVER)


_NOISE, _BOX, _QUIET, _OVER = "the noise and its range", "the box", "the target", "the target at the end"
_STILL = "without noise"
_STATES = (table([1, 0, 2, 1]), table([[0.9], [0.9], [-0.9], [0.5]]), table([[0.4], [1], [4], [0.4]]))
_XI = table([[1], [-10], [2], [0]])
_OPEN, _ENDED = torch.zeros(4, dtype=torch.bool), torch.tensor([False, True, False, True])
_FIXED = (table([[0.5, 3], [-2, -0.25]]), table([[9, -9], [1, 0]]), 0.5, 0.25, -1.0, 1.0)

QUESTION = Question(
    "q6", "Near the best action, and the more careful of two", "Q8",
    {"smoothed_action": smoothed_action, "td3_target": td3_target}, difficulty=3, importance=4, minutes=20,
    values=(
        # ½ · 0.6 = 0.3 is in the range; ½ · 4 = 2 counts 1; ½ · −8 counts −1; ½ · −1 = −0.5.
        _smooth_case(_NOISE, (table([[1, 1], [2, 0]]), table([[0.6, 4], [-8, -1]]), 0.5, 1.0, -5.0, 5.0),
                     table([[1.3, 2], [1, -0.5]]), points=1, by_hand=True),
        # 0.9 + 0.25, no more than 1; −0.9 − 0.5, which is −1.4, no less than −1; 0.25 + 0.1; 1.25 − 0.5.
        _smooth_case(_BOX, (table([[0.9, -0.9], [0.25, 1.25]]), table([[0.5, -1], [0.2, -7]]), 0.5, 0.5, -1.0, 1.0),
                     table([[1, -1], [0.35, 0.75]]), points=1, by_hand=True),
        # The actor's actions are 0.2, 0.5, 2, 0.2, the noise 0.2, −0.5, 0.4, 0: ã = 0.4, 0, 1, 0.2.
        # The critics: 4.4 and 5.2; 1 and 5; 14 and 1; 2.4 and 5.4. Half of the smaller, and the rewards 1, 0, 2, 1.
        _target_case(_QUIET, (*_STATES, _OPEN, _actor, _critics, _XI, 0.5), table([3.2, 0.5, 2.5, 2.2]), points=1,
                     by_hand=True),
        # The second and the last are over: the rewards alone.
        _target_case(_OVER, (*_STATES, _ENDED, _actor, _critics, _XI, 0.5), table([3.2, 0, 2.5, 1]), points=1,
                     by_hand=True),
    ),
    properties=(
        Case(_STILL, lambda f: _no_noise(f, _FIXED), table([[0.5, 1], [-1, -0.25]]),
             "With σ = 0 the action stays as it is, but for the box.", points=1),
    ),
    seeded=_random_cases,
)
