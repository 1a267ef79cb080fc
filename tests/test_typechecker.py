"""The annotations of the library are checked in tests: a silent check would be worse than none."""

import jaxtyping
import pytest
import torch
from jaxtyping import Float, TypeCheckError, jaxtyped
from torch import Tensor
from typechecker import check

from rlcourse.core.seeding import uniforms
from rlcourse.envs.tabular import TabularMDP
from rlcourse.equations.foundations import belief_correct
from rlcourse.equations.imitation import distribution_shift_bound
from rlcourse.exact.evaluation import q_from_value
from rlcourse.exact.propagation import total_variation


@jaxtyped(typechecker=check)
def discounted(reward: Float[Tensor, "T N"], value: Float[Tensor, " N"], discount: float) -> Float[Tensor, " N"]:
    """The return of N segments of T steps, wrong on purpose for a negative discount."""
    for step in reward.flip(0):
        value = step + discount * value
    return value if discount >= 0 else value.unsqueeze(-1)


def test_right_shapes_pass_and_a_whole_number_may_stand_for_a_float():
    assert discounted(torch.ones(3, 2), torch.zeros(2), 1).tolist() == [3.0, 3.0]


@pytest.mark.parametrize("reward, value, discount", [
    (torch.ones(3, 2), torch.zeros(2, 1), 0.9),  # would broadcast to [2, 2] without a word
    (torch.ones(3, 2), torch.zeros(3), 0.9),
    (torch.ones(3, 2, dtype=torch.int64), torch.zeros(2), 0.9),
    (torch.ones(3, 2), torch.zeros(2), "0.9"),
    (torch.ones(3, 2), torch.zeros(2), -0.9),  # the result has another shape than announced
])
def test_wrong_shapes_types_and_results_are_refused(reward, value, discount):
    with pytest.raises(TypeCheckError):
        discounted(reward, value, discount)


def test_the_library_is_checked():
    with pytest.raises(TypeCheckError):
        uniforms((2,), "no generator")


HALVES = torch.full((3, 2), 0.5, dtype=torch.float64)
TWO_BY_TWO = TabularMDP(torch.full((2, 2, 2), 0.5), torch.eye(2), torch.tensor([1.0, 0.0]))
A_COLUMN_TOO_MANY = [  # a shape [B, 1] where [B] belongs: what each would return, and the call
    ((3, 3, 2), lambda: belief_correct(HALVES, torch.zeros(3, 1, dtype=torch.int64), HALVES[:2])),
    ((3, 3), lambda: total_variation(HALVES, HALVES[:, None])),
    ((2, 2, 2), lambda: q_from_value(TWO_BY_TWO, torch.ones(2, 1), 0.9)),
]


@pytest.mark.parametrize("shape, call", A_COLUMN_TOO_MANY)
def test_an_equation_refuses_what_would_broadcast_without_a_word(shape, call):
    with pytest.raises(TypeCheckError):
        call()
    jaxtyping.config.update("jaxtyping_disable", True)  # as for users; the fixture switches it on again
    assert call().shape == shape


def test_arguments_that_may_broadcast_still_do():
    epsilon, time = torch.tensor([[0.1], [0.2]]), torch.arange(3)
    assert distribution_shift_bound(epsilon, time).shape == (2, 3)


def test_where_an_error_is_expected_it_is_the_librarys_own():
    with pytest.raises(AttributeError):
        uniforms((2,), "no generator")
