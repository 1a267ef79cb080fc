"""The annotations of the library are checked in tests: a silent check would be worse than none."""

import pytest
import torch
from jaxtyping import Float, TypeCheckError, jaxtyped
from torch import Tensor
from typechecker import check

from rlcourse.core.seeding import uniforms


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


def test_where_an_error_is_expected_it_is_the_librarys_own():
    with pytest.raises(AttributeError):
        uniforms((2,), "no generator")
