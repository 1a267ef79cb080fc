"""Exercise 03, q5: the causal weights of an off-policy policy gradient."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ...core.seeding import generator
from ...envs import two_rooms
from ...equations import importance
from ...exact.policy_gradient import every_batch, gradient_by_autograd
from ..cases import Case, Question
from .tables import table


def off_policy_weights(reward: Tensor, ratio: Tensor) -> Tensor:
    """(Π_{t' ≤ t} ρ_{t'}) Σ_{t' ≥ t} r_{t'} Π_{t''=t+1}^{t'} ρ_{t''} [T, N]: the library's answer."""
    return _library(importance.causal_weight)(reward, ratio)


def _library(weight: Callable) -> Callable[[Tensor, Tensor], Tensor]:
    """A weight of the library for episodes that all last T steps."""
    def by_ratio(reward, ratio):
        nowhere = torch.zeros_like(reward, dtype=torch.bool)
        return weight(reward, ratio, nowhere, nowhere)
    return by_ratio


def _to_go(reward: Tensor) -> Tensor:
    return reward.flip(0).cumsum(0).flip(0)


def _inverted(reward, ratio):
    return off_policy_weights(reward, 1 / ratio)


def _counted_twice(reward, ratio):
    return ratio * off_policy_weights(reward, ratio)


def _own_left_out(reward, ratio):
    return off_policy_weights(reward, ratio) / ratio


def _whole_to_go(reward, ratio):
    return ratio.prod(0) * _to_go(reward)


def _past_rewards(reward, ratio):
    return (ratio.cumprod(0) * reward).sum(0).expand_as(reward)


def _past_rewards_of_the_past(reward, ratio):
    return ratio.cumprod(0) * reward.cumsum(0)


def _own_reward_only(reward, ratio):
    return ratio.cumprod(0) * reward


def _later_rewards_only(reward, ratio):
    return off_policy_weights(reward, ratio) - _own_reward_only(reward, ratio)


def _future_only(reward, ratio):
    return ratio.flip(0).cumprod(0).flip(0) * _to_go(reward)


def _wrong_axis(reward, ratio):
    return _to_go(ratio.cumprod(1) * reward)


def _episodes_added(reward, ratio):
    return (ratio.cumprod(0) * reward).flip(1).cumsum(1).flip(1)


def _no_ratios(reward, ratio):
    return _to_go(reward)


_SLIPS: tuple[tuple[Callable, str], ...] = (
    (_inverted,
     "The ratio is inverted: `ratio` is π/π_β already. Multiply by it, do not divide."),
    (_counted_twice,
     "ρ_t is counted twice: it stands in the product of the past, so the inner product starts at t + 1."),
    (_own_left_out,
     "ρ_t, the ratio of the action itself, is missing: the product of the past runs up to and including t."),
    (_library(importance.past_only_weight),
     "The ratios of the future are dropped. The rewards after t are then those that the *behaviour* policy earns: "
     "a step of policy iteration, and a biased gradient."),
    (_library(importance.single_ratio_weight),
     "Only ρ_t is left of all the ratios. That is the first-order approximation, good while the policies are "
     "close; here the exact form is asked for."),
    (_library(importance.trajectory_weight),
     "The whole product times the whole return: unbiased, and the noisiest way to be. An action answers for no "
     "earlier reward, and no reward depends on a later ratio."),
    (_whole_to_go,
     "Every reward is weighted by the whole product. Unbiased, but a ratio after t' has nothing to do with r_{t'} "
     "and only adds noise: stop each product at the reward's own step."),
    (_past_rewards,
     "Rewards before t are in the sum. An action answers for the rewards from its own step on."),
    (_past_rewards_of_the_past,
     "You add up the rewards until t, not from t on. Turn the sum round."),
    (_own_reward_only,
     "Only the reward of the step itself is there. An action answers for all rewards from its own step on."),
    (_later_rewards_only,
     "The action's own reward r_t is missing: the sum begins at t' = t, where the inner product is empty, so 1."),
    (_future_only,
     "Your product runs over the future of t. To get to s_t and do a_t there, the ratios *until* t are needed."),
    (_wrong_axis,
     "Your product runs over the episodes. Time is axis 0: `cumprod(0)`."),
    (_episodes_added,
     "Your sum runs over the episodes. Time is axis 0, and episodes never mix."),
    (_no_ratios,
     "The ratios are not used: these are the weights of data from the policy itself."),
)


def _case(title: str, problem: tuple[Tensor, Tensor], want: Tensor, **more) -> Case:
    return Case(title, lambda f: f.off_policy_weights(*problem), want,
                "Write the case T = 2 on paper: Ψ_0 = ρ_0 (r_0 + ρ_1 r_1) and Ψ_1 = ρ_0 ρ_1 r_1.",
                mistakes=tuple((slip(*problem), hint) for slip, hint in _SLIPS), **more)


def _random_problem(steps: int, episodes: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
    draw = torch.randn(2, steps, episodes, generator=random, dtype=torch.float64)
    return draw[0], (0.5 * draw[1]).exp()


def _expected(f: object, behaviour: Tensor) -> Tensor:
    """E_β[Σ_t ∇log π(a_t|s_t) Ψ_t] over every episode that there is, with the student's weights."""
    batch = every_batch(two_rooms.two_rooms(), two_rooms.policy_logits(), two_rooms.HORIZON,
                        behaviour_logits=behaviour)
    ratio = (batch.log_prob - batch.behaviour_log_prob).exp()
    weight = torch.as_tensor(f.off_policy_weights(batch.reward[..., 0], ratio[..., 0]))
    return torch.einsum("r,trp,tr->p", batch.prob, batch.score[:, :, 0], weight.to(torch.float64))


def _expectation(title: str, behaviour: Tensor, **more) -> Case:
    exact = gradient_by_autograd(two_rooms.two_rooms(), two_rooms.policy_logits(), two_rooms.HORIZON)
    return Case(title, lambda f: _expected(f, behaviour), exact.flatten(),
                "Averaged over every episode of the behaviour policy, Σ_t ∇log π Ψ_t must be the gradient at π. "
                "Yours is another vector.", **more)


def _random_cases(seed: int) -> Iterator[Case]:
    random = generator(seed, "03_policy_gradients q5")
    for steps, episodes, title in ((1, 3, "one step"), (2, 1, "two steps"), (3, 2, "two episodes of three steps"),
                                   (9, 4, "two episodes of three steps")):
        problem = _random_problem(steps, episodes, random)
        yield _case("random", problem, off_policy_weights(*problem), confirms=title)
    yield _expectation("random", torch.randn(2, 2, generator=random, dtype=torch.float64),
                       confirms="right on average, over every episode there is")


QUESTION = Question(
    "q5", "Learning from another policy's episodes", "P6", {"off_policy_weights": off_policy_weights},
    difficulty=4, importance=4, minutes=20,
    values=(
        # 0.5 · 3 and 2 · (−1).
        _case("one step", (table([[3, -1]]), table([[0.5, 2]])), table([[1.5, -2]]), points=1, by_hand=True),
        # 2 · (1 + 0.25 · 6) = 5 and 2 · 0.25 · 6 = 3.
        _case("two steps", (table([[1], [6]]), table([[2], [0.25]])), table([[5], [3]]), points=1, by_hand=True),
        # First: products 3, 1.5, 6; 3·1 + 1.5·2 + 6·4 = 30, 1.5·2 + 6·4 = 27, 6·4 = 24.
        # Second: products 0.5, 2, 1; 0.5·2 + 2·0 + 1·(−3) = −2, −3, −3.
        _case("two episodes of three steps",
              (table([[1, 2], [2, 0], [4, -3]]), table([[3, 0.5], [0.5, 4], [4, 0.5]])),
              table([[30, -2], [27, -3], [24, -3]]), points=2, by_hand=True),
    ),
    properties=(
        _expectation("right on average, over every episode there is", two_rooms.behaviour_logits(), points=1),
    ),
    seeded=_random_cases,
)
