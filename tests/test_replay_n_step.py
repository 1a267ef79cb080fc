"""n-step samples from a replay: cut at the first end, whichever it is, and never across the newest row or a run."""

import itertools

import pytest
import torch

from rlcourse.core.batch import Batch
from rlcourse.core.seeding import generator
from rlcourse.data.n_step import from_window, n_step_sample
from rlcourse.data.replay import Replay
from rlcourse.equations.n_step import n_step_target

RUNS, ENVIRONMENTS, CAPACITY = 2, 2, 6
DISCOUNT = 0.5


def story(first, steps, ends):
    """A rollout [T, R, N] whose rows say where they come from: label 10000·run + 1000·environment + time.

    `ends` maps (run, environment, time) to "terminated", "truncated" or "both".
    """
    time = torch.arange(first, first + steps, dtype=torch.float64)[:, None, None]
    label = 10_000.0 * torch.arange(RUNS)[:, None] + 1000.0 * torch.arange(ENVIRONMENTS) + time
    flags = {kind: torch.zeros(label.shape, dtype=torch.bool) for kind in ("terminated", "truncated")}
    for (run, environment, when), kind in ends.items():
        if first <= when < first + steps:
            for name in flags:
                flags[name][when - first, run, environment] = kind in (name, "both")
    return Batch(obs=torch.stack([label, -label], -1), action=label.long() * 7, reward=label + 0.25,
                 next_obs=torch.stack([label + 0.5, -label - 0.5], -1), **flags)


def expected(label, n, ends):
    """By hand, one transition after the other: reward, label of the last row, whether it terminated, m."""
    run, environment, start = label // 10_000, label % 10_000 // 1000, label % 1000
    total = 0.0
    for m in range(1, n + 1):
        total += DISCOUNT ** (m - 1) * (label + m - 1 + 0.25)
        kind = ends.get((run, environment, start + m - 1))
        if kind is not None:
            break
    return total, label + m - 1, kind in ("terminated", "both"), m


def check(sample, n, ends):
    """Every sample of the batch against `expected`; the labels [R, B] of the first rows."""
    labels = sample.obs[..., 0].long()
    assert torch.equal(sample.obs[..., 1], -sample.obs[..., 0]) and torch.equal(sample.action, labels * 7)
    assert torch.equal(sample.next_obs[..., 1], -sample.next_obs[..., 0])
    for at in itertools.product(*map(range, labels.shape)):
        reward, last, terminated, m = expected(int(labels[at]), n, ends)
        assert float(sample.reward[at]) == pytest.approx(reward, rel=1e-13)
        assert float(sample.next_obs[at][0]) == last + 0.5
        assert bool(sample.terminated[at]) == terminated
        assert int(sample.steps[at]) == m and float(sample.discount[at]) == DISCOUNT ** m
        assert at[0] == int(labels[at]) // 10_000  # run r from run r
    return labels


KINDS = (None, "terminated", "truncated", "both")


@pytest.mark.parametrize("n", [1, 2, 3])
def test_every_placement_of_both_flags_in_a_window(n):
    # One window for each of the 4ⁿ placements, side by side as environments' windows [n, R, B].
    placements = list(itertools.product(KINDS, repeat=n))
    label = torch.arange(n, dtype=torch.float64)[:, None, None].expand(n, 1, len(placements))
    flags = {name: torch.tensor([[[kind in (name, "both") for kind in (placement[t] for placement in placements)]]
                                 for t in range(n)]) for name in ("terminated", "truncated")}
    sample = from_window(Batch(obs=label, action=label.long(), reward=label + 0.25, next_obs=label + 0.5, **flags),
                         discount=DISCOUNT)
    for index, placement in enumerate(placements):
        ends = {(0, 0, t): kind for t, kind in enumerate(placement) if kind is not None}
        reward, last, terminated, m = expected(0, n, ends)
        assert float(sample.reward[0, index]) == pytest.approx(reward, rel=1e-13)
        assert float(sample.next_obs[0, index]) == last + 0.5
        assert bool(sample.terminated[0, index]) == terminated
        assert int(sample.steps[0, index]) == m and float(sample.discount[0, index]) == DISCOUNT ** m


@pytest.mark.parametrize("n", [1, 2, 3, 6])
@pytest.mark.parametrize("rows", [6, 7, 8, 9, 10, 11, 12])
def test_every_position_of_the_write_head(n, rows):
    # Ends of all kinds, different in each run and environment; the newest row is at every place of the ring of 6.
    ends = {(run, environment, time): KINDS[1 + (run + environment + time) % 3]
            for run in range(RUNS) for environment in range(ENVIRONMENTS) for time in range(rows)
            if (3 * run + 2 * environment + time) % 4 == 0}
    replay = Replay(CAPACITY, RUNS, ENVIRONMENTS)
    for first in range(0, rows, 5):
        replay.add(story(first, min(5, rows - first), ends))
    labels = torch.cat([check(n_step_sample(replay, n, 8, generator(k, "n-step"), discount=DISCOUNT), n, ends)
                        for k in range(15)], 1)
    wanted = {1000 * environment + time for environment in range(ENVIRONMENTS)
              for time in range(rows - CAPACITY, rows - n + 1)}
    for run in range(RUNS):  # 120 draws miss a given one of at most 12 starts with probability 3e-5; seeds fixed
        assert {int(label) - 10_000 * run for label in labels[run]} == wanted


