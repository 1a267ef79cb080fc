"""Exercise 04, q6: the target of soft actor-critic, with twins, entropy and an end."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ...core.seeding import generator
from ...equations import soft_actor_critic
from ..cases import Case, Question
from .tables import table

Problem = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, float, float]


def sac_target(reward: Tensor, terminated: Tensor, next_q1: Tensor, next_q2: Tensor, next_log_prob: Tensor,
               discount: float, temperature: float) -> Tensor:
    """r + γ (1 − terminated) (min(Q₁, Q₂) − α log π(a'|s')) [B], with Q₁, Q₂ [B, 1]: the library's answer."""
    return soft_actor_critic.sac_target(reward, torch.minimum(next_q1, next_q2)[:, 0], next_log_prob, terminated,
                                        discount=discount, temperature=temperature)


def _goes_on(terminated: Tensor) -> Tensor:
    return (~terminated).double()


def _always(terminated: Tensor) -> Tensor:
    return torch.ones_like(terminated).double()


def _bonus(log_prob: Tensor, temperature: float) -> Tensor:
    return -temperature * log_prob


def _no_bonus(log_prob: Tensor, temperature: float) -> Tensor:
    return torch.zeros_like(log_prob)


def _target(twins: Callable = torch.minimum, entropy: Callable = _bonus, mask: Callable = _goes_on,
            discounted: bool = True) -> Callable[..., Tensor]:
    """The target with other twins, another entropy term, another mask, or without its discount."""
    def slip(reward, terminated, next_q1, next_q2, next_log_prob, discount, temperature):
        value = twins(next_q1, next_q2).reshape(-1) + entropy(next_log_prob, temperature)
        return reward + (discount if discounted else 1) * mask(terminated) * value
    return slip


def _matrix(reward, terminated, next_q1, next_q2, next_log_prob, discount, temperature):
    value = torch.minimum(next_q1, next_q2) - temperature * next_log_prob
    return reward + discount * (~terminated) * value


def _matrix_on_its_side(reward, terminated, next_q1, next_q2, next_log_prob, discount, temperature):
    value = torch.minimum(next_q1, next_q2) - temperature * next_log_prob[:, None]
    return reward + discount * (~terminated) * value


def _column(*problem):
    return sac_target(*problem)[:, None]


def _entropy_outside(discounted: bool) -> Callable[..., Tensor]:
    def slip(reward, terminated, next_q1, next_q2, next_log_prob, discount, temperature):
        bonus = -temperature * next_log_prob * (discount if discounted else 1)
        return _target(entropy=_no_bonus)(reward, terminated, next_q1, next_q2, next_log_prob, discount,
                                            temperature) + bonus
    return slip


def _entropy_undiscounted(reward, terminated, next_q1, next_q2, next_log_prob, discount, temperature):
    return _target(entropy=_no_bonus)(reward, terminated, next_q1, next_q2, next_log_prob, discount,
                                        temperature) - temperature * next_log_prob * ~terminated


def _masked_reward(reward, terminated, *more):
    return sac_target(reward, terminated, *more) * ~terminated


def _mean(*problem):
    return sac_target(*problem).mean()


_THROUGH = ("You bootstrap through the end: behind a terminated step there is no state, so no value and no "
            "entropy. Multiply by `~terminated`.")
_OUTSIDE = ("The entropy stands outside the mask. It is that of a next action, and after a terminated step nobody "
            "acts any more: min(Q₁, Q₂) and −α log π share one bracket, and the factor γ (1 − terminated).")
_MATRIX = ("[B] with [B, 1] makes a matrix [B, B], in which every reward meets every next state; its loss would "
           "even go down. Bring the critics to [B] first: `next_q1.squeeze(-1)`.")
_SIGN = ("The sign of the entropy is turned. H = −E log π is a bonus, so log π is *subtracted*: unlikely actions, "
         "whose log π is low, make the target higher.")
_TWINS = "Why two critics? An actor looks for the errors that flatter it, and they are seldom the same in both: "

# The order matters where two slips give the same number.
_SLIPS: tuple[tuple[Callable, str], ...] = (
    (_matrix, _MATRIX),
    (_matrix_on_its_side, _MATRIX),
    (_column,
     "The numbers are right, in a column [B, 1]. The docstring asks for [B]: rewards have that shape, and a loss "
     "of [B] against [B, 1] would be a matrix."),
    (_target(mask=_always), _THROUGH),
    (_target(mask=lambda terminated: terminated.double()),
     "The mask is turned round: `terminated` is True where the problem is over, and there no value follows."),
    (_target(torch.maximum), "You take the larger of the twins. " + _TWINS + "take the smaller."),
    (_target(lambda q1, q2: (q1 + q2) / 2),
     "You take the mean of the twins. " + _TWINS + "the smaller of the two holds less of them than the mean."),
    (_target(lambda q1, q2: q1), "Only the first critic is used. " + _TWINS + "take the smaller of the two."),
    (_target(lambda q1, q2: q2), "Only the second critic is used. " + _TWINS + "take the smaller of the two."),
    (_target(lambda q1, q2: torch.minimum(q1, q2).min().expand_as(q1)),
     "You take the smallest number of the whole batch. The twins are compared sample by sample: `torch.minimum`."),
    (_target(entropy=lambda log_prob, temperature: temperature * log_prob), _SIGN),
    (_target(entropy=lambda log_prob, temperature: temperature * log_prob, mask=_always),
     _SIGN + " And the mask is missing."),
    (_entropy_outside(True), _OUTSIDE),
    (_entropy_outside(False), _OUTSIDE),
    (_entropy_undiscounted,
     "The entropy is not discounted. It is earned at s', one step later, like everything in the bracket: γ stands "
     "before all of it."),
    (_target(entropy=_no_bonus),
     "The entropy is missing: that is the target of TD3. The value of s' here is Q − α log π."),
    (_target(entropy=lambda log_prob, temperature: -log_prob),
     "The temperature α is missing: it says what a nat of entropy is worth, in units of reward."),
    (_target(entropy=lambda log_prob, temperature: -temperature ** 2 * log_prob),
     "The temperature is squared: α log π, once."),
    (_target(entropy=lambda log_prob, temperature: -temperature * log_prob.exp()),
     "You use the probability. The entropy is −E log π: `next_log_prob` is a logarithm already, use it as it is."),
    (_target(discounted=False), "The discount γ is missing before the value of s'."),
    (_masked_reward,
     "You mask the reward too. The last step was made and paid; only what would follow is cut off."),
    (_mean, "You take the mean. Every sample needs its own target, [B]."),
)


