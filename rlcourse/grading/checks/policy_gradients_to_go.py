"""Exercise 03, q1: the rewards that an action can still change."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ...core.seeding import generator
from ...equations import returns
from ..cases import Case, Question
from .tables import table


def reward_to_go(reward: Tensor, ended: Tensor, discount: float) -> Tensor:
    """Rₜ = Σ_{t' ≥ t} γ^{t'−t} r_{t'} up to the end of the episode, [T, N]: the library's answer."""
    return returns.reward_to_go(reward, ended, torch.zeros_like(ended), discount=discount)


def _power(discount: float, exponent: Tensor) -> Tensor:
    return table(discount) ** exponent.clamp(min=0)


def _summed(factor: Callable, across_ends: bool = False) -> Callable[..., Tensor]:
    """A slip that adds up `factor(t, k, first, γ)` r_k over all steps k of the episode that began at `first`."""
    def slip(reward, ended, discount):
        steps = torch.arange(len(reward))
        episode = ended.long().cumsum(0) - ended.long()
        same = (episode[:, None] == episode[None]) | across_ends
        first = same.long().argmax(0)
        factors = factor(steps[:, None, None], steps[None, :, None], first[None], discount)
        return (factors * same * reward).sum(1)
    return slip


def _cut_early(reward, ended, discount):
    later, rows = torch.zeros_like(reward[0]), []
    for t in reversed(range(len(reward))):
        keep = ~ended[t + 1] if t + 1 < len(reward) else torch.ones_like(ended[t])
        later = reward[t] + discount * keep * later
        rows.append(later)
    return torch.stack(rows[::-1])


def _loses_the_end(reward, ended, discount):
    later, rows = torch.zeros_like(reward[0]), []
    for t in reversed(range(len(reward))):
        later = (reward[t] + discount * later) * ~ended[t]
        rows.append(later)
    return torch.stack(rows[::-1])


def _writes_over_its_input(reward, ended, discount):
    sums = reward.clone()
    for t in reversed(range(len(reward))):
        total, factor = torch.zeros_like(reward[0]), torch.ones_like(reward[0])
        for k in range(t, len(reward)):
            total, factor = total + factor * sums[k], factor * discount * ~ended[k]
        sums[t] = total
    return sums


def _backwards(reward, ended, discount):
    return reward_to_go(reward, ended, discount).flip(0)


def _wrong_axis(reward, ended, discount):
    return reward_to_go(reward.T, ended.T, discount).T


def _past(t, k, first, discount):
    return (k <= t) * _power(discount, t - k)


def _past_cumsum(t, k, first, discount):
    return (k <= t) * _power(discount, k - first)


def _total(t, k, first, discount):
    return _power(discount, k - first).expand(len(t), *k.shape[1:2], -1)


def _from_the_start(t, k, first, discount):
    return (k >= t) * _power(discount, k - first)


def _without_its_own(t, k, first, discount):
    return (k > t) * _power(discount, k - t)


def _next_step_first(t, k, first, discount):
    return (k > t) * _power(discount, k - t - 1)


def _one_power_more(t, k, first, discount):
    return (k >= t) * _power(discount, k - t + 1)


def _undiscounted(t, k, first, discount):
    return (k >= t) * table(1.0)


_PAST = ("You add up the past, r₀ … rₜ. An action cannot change what came before it: the sum begins at t and runs "
         "to the end of the episode.")
_OWN = "The action's own reward rₜ is missing: the sum begins at t' = t, with the factor γ⁰ = 1."

_RULES: tuple[tuple[Callable, str], ...] = (
    (_total,
     "Every step gets the return of its whole episode. That credits an action with rewards paid before it was "
     "taken: leave those out."),
    (_past, _PAST),
    (_past_cumsum, _PAST),
    (_from_the_start,
     "The exponent counts from the start of the episode. γ^{t'−t} counts from the action: its own reward has the "
     "factor 1, at every t."),
    (_without_its_own, _OWN),
    (_next_step_first, _OWN),
    (_one_power_more,
     "There is one γ too many: the action's own reward is not discounted, rₜ + γ rₜ₊₁ + γ² rₜ₊₂ + …"),
    (_undiscounted, "The discount is ignored: a reward k steps later counts γᵏ."),
)
_ACROSS = "ends of episodes are ignored: the row after an end belongs to another episode, and nothing flows back."

_SLIPS: tuple[tuple[Callable, str], ...] = (
    *((_summed(rule), hint) for rule, hint in _RULES),
    (_summed(lambda t, k, first, discount: (k >= t) * _power(discount, k - t), across_ends=True),
     f"The {_ACROSS}"),
    *((_summed(rule, across_ends=True), f"{hint} And the {_ACROSS}") for rule, hint in _RULES),
    (_cut_early,
     "The sum stops one step too soon: `ended[t]` says that step t was the last, so its reward still belongs to "
     "the episode, and nothing after it does. Keep Rₜ₊₁ where `ended[t]` is False."),
    (_loses_the_end,
     "The last reward of each episode is lost. The end cuts off what *follows*: rₜ stays, γ Rₜ₊₁ goes."),
    (_writes_over_its_input,
     "You write sums into the tensor from which you still read rewards, so they are counted again and again: read "
     "from `reward`, write into a new tensor."),
    (_backwards, "The right numbers in reversed order: a loop backwards in time builds the list from its end."),
    (_wrong_axis,
     "You add up along axis 1, across episodes that have nothing to do with each other. Axis 0 is time."),
)


def _case(title: str, problem: tuple[Tensor, Tensor, float], want: Tensor, **more) -> Case:
    return Case(title, lambda f: f.reward_to_go(*problem), want,
                "Backwards in time: Rₜ = rₜ + γ Rₜ₊₁, and Rₜ = rₜ where the episode ends with step t.",
                mistakes=tuple((slip(*problem), hint) for slip, hint in _SLIPS), **more)


def _random_problem(steps: int, episodes: int, random: torch.Generator) -> tuple[Tensor, Tensor, float]:
    """Rewards, ends at random (the last row need not be one), and a discount."""
    reward = torch.randn(steps, episodes, generator=random, dtype=torch.float64)
    ended = torch.rand(steps, episodes, generator=random) < 0.25
    discount = 0.5 + 0.4 * torch.rand((), generator=random, dtype=torch.float64).item()
    return reward, ended, discount


def _steps_apart(f: object, problem: tuple[Tensor, Tensor, float]) -> Tensor:
    """Rₜ − γ Rₜ₊₁ (inside an episode), which must be rₜ."""
    answer = torch.as_tensor(f.reward_to_go(*problem)).to(torch.float64)
    return answer[:-1] - problem[2] * ~problem[1][:-1] * answer[1:]


def _random_cases(seed: int) -> Iterator[Case]:
    random = generator(seed, "03_policy_gradients q1")
    for steps in (1, 5):
        reward, ended, discount = _random_problem(steps, 1, random)
        ended = torch.arange(steps)[:, None] == steps - 1
        yield _case("random", (reward, ended, discount), reward_to_go(reward, ended, discount),
                    confirms="one episode of three steps")
    for steps, episodes, title in ((9, 1, "one episode after the other"), (7, 4, "two side by side"),
                                   (20, 3, "two side by side")):
        problem = _random_problem(steps, episodes, random)
        problem[1][2] = True
        yield _case("random", problem, reward_to_go(*problem), confirms=title)


_LONG = _random_problem(60, 5, generator(0, "03_policy_gradients q1 long"))

QUESTION = Question(
    "q1", "What an action can still change", "P3", {"reward_to_go": reward_to_go},
    difficulty=1, importance=5, minutes=10,
    values=(
        # From the end: 4; 2 + 4/2 = 4; 1 + 4/2 = 3.
        _case("one episode of three steps",
              (table([[1], [2], [4]]), torch.tensor([[False], [False], [True]]), 0.5),
              table([[3], [4], [4]]), points=1, by_hand=True),
        # Episodes (4, 2) and (8, 6): 4 + 2/2 = 5 and 2; 8 + 6/2 = 11 and 6.
        _case("one episode after the other",
              (table([[4], [2], [8], [6]]), torch.tensor([[False], [True], [False], [True]]), 0.5),
              table([[5], [2], [11], [6]]), points=1, by_hand=True),
        # First column: an episode of one step, 1; then one that is cut off while it runs, 2 + 0.3 + 0.04, 3 + 0.4
        # and 4. Second column: 5 + 0 − 0.01, 0 − 0.1, −1; then 2.
        _case("two side by side",
              (table([[1, 5], [2, 0], [3, -1], [4, 2]]),
               torch.tensor([[True, False], [False, False], [False, True], [False, False]]), 0.1),
              table([[1, 4.99], [2.34, -0.1], [3.4, -1], [4, 2]]), points=1, by_hand=True),
    ),
    properties=(
        Case("sixty steps: Rₜ − γ Rₜ₊₁ is the reward", lambda f: _steps_apart(f, _LONG), _LONG[0][:-1],
             "Inside an episode two neighbours differ by one reward: Rₜ = rₜ + γ Rₜ₊₁.", points=1),
    ),
    seeded=_random_cases,
)
