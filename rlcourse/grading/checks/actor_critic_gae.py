"""Exercise 04, q3: generalised advantage estimation."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ...core.seeding import generator
from ...equations import actor_critic, returns
from ..cases import Case, Question
from .actor_critic_td_target import random_problem
from .tables import table


def gae(reward: Tensor, value: Tensor, next_value: Tensor, terminated: Tensor, truncated: Tensor, discount: float,
        gae_lambda: float) -> Tensor:
    """Âₜ = δₜ + γλ Âₜ₊₁, cut at ends, [T, N]: the library's answer."""
    return returns.gae(reward, value, next_value, terminated, truncated, discount=discount, gae_lambda=gae_lambda)


def _shifted(row: Tensor, last: Tensor) -> Tensor:
    return torch.cat([row[1:], last[None]])


def _recursion(delta: Callable = lambda r, v, nv, over, cut, g, la: r + g * torch.where(over, 0.0, nv) - v,
               decay: Callable = lambda g, la: g * la, keep: Callable = lambda over, cut: ~(over | cut),
               scale: Callable = lambda g, la: 1.0, forward: bool = False) -> Callable[..., Tensor]:
    """Âₜ = scale · δₜ + decay · keepₜ · Âₜ₊₁ with one rule replaced; forward: from Âₜ₋₁ in place of Âₜ₊₁."""
    def slip(reward, value, next_value, terminated, truncated, discount, gae_lambda):
        error = scale(discount, gae_lambda) * delta(reward, value, next_value, terminated, truncated, discount,
                                                    gae_lambda)
        kept = decay(discount, gae_lambda) * keep(terminated, truncated)
        rows: list[Tensor] = []
        for t in range(len(reward)) if forward else reversed(range(len(reward))):
            before = kept[t - 1] if forward and t else kept[t]
            rows.append(error[t] + (before * rows[-1] if rows else 0.0))
        return torch.stack(rows if forward else rows[::-1])
    return slip


def _next_row(r, v, nv, over, cut, g, la):
    return r + g * torch.where(over, 0.0, _shifted(v, nv[-1])) - v


def _next_row_or_nothing(r, v, nv, over, cut, g, la):
    return r + g * torch.where(over, 0.0, _shifted(v, torch.zeros_like(v[-1]))) - v


def _cut_early(over, cut):
    ended = over | cut
    return ~_shifted(ended, torch.zeros_like(ended[-1]))


def _nowhere(over, cut):
    return torch.ones_like(over)


def _of_gae(change: Callable) -> Callable[..., Tensor]:
    """A slip that works on the right answer: change(answer, value)."""
    return lambda reward, value, *rest: change(gae(reward, value, *rest), value)


_LEAK = ("Advantages leak from one episode into the one before it: after either kind of end the recursion begins "
         "anew, Âₜ = δₜ.")
_BEHIND = "δ looks behind the end of the problem: where `terminated` is True it is r − V(s), without γ V(s')."
_LIMIT = ("δ treats the time limit as the end of the problem. Where only `truncated` is True the sum stops, but "
          "γ V(s') stays in δ: the problem would have gone on.")
_ROW = ("At an end you take V from the next row, which is the first state of *another* episode. `next_value[t]` "
        "is the value of the state that step t truly led to.")


def _without_value(r, v, nv, over, cut, g, la):
    return r + g * torch.where(over, 0.0, nv)


def _through(r, v, nv, over, cut, g, la):
    return r + g * nv - v


def _limit_is_end(r, v, nv, over, cut, g, la):
    return r + g * torch.where(over | cut, 0.0, nv) - v