def test_starts_are_uniform_and_independent_between_runs():
    # χ² with 7 degrees of freedom exceeds 29.9 with probability 1e-4; with 15, 44.3. Three tests, seed 0.
    replay = Replay(CAPACITY, RUNS, ENVIRONMENTS)
    replay.add(story(0, 9, {}))
    random = generator(0, "uniform")
    label = torch.cat([n_step_sample(replay, 3, 8, random, discount=DISCOUNT).obs[..., 0].long()
                       for _ in range(2000)], 1)
    cell = label % 10_000 // 1000 * 4 + label % 1000 - 3
    assert int(cell.min()) == 0 and int(cell.max()) == 7
    for run in range(RUNS):
        count = torch.bincount(cell[run], minlength=8).double()
        assert float(((count - 2000) ** 2 / 2000).sum()) < 29.9
    count = torch.bincount((cell[0] // 2) * 4 + cell[1] // 2, minlength=16).double()
    assert float(((count - 1000) ** 2 / 1000).sum()) < 44.3


def test_one_step_is_the_transition_itself():
    replay = Replay(CAPACITY, RUNS, ENVIRONMENTS)
    replay.add(story(0, 9, {(0, 1, 4): "terminated", (1, 0, 5): "truncated"}))
    sample = n_step_sample(replay, 1, 12, generator(0, "one"), discount=0.9)
    plain = replay.sample(12, generator(0, "one"))
    for name in ("obs", "action", "reward", "next_obs", "terminated"):
        assert torch.equal(getattr(sample, name), getattr(plain, name))
    assert torch.equal(sample.steps, torch.ones_like(sample.steps)) and bool((sample.discount == 0.9).all())


@pytest.mark.parametrize("n", [1, 2, 4])
def test_the_target_of_a_sample_is_the_equation_s(n):
    # The equation takes all rows of the window and all values, also those behind an end; the sample one row, one value.
    ends = {(run, environment, time): KINDS[1 + (run + time) % 3] for run in range(RUNS)
            for environment in range(ENVIRONMENTS) for time in range(12) if (2 * run + environment + time) % 3 == 0}
    replay = Replay(CAPACITY, RUNS, ENVIRONMENTS)
    replay.add(story(0, 9, ends))
    window = replay.sample_windows(n, 12, generator(0, "agree"))
    sample = from_window(window, discount=DISCOUNT)

    def value(obs):
        return (obs[..., 0] / 7).sin()

    target = sample.reward + sample.discount * torch.where(sample.terminated, 0.0, value(sample.next_obs))
    assert torch.allclose(target, n_step_target(window.reward, value(window.next_obs), window.terminated,
                                                window.truncated, discount=DISCOUNT), rtol=1e-13)


def test_windows_can_be_asked_for_by_place():
    replay = Replay(CAPACITY, RUNS, ENVIRONMENTS)
    replay.add(story(0, 9, {}))  # rows 3 to 8 are left; time t stands in row t modulo 6
    place = torch.tensor([[2 * (7 % 6), 2 * (3 % 6) + 1], [2 * (5 % 6), 2 * (6 % 6)]])
    window = replay.windows_at(place, 2)
    assert window.obs[..., 0].long().tolist() == [[[7, 1003], [10_005, 10_006]], [[8, 1004], [10_006, 10_007]]]


def test_the_dtype_is_that_of_the_rewards():
    replay = Replay(CAPACITY, RUNS, ENVIRONMENTS)
    replay.add(story(0, 6, {}).map(lambda value: value.float() if value.is_floating_point() else value))
    sample = n_step_sample(replay, 2, 3, generator(0, "dtype"), discount=0.9)
    assert sample.reward.dtype == sample.discount.dtype == torch.float32


@pytest.mark.parametrize("call, words", [
    (lambda replay: n_step_sample(replay, 7, 1, generator(0, "d"), discount=0.9), "steps: expected at most the 6 rows"),
    (lambda replay: n_step_sample(replay, 0, 1, generator(0, "d"), discount=0.9), "steps: expected a whole number"),
    (lambda replay: n_step_sample(replay, 2, 1, generator(0, "d"), discount=1.1), "discount: expected a number in"),
    (lambda replay: from_window(replay.sample(1, generator(0, "d")).map(lambda value: value[0]), discount=0.9),
     r"window: expected rewards of shape \[n, R, B\], got \[1\]"),
    (lambda replay: replay.windows_at(torch.tensor([[4], [4]]), 2), "place: expected windows of 2 of the 6 stored"),
    (lambda replay: replay.windows_at(torch.tensor([[-1], [0]])), "place: expected windows of 1"),
    (lambda replay: replay.windows_at(torch.tensor([[12], [0]])), "place: expected windows of 1"),
    (lambda replay: replay.windows_at(torch.tensor([0, 0])), r"place: expected shape \[2, B\]"),
])
def test_bad_input_is_one_line(call, words):
    replay = Replay(CAPACITY, RUNS, ENVIRONMENTS)
    replay.add(story(0, 9, {}))  # the newest row is 2
    with pytest.raises(ValueError, match=words):
        call(replay)