def _case(title: str, problem: Problem, want: Tensor, **more) -> Case:
    return Case(title, lambda f: f.sac_target(*problem), want,
                "For one sample: the smaller of the two Q, then minus α log π, then times γ unless the step "
                "terminated, then plus r.",
                mistakes=tuple((slip(*problem), hint) for slip, hint in _SLIPS), **more)


def _problem(reward: list, terminated: list, q1: list, q2: list, log_prob: list, discount: float,
             temperature: float) -> Problem:
    """The critics' values become [B, 1], as their networks give them."""
    return (table(reward), torch.tensor(terminated), table(q1)[:, None], table(q2)[:, None], table(log_prob),
            discount, temperature)


def _slopes(f: object, problem: Problem, step: float = 1e-3) -> list[Tensor]:
    """How the targets change with Q₁, with Q₂ and with log π of all samples, [B] each."""
    slopes = []
    for which in (2, 3, 4):
        ahead, behind = (
            torch.as_tensor(f.sac_target(*problem[:which], problem[which] + sign * step, *problem[which + 1:]),
                            dtype=torch.float64) for sign in (1, -1))
        slopes.append((ahead - behind) / (2 * step))
    return slopes


def _slope_case(title: str, problem: Problem, **more) -> Case:
    _, terminated, next_q1, next_q2, _, discount, temperature = problem
    factor = discount * (~terminated).double()
    first = (next_q1 < next_q2)[:, 0].double()
    return Case(title, lambda f: _slopes(f, problem),
                [factor * first, factor * (1 - first), -factor * temperature],
                "The target should move with the smaller of the two Q alone, by γ, and against log π, by γα; at "
                "an end it should not move at all.", rtol=1e-4, atol=1e-6, **more)


def _random_problem(samples: int, random: torch.Generator, ends: bool = True, entropy: bool = True) -> Problem:
    draw = torch.randn(4, samples, generator=random, dtype=torch.float64)
    numbers = torch.rand(samples + 2, generator=random, dtype=torch.float64)
    terminated = (numbers[2:] < 0.4) & torch.tensor(ends)
    gap = draw[2].sign() * (0.2 + draw[2].abs())  # the twins are never so close that a step changes their order
    return (draw[0], terminated, draw[1][:, None], (draw[1] + gap)[:, None], draw[3] - 1,
            0.5 + 0.45 * float(numbers[0]), (0.1 + 0.5 * float(numbers[1])) * entropy)


def _random_cases(seed: int) -> Iterator[Case]:
    random = generator(seed, "04_actor_critic q6")
    for samples, ends, entropy, title in ((1, False, False, "one step, no entropy"),
                                          (1, False, True, "the worth of chance"),
                                          (5, True, True, "two steps go on, one terminates"),
                                          (3, False, True, "four samples"), (8, True, True, "four samples")):
        problem = _random_problem(samples, random, ends, entropy)
        if title == "two steps go on, one terminates":
            problem[1][:2] = torch.tensor([True, False])
        yield _case("random", problem, sac_target(*problem), confirms=title)
    yield _slope_case("random", _random_problem(6, random), confirms="what moves the target")


_FOUR = _problem([0.5, -1, 2, 0], [False, True, False, False], [1, 7, -2, 3], [1.5, 6, -3, 2],
                 [-0.5, -2, 0.7, 1.2], 0.95, 0.2)

QUESTION = Question(
    "q6", "The target of soft actor-critic", "A8", {"sac_target": sac_target}, difficulty=3, importance=5,
    minutes=15,
    values=(
        # 1 + 0.5 · min(4, 6).
        _case("one step, no entropy", _problem([1], [False], [4], [6], [-3], 0.5, 0.0), table([3]), points=1,
              by_hand=True),
        # 0 + 0.5 · (min(3, 2) + 0.4 · 5) = 0.5 · 4.
        _case("the worth of chance", _problem([0], [False], [3], [2], [-5], 0.5, 0.4), table([2]), points=1,
              by_hand=True),
        # 1 + 0.8 · (10 − 0.25 · (−2)) = 9.4; the next one ended: its reward, 3, and nothing more;
        # −1 + 0.8 · (6 − 0.25 · (−1)) = 4.
        _case("two steps go on, one terminates",
              _problem([1, 3, -1], [False, True, False], [10, 20, 7], [12, 15, 6], [-2, -4, -1], 0.8, 0.25),
              table([9.4, 3, 4]), points=2, by_hand=True),
        _case("four samples", _FOUR, sac_target(*_FOUR), points=1),
    ),
    properties=(_slope_case("what moves the target", _FOUR, points=1),),
    seeded=_random_cases,
)
