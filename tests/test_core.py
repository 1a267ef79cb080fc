"""Checks, spaces, seeds, batches and the runs axis."""

import pytest
import torch

from rlcourse.core.batch import Batch
from rlcourse.core.check import require_count, require_probabilities, require_shape, require_unit_interval
from rlcourse.core.runs import rollout_by_run, samples_by_run, socket
from rlcourse.core.seeding import generator, uniforms
from rlcourse.core.spaces import Box, Discrete


def test_errors_name_the_argument_what_was_expected_and_what_came():
    with pytest.raises(ValueError, match=r"table: expected shape \[S, A, S\], got \[2, 3, 4\]"):
        require_shape("table", torch.zeros(2, 3, 4), ("S", "A", "S"))
    with pytest.raises(ValueError, match=r"policy: expected probabilities that sum to 1.*a sum of 0.9 in row 1"):
        require_probabilities("policy", torch.tensor([[0.5, 0.5], [0.4, 0.5]]))
    with pytest.raises(ValueError, match="policy: expected finite numbers"):
        require_probabilities("policy", torch.tensor([float("nan"), 1.0]))
    with pytest.raises(ValueError, match="policy: expected probabilities of at least 0"):
        require_probabilities("policy", torch.tensor([1.5, -0.5]))
    with pytest.raises(ValueError, match=r"discount: expected a number in \[0, 1\), got 1.0"):
        require_unit_interval("discount", 1.0, closed=False)
    with pytest.raises(ValueError, match="horizon: expected a whole number of at least 1, got -3"):
        require_count("horizon", -3)
    with pytest.raises(ValueError, match="x: expected a torch.Tensor, got list"):
        require_shape("x", [1.0], (1,))


@pytest.mark.parametrize("shape, fits", [((3, 4), True), ((2, 3, 4), True), ((4,), False), ((4, 3), False)])
def test_leading_axes_are_free_after_dots(shape, fits):
    if fits:
        require_shape("x", torch.zeros(shape), ("...", 3, 4))
    else:
        with pytest.raises(ValueError):
            require_shape("x", torch.zeros(shape), ("...", 3, 4))


def test_spaces_know_their_members():
    assert Discrete(3).contains(torch.tensor([0, 2])) and not Discrete(3).contains(torch.tensor([3]))
    assert not Discrete(3).contains(torch.tensor([1.0]))
    box = Box(-1.0, 1.0, 2)
    assert box.contains(torch.zeros(5, 2)) and not box.contains(torch.full((2,), 1.5))
    assert not box.contains(torch.zeros(5, 3))
    with pytest.raises(ValueError, match="low"):
        Box(1.0, 1.0, 2)


def test_one_name_one_stream():
    same = [torch.rand(4, generator=generator(3, "a")) for _ in range(2)]
    assert torch.equal(*same)
    assert not torch.equal(same[0], torch.rand(4, generator=generator(3, "b")))
    assert not torch.equal(same[0], torch.rand(4, generator=generator(4, "a")))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_uniforms_stay_strictly_inside(dtype, monkeypatch):
    # A generator that returns the ends: torch.rand does return 0, and its largest float32 is 1 − 2⁻²⁴.
    monkeypatch.setattr(torch, "rand", lambda shape, **kwargs: torch.tensor([0.0, 1.0], dtype=dtype))
    draw = uniforms((2,), generator(0, "u"), dtype)
    assert 0 < draw[0] and draw[1] < 1 and bool(torch.isfinite(torch.special.ndtri(draw)).all())


def test_runs_axis_there_and_back():
    rollout = torch.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)  # [T, R, N, …]
    rows = samples_by_run(rollout)
    assert rows.shape == (3, 8, 5)
    assert torch.equal(rows[1, 4 + 2], rollout[1, 1, 2])  # run 1, t = 1, environment 2
    assert torch.equal(rollout_by_run(rows, 2), rollout)


def test_socket_calls_a_students_function_once_per_run():
    def library(reward, discount):
        return (reward * discount).cumsum(0)

    calls = []

    def student(reward, discount):
        calls.append(tuple(reward.shape))
        return (reward * discount).cumsum(0)

    reward = torch.arange(24.0).reshape(2, 3, 4)
    assert socket("returns", library, library, 1) is library
    result = socket("returns", student, library, 1)(reward, 0.5)
    assert calls == [(2, 4)] * 3 and torch.equal(result, library(reward, 0.5))


@pytest.mark.parametrize("wrong, message", [
    (lambda reward: reward[0], r"returns: expected a result of shape \[2, 4\], got \[4\]"),
    (lambda reward: reward * float("nan"), "returns: expected finite results"),
    (lambda reward: 3.0, "returns: expected a torch.Tensor back, got float")])
def test_socket_names_the_slip(wrong, message):
    with pytest.raises(ValueError, match=message):
        socket("returns", wrong, lambda reward: reward, 1)(torch.zeros(2, 3, 4))


def test_batch_keeps_the_ends_apart_and_checks_shapes():
    flags = torch.zeros(2, 3, 4, dtype=torch.bool)
    parts = dict(obs=torch.zeros(2, 3, 4, 5), action=torch.zeros(2, 3, 4), reward=torch.zeros(2, 3, 4),
                 next_obs=torch.zeros(2, 3, 4, 5), terminated=flags, truncated=~flags)
    batch = Batch(**parts)
    assert batch.map(lambda x: x[0]).obs.shape == (3, 4, 5) and bool(batch.map(lambda x: x[0]).truncated.all())
    with pytest.raises(ValueError, match="terminated: expected dtype bool"):
        Batch(**{**parts, "terminated": flags.float()})
    with pytest.raises(ValueError, match=r"truncated: expected the shape of reward, \[2, 3, 4\], got \[2, 3\]"):
        Batch(**{**parts, "truncated": flags[..., 0]})
