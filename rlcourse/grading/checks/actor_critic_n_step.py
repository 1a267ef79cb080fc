"""Exercise 04, q2: several rewards before the critic is asked."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ...core.seeding import generator
from ...equations import actor_critic
from ..cases import Case, Question
from .actor_critic_td_target import random_problem
from .tables import table


def n_step_targets(reward: Tensor, next_value: Tensor, terminated: Tensor, truncated: Tensor, discount: float,
                   steps: int) -> Tensor:
    """yⁿₜ = Σ_{l<m} γˡ rₜ₊ₗ + γᵐ V(sₜ₊ₘ), m = min(n, steps left), [T, N]: the library's answer."""
    return actor_critic.n_step_target(reward, next_value, terminated, truncated, discount=discount, steps=steps)


def _step_by_step(rewards: Callable = lambda n: n, exponent: Callable = lambda m, n: m,
                  index: Callable = lambda t, m, n: t + m - 1, stops: Callable = lambda over, cut: over or cut,
                  empty: Callable = lambda over, cut, short: over, factor: Callable = lambda g, step: g**step
                  ) -> Callable[..., Tensor]:
    """The targets in plain numbers; every argument replaces one rule of the definition.

    rewards: how many of them for n steps; m: how many there were. exponent: of γ before the value.
    index: the row of that value. stops: whether a step is the last; empty: whether no value follows it, told
    also whether the rollout stopped `short` of n steps without an end. factor: of the reward l steps later.
    """
    def slip(reward, next_value, terminated, truncated, discount, steps):
        answer, last_row = torch.zeros_like(reward), len(reward) - 1
        for n in range(reward.shape[1]):
            for t in range(len(reward)):
                total, m, over, cut = 0.0, 0, False, False
                while m < rewards(steps) and t + m <= last_row and not (m and stops(over, cut)):
                    total += factor(discount, m) * reward[t + m, n].item()
                    over, cut = terminated[t + m, n].item(), truncated[t + m, n].item()
                    m += 1
                short = m < steps and not (over or cut)
                if not empty(over, cut, short):
                    at = min(max(index(t, m, steps), 0), last_row)
                    total += discount ** exponent(m, steps) * next_value[at, n].item()
                answer[t, n] = total
        return answer
    return slip


def _always_n_steps_later(reward, next_value, terminated, truncated, discount, steps):
    """Rewards stop at an end; the value of the state `steps` later is added whatever lies between."""
    return _step_by_step(index=lambda t, m, n: t + n - 1, exponent=lambda m, n: n,
                         empty=lambda over, cut, short: False)(
        reward, next_value, terminated, truncated, discount, steps)


def _later_rows_empty(reward, next_value, terminated, truncated, discount, steps):
    answer = n_step_targets(reward, next_value, terminated, truncated, discount, steps)
    return torch.where(torch.arange(len(reward))[:, None] + steps <= len(reward), answer, 0.0)


_LEAK = ("Rewards leak out of other episodes: an end of either kind stops the sum, and the row after it belongs "
         "to a new episode.")
_FOREIGN = ("The value comes from another episode. If the episode ends before n steps are over, the value is that "
            "of the last step that still belongs to it, `next_value` in the row of the end (or none).")