_SLIPS: tuple[tuple[Callable, str], ...] = (
    (_recursion(keep=_nowhere), _LEAK),
    (_recursion(keep=lambda over, cut: ~over),
     "Advantages leak over time limits. After `truncated` the next row belongs to another episode too: keep γ "
     "V(s') in δ, and begin the recursion anew."),
    (_recursion(delta=_through), _BEHIND),
    (_recursion(delta=_through, keep=_nowhere), f"{_BEHIND} And nothing stops the recursion there."),
    (_recursion(delta=_limit_is_end), _LIMIT),
    (_recursion(delta=_limit_is_end, keep=_nowhere), f"{_LIMIT} And nothing stops the recursion there."),
    (_recursion(delta=_next_row), _ROW),
    (_recursion(delta=_next_row_or_nothing),
     "You take V(s') from the next row of `value`. At an end that is the first state of another episode, and "
     "after the last row there is none: `next_value[t]` is the value of the state that step t truly led to."),
    (_recursion(delta=_without_value),
     "−V(s) is missing in δ. The TD error compares: what came, r + γ V(s'), less what was expected, V(s)."),
    (_recursion(decay=lambda g, la: g),
     "λ is forgotten: each step further back multiplies by γλ, not by γ alone. (Yours is the answer for λ = 1.)"),
    (_recursion(decay=lambda g, la: la),
     "γ is forgotten in the recursion: each step further back multiplies by γλ: a later δ is discounted too."),
    (_recursion(decay=lambda g, la: 0.0),
     "Those are the TD errors, the estimate for λ = 0. Add what comes later: Âₜ = δₜ + γλ Âₜ₊₁."),
    (_recursion(decay=lambda g, la: 1.0, scale=lambda g, la: g * la),
     "γλ stands before the wrong term: it belongs before Âₜ₊₁, which lies in the future, not before δₜ."),
    (_recursion(delta=lambda r, v, nv, over, cut, g, la: r + g * la * torch.where(over, 0.0, nv) - v),
     "λ slipped into δ. The TD error knows γ alone, r + γ V(s') − V(s); λ appears only in the recursion."),
    (_recursion(decay=lambda g, la: g * (1 - la)),
     "1 − λ has slipped into the recursion. It is in the weights of the n-step estimates (q4); here each step "
     "back multiplies by γλ."),
    (_recursion(forward=True),
     "You sum forwards in time, so each action is credited with what came *before* it. Walk backwards: Âₜ needs "
     "Âₜ₊₁."),
    (_recursion(keep=_cut_early),
     "The recursion is cut one step too early: `ended[t]`, not `ended[t + 1]`, says whether Âₜ₊₁ belongs to "
     "another episode. The last δ of an episode still counts for the steps before it."),
    (_of_gae(lambda answer, value: answer + value),
     "V(s) has been added: that is the λ-return, the target for the critic. The advantage is without it."),
    (_of_gae(lambda answer, value: -answer),
     "The sign is turned: δ is what came less what was expected, positive if things went better than expected."),
    (_of_gae(lambda answer, value: answer.flip(0)),
     "The right numbers in reversed order: a loop backwards in time builds the list from its end."),
    (_of_gae(lambda answer, value: (answer - answer.mean()) / (answer.std() + 1e-8)),
     "You normalise. That is the learner's business; the critic needs the numbers as they are."),
)


def _case(title: str, problem: tuple, want: Tensor, **more) -> Case:
    return Case(title, lambda f: f.gae(*problem), want,
                "First all δₜ = rₜ + γ V(sₜ₊₁) − V(sₜ), without γ V(sₜ₊₁) where terminated. Then backwards "
                "Âₜ = δₜ + γλ Âₜ₊₁, without Âₜ₊₁ after either end.",
                mistakes=tuple((slip(*problem), hint) for slip, hint in _SLIPS), **more)


def _random_problem(steps: int, environments: int, random: torch.Generator, ends: float = 0.15) -> tuple:
    """A rollout as it comes: inside an episode the next row's value *is* the value of the successor."""
    reward, next_value, terminated, truncated, discount = random_problem(steps, environments, random, ends)
    value = 3 * torch.randn(steps, environments, generator=random, dtype=torch.float64)
    next_value = torch.where(terminated | truncated, next_value, _shifted(value, next_value[-1]))
    gae_lambda = 0.3 + 0.6 * torch.rand((), generator=random).item()
    return reward, value, next_value, terminated, truncated, discount, gae_lambda


def _plus_value(f: object, problem: tuple) -> Tensor:
    """Âₜ + V(sₜ) at λ = 1."""
    answer = f.gae(*problem[:-1], 1.0)
    return torch.as_tensor(answer).to(torch.float64) + problem[1]


