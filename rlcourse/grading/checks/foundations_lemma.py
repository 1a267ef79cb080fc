"""Exercise 01, q6: the right-hand side of the performance-difference lemma."""

from collections.abc import Iterator

import torch
from torch import Tensor

from ...core.seeding import generator
from ...envs.tabular import TabularMDP
from ...exact import lemmas
from ...exact.evaluation import policy_evaluation, q_from_value
from ...exact.stationary import discounted_occupancy
from ..cases import Case, Question
from .tables import random_distributions, table


def expected_advantage(transition_probs: Tensor, reward_table: Tensor, initial: Tensor, new_policy: Tensor,
                       old_policy: Tensor, discount: float) -> float:
    """J(π') − J(π), the left side of the lemma: the library's answer shares nothing with the right side."""
    mdp = TabularMDP(transition_probs, reward_table, initial)
    return lemmas.performance_gap(mdp, new_policy, old_policy, discount)


def _slip(where: str = "new", judged: str = "advantage", paid_back: bool = True):
    def wrong(P, r, initial, new, old, discount):
        mdp = TabularMDP(P, r, initial)
        value = policy_evaluation(mdp, old, discount)
        q_values = q_from_value(mdp, value, discount)
        judgement = q_values - value[:, None] if judged == "advantage" else q_values
        total = discounted_occupancy(mdp, new if where == "new" else old, discount) @ (new * judgement).sum(-1)
        return total / (1 - discount) if paid_back else total
    return wrong


_SLIPS = (
    (_slip(where="old"),
     "You look where the *old* policy goes. The old policy judges (A of π), the new one decides where: "
     "use the occupancy of π'."),
    (_slip(paid_back=False),
     "A factor 1/(1 − γ) is missing: the occupancy is a distribution, the lemma has a sum over time."),
    (_slip(judged="q"),
     "You sum Q where the lemma has the advantage A = Q − V."),
    (lambda P, r, initial, new, old, discount: torch.zeros((), dtype=r.dtype),
     "This is zero whatever the policies are: a policy's advantages, weighted by that same policy, cancel. "
     "Old advantages, *new* action probabilities."),
)


def _case(title: str, problem: tuple, want: float, **more) -> Case:
    return Case(title, lambda f: f.expected_advantage(*problem), want,
                "V and Q of the old policy, the occupancy of the new one; then Σ_s d(s) Σₐ π'(a|s) A(s, a), "
                "over 1 − γ.",
                mistakes=tuple((slip(*problem), hint) for slip, hint in _SLIPS), **more)


def _problem(states: int, actions: int, random: torch.Generator) -> tuple:
    return (random_distributions((states, actions, states), random),
            torch.randn(states, actions, generator=random, dtype=torch.float64),
            random_distributions((states,), random), random_distributions((states, actions), random),
            random_distributions((states, actions), random))


def _random_cases(seed: int) -> Iterator[Case]:
    random = generator(seed, "01_foundations q6")
    for states, title in ((1, "one state"), (2, "stay or go"), (5, "three states")):
        problem = (*_problem(states, 2, random), 0.5 + 0.4 * torch.rand((), generator=random).item())
        yield _case("random", problem, expected_advantage(*problem), confirms=title)


_ONE = (table([[[1], [1]]]), table([[0, 1]]), table([1]), table([[0, 1]]), table([[0.5, 0.5]]), 0.5)
# Two rooms: stay or go. The other room pays 1 a step and is never left.
_GO = (table([[[1, 0], [0, 1]], [[0, 1], [0, 1]]]), table([[0, 0], [1, 1]]), table([1, 0]),
       table([[0, 1], [0, 1]]), table([[1, 0], [1, 0]]), 0.5)
_THREE = (*_problem(3, 2, generator(0, "01_foundations q6 fixed")), 0.8)
_SAME = (*_THREE[:3], _THREE[3], _THREE[3], 0.8)

QUESTION = Question(
    "q6", "What a change of policy is worth", "F7", {"expected_advantage": expected_advantage},
    difficulty=3, importance=4, minutes=25,
    values=(
        # The old policy earns ½ a step, V = 1; Q = (½, 3/2), A = (−½, ½). The new one takes ½ a step: ½/½.
        _case("one state", _ONE, 1.0, points=1, by_hand=True),
        # Old values: 0 here, 2 there. Going: A = 0 + ½·2 − 0 = 1, taken at t = 0 only; afterwards A = 0.
        _case("stay or go", _GO, 1.0, points=2, by_hand=True),
        _case("three states", _THREE, expected_advantage(*_THREE), points=1),
    ),
    properties=(
        Case("the same policy twice gains nothing", lambda f: f.expected_advantage(*_SAME), 0.0,
             "Against itself a policy has no advantage: Σₐ π(a|s) A(s, a) = 0 in every state.", points=1),
    ),
    seeded=_random_cases,
)