_SLIPS: tuple[tuple[Callable, str], ...] = (
    (_step_by_step(rewards=lambda n: n + 1, index=lambda t, m, n: t + min(m, n) - 1,
                   exponent=lambda m, n: min(m, n)),
     "One reward too many: n steps have the rewards rₜ … rₜ₊ₙ₋₁. The next one, rₜ₊ₙ, is already part of V(sₜ₊ₙ) "
     "and would be counted twice."),
    (_step_by_step(rewards=lambda n: n + 1),
     "You take n + 1 steps: n rewards, rₜ … rₜ₊ₙ₋₁, and then the value."),
    (_step_by_step(rewards=lambda n: max(n - 1, 1)),
     "You take n − 1 steps: n rewards, rₜ … rₜ₊ₙ₋₁, and then the value."),
    (_step_by_step(exponent=lambda m, n: m - 1),
     "The value has one γ too few. V(sₜ₊ₘ) is the value of the state m steps later, so it counts γᵐ: one power "
     "more than the last reward."),
    (_step_by_step(exponent=lambda m, n: m + 1),
     "The value has one γ too many: after m rewards, the last of them with γᵐ⁻¹, it counts γᵐ."),
    (_step_by_step(exponent=lambda m, n: 1),
     "The value counts only γ. It is the value of a state m steps later: γᵐ."),
    (_step_by_step(exponent=lambda m, n: n),
     "The exponent of γ is n even where fewer steps are left. It counts the steps that were taken: γᵐ after m "
     "rewards."),
    (_step_by_step(stops=lambda over, cut: False), _LEAK),
    (_step_by_step(stops=lambda over, cut: False, empty=lambda over, cut, short: False), _LEAK),
    (_step_by_step(stops=lambda over, cut: over),
     "Rewards leak over time limits. After `truncated` the next row belongs to a new episode, just as after "
     "`terminated`; only the value that follows is a matter of which it was."),
    (_always_n_steps_later, _FOREIGN),
    (_step_by_step(index=lambda t, m, n: t + n - 1), _FOREIGN),
    (_step_by_step(empty=lambda over, cut, short: False),
     "You ask the critic about a state behind the end of the problem. After `terminated` no value follows."),
    (_step_by_step(empty=lambda over, cut, short: over or cut),
     "You treat the time limit as the end of the problem: where only `truncated` is True, γᵐ V(s') of that step "
     "belongs into the target."),
    (_step_by_step(empty=lambda over, cut, short: over or short),
     "Where the rollout stops before n steps are over, the value is missing. Nothing ended there: take the "
     "rewards that are left, and γᵐ times the value of the last row's successor."),
    (_step_by_step(empty=lambda over, cut, short: over or cut or short),
     "Wherever there are fewer than n steps you leave the value out. Only after `terminated` no value follows; at "
     "a time limit, and where the rollout stops, γᵐ V(s') of the last step is due."),
    (_later_rows_empty,
     "The last rows are empty. Where fewer than n steps are left, use those: their rewards, and γᵐ V(s') of the "
     "last row."),
    (_step_by_step(index=lambda t, m, n: t + m),
     "You take the value one step too late: `next_value[k]` is already the value *after* step k, so after the "
     "rewards rₜ … rₖ it is row k, not k + 1."),
    (_step_by_step(index=lambda t, m, n: t + m - 2),
     "You take the value one step too early: after the rewards rₜ … rₖ comes `next_value[k]`."),
    (_step_by_step(factor=lambda g, step: 1.0),
     "The rewards are not discounted: one that comes l steps later counts γˡ."),
    (_step_by_step(rewards=lambda n: 10**6),
     "`steps` is ignored: you sum to the end. After n rewards the critic takes over."),
    (_step_by_step(rewards=lambda n: 1),
     "That is the target of q1, with one reward. Take up to `steps` of them before you ask the critic."),
    (_step_by_step(empty=lambda over, cut, short: True),
     "Those are the rewards alone. What comes after the last of them is missing: γᵐ V(s')."),
)


def _case(title: str, problem: tuple, want: Tensor, **more) -> Case:
    return Case(title, lambda f: f.n_step_targets(*problem), want,
                "From t, add γˡ rₜ₊ₗ for up to n steps, and stop after a step that ends. Say the last one was k, "
                "and m rewards were added: then γᵐ next_value[k], unless k terminated.",
                mistakes=tuple((slip(*problem), hint) for slip, hint in _SLIPS), **more)


def _of_a_perfect_critic(f: object, problem: tuple) -> list:
    """The targets for 1, 2, 3, 5 and 30 steps."""
    return [f.n_step_targets(*problem, steps) for steps in (1, 2, 3, 5, 30)]