def _surprises(f: object, problem: tuple) -> list:
    """The advantages for several λ where every reward is as the critic says."""
    _, value, next_value, terminated, truncated, discount, _ = problem
    reward = value - discount * torch.where(terminated, 0.0, next_value)
    return [f.gae(reward, value, next_value, terminated, truncated, discount, each)
            for each in (0.0, 0.5, 0.9, 1.0)]


def _random_cases(seed: int) -> Iterator[Case]:
    random = generator(seed, "04_actor_critic q3")
    problem = _random_problem(6, 2, random, ends=0.0)
    for gae_lambda in (problem[-1], 0.0):
        yield _case("random", (*problem[:-1], gae_lambda), gae(*problem[:-1], gae_lambda), confirms=_GOES_ON)
    for title, order in ((_OVER, (0, 1, 2)), (_CUT, (1, 2, 0))):
        problem = _random_problem(12, 3, random)
        for place, flags in zip(order, ((True, False), (False, True), (True, True))):
            problem[3][3 * place + 2, 0], problem[4][3 * place + 2, 0] = flags
        yield _case("random", problem, gae(*problem), confirms=title)


_GOES_ON, _OVER, _CUT = "three steps of an episode", "the problem is over", "the time limit, alone and together"
_LONG = _random_problem(60, 4, generator(0, "04_actor_critic q3 long"), ends=0.06)

QUESTION = Question(
    "q3", "Generalised advantages", "A6", {"gae": gae},
    difficulty=3, importance=5, minutes=20,
    values=(
        # δ = 1 + 4/2 − 2, 2 + 8/2 − 4, 4 + 16/2 − 8 = 1, 2, 4; γλ = 0.4: 4; 2 + 1.6 = 3.6; 1 + 1.44.
        _case(_GOES_ON, (table([[1], [2], [4]]), table([[2], [4], [8]]), table([[4], [8], [16]]),
                         *torch.zeros(2, 3, 1).bool(), 0.5, 0.8),
              table([[2.44], [3.6], [4]]), points=1, by_hand=True),
        # δ = 1 + 4/2 − 2, then without a value 2 − 4; 4 + 10/2 − 6, 8 + 20/2 − 10 = 1, −2; 3, 8.
        # 1 − 0.8, −2; 3 + 3.2, 8.
        _case(_OVER, (table([[1], [2], [4], [8]]), table([[2], [4], [6], [10]]), table([[4], [100], [10], [20]]),
                      torch.tensor([[False], [True], [False], [False]]), torch.zeros(4, 1).bool(), 0.5, 0.8),
              table([[0.2], [-2], [6.2], [8]]), points=1, by_hand=True),
        # Left, the time limit with the second step: δ = 1 + 4/2 − 2, 2 + 10/2 − 4; 3 + 6/2 − 5 = 1, 3; 1.
        # Right, both at once with the first: 5 − 1; 1 + 6/2 − 2, 3 + 8/2 − 6 = 4; 2, 1.
        _case(_CUT, (table([[1, 5], [2, 1], [3, 3]]), table([[2, 1], [4, 2], [5, 6]]),
                     table([[4, 50], [10, 6], [6, 8]]),
                     torch.tensor([[False, True], [False, False], [False, False]]),
                     torch.tensor([[False, True], [True, False], [False, False]]), 0.5, 0.8),
              table([[2.2, 4], [3, 2.4], [1, 1]]), points=1, by_hand=True),
    ),
    properties=(
        Case("sixty steps, λ = 1, a critic that knows nothing: Â + V is what was earned",
             lambda f: _plus_value(f, _LONG),
             actor_critic.monte_carlo_target(_LONG[0], *_LONG[2:5], discount=_LONG[5]),
             "At λ = 1 the values between telescope: Âₜ + V(sₜ) is the discounted sum of the rewards, with γᵐ V "
             "at a time limit or where the rollout stops.", points=2),
        Case("no surprise, no advantage", lambda f: _surprises(f, _LONG), [torch.zeros_like(_LONG[0])] * 4,
             "Here rₜ + γ V(sₜ₊₁) = V(sₜ) at every step. All δ are 0, and so is every Â, for any λ.", points=1),
    ),
    seeded=_random_cases,
)