def _perfect(seed: str) -> tuple[tuple, Tensor]:
    """A rollout in which the value of each state is just what follows it, and these values [T, N]."""
    reward, next_value, terminated, truncated, discount = random_problem(20, 3, generator(0, seed), ends=0.1)
    value = 3 * reward  # any numbers will do: the rewards are made to fit
    ended = terminated | truncated
    next_value = torch.where(ended, next_value, torch.cat([value[1:], next_value[-1:]]))
    reward = value - discount * torch.where(terminated, 0.0, next_value)
    return (reward, next_value, terminated, truncated, discount), value


def _random_cases(seed: int) -> Iterator[Case]:
    random = generator(seed, "04_actor_critic q2")
    for steps in (1, 3):
        problem = (*random_problem(7, 2, random, ends=0.0), steps)
        yield _case("random", problem, n_step_targets(*problem), confirms=_TWO)
    for steps, title in ((2, _ENDS), (4, _ENDS), (30, _LEFT)):
        problem = random_problem(12, 3, random, ends=0.12)
        for row, flags in enumerate(((True, False), (False, True), (True, True))):
            problem[2][3 * row + 2, 0], problem[3][3 * row + 2, 0] = flags
        yield _case("random", (*problem, steps), n_step_targets(*problem, steps), confirms=title)


_TWO, _ENDS, _LEFT = "two steps at a time", "three steps, and ends on the way", "more steps than there are"
_PROBLEM, _VALUE = _perfect("04_actor_critic q2 perfect")

QUESTION = Question(
    "q2", "Several rewards before you ask", "A6", {"n_step_targets": n_step_targets},
    difficulty=3, importance=4, minutes=20,
    values=(
        # 1 + 2/2 + 20/4, 2 + 4/2 + 30/4, 4 + 8/2 + 40/4; then one step is left: 8 + 40/2.
        _case(_TWO, (table([[1], [2], [4], [8]]), table([[10], [20], [30], [40]]), *torch.zeros(2, 4, 1).bool(),
                     0.5, 2),
              table([[7], [11.5], [18], [28]]), points=1, by_hand=True),
        # Left, over with the second step: 1 + 2/2; 2. Then 4 + 8/2 + 16/4 + 50/8; 8 + 16/2 + 2/4 + 60/8;
        # 16 + 2/2 + 60/4; 2 + 60/2. Right, the time limit with the third: 2 + 0 − 4/4 + 16/8; 0 − 4/2 + 16/4;
        # −4 + 16/2. Then 6 + 1/2 + 4/4 − 8/8; 1 + 4/2 − 8/4; 4 − 8/2.
        _case(_ENDS, (table([[1, 2], [2, 0], [4, -4], [8, 6], [16, 1], [2, 4]]),
                      table([[10, 12], [20, 4], [30, 16], [40, 8], [50, 32], [60, -8]]),
                      torch.stack([torch.arange(6) == 1, torch.arange(6) < 0], 1),
                      torch.stack([torch.arange(6) < 0, torch.arange(6) == 2], 1), 0.5, 3),
              table([[2, 3], [2, 2], [18.25, 4], [24, 6.5], [32, 1], [32, 0]]), points=2, by_hand=True),
        # Left: 1 + 2/2 + 4/4 + 30/8; 2 + 4/2 + 30/4; 4 + 30/2. Right, the time limit, 4 + 8/2; both ends at once,
        # 2; then 6 + 2/2.
        _case(_LEFT, (table([[1, 4], [2, 2], [4, 6]]), table([[10, 8], [20, 100], [30, 2]]),
                      torch.tensor([[False, False], [False, True], [False, False]]),
                      torch.tensor([[False, True], [False, True], [False, False]]), 0.5, 10),
              table([[6.75, 8], [11.5, 2], [19, 7]]), points=1, by_hand=True),
    ),
    properties=(
        Case("if the critic is right everywhere, every n gives its value",
             lambda f: _of_a_perfect_critic(f, _PROBLEM), [_VALUE] * 5,
             "Here V(sₜ) = rₜ + γ V(sₜ₊₁) holds exactly: one step more changes nothing, yⁿₜ = V(sₜ).", points=1),
    ),
    seeded=_random_cases,
)
