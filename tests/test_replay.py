"""Replay: every field stays beside its own, runs and ends do not mix, draws are uniform, the ring is a ring."""

import pytest
import torch

from rlcourse.core.batch import Batch
from rlcourse.core.seeding import generator
from rlcourse.data.replay import Replay
from rlcourse.data.rollout import rollout
from rlcourse.data.sources import DynamicsSource
from rlcourse.envs.cartpole import CartPole

RUNS, ENVIRONMENTS = 3, 2


def labelled(first, steps, runs=RUNS, environments=ENVIRONMENTS):
    """A rollout [T, R, N] in which every entry says where it comes from: 10000·run + 1000·environment + time."""
    time = torch.arange(first, first + steps, dtype=torch.float64)[:, None, None]
    label = 10_000.0 * torch.arange(runs)[:, None] + 1000.0 * torch.arange(environments) + time
    return Batch(obs=torch.stack([label, -label], -1), action=label.long() * 7, reward=label + 0.25,
                 next_obs=torch.stack([label + 0.5, -label - 0.5], -1), terminated=label % 3 == 0,
                 truncated=label % 5 == 0, behaviour_log_prob=-label)


def labels_of(sample):
    """The labels [.., R, B], after checking that every field of every transition belongs to the same one."""
    label = sample.obs[..., 0]
    assert torch.equal(sample.obs[..., 1], -label)
    assert torch.equal(sample.action, label.long() * 7)
    assert torch.equal(sample.reward, label + 0.25)
    assert torch.equal(sample.next_obs, torch.stack([label + 0.5, -label - 0.5], -1))
    assert torch.equal(sample.terminated, label % 3 == 0)
    assert torch.equal(sample.truncated, label % 5 == 0)
    assert torch.equal(sample.behaviour_log_prob, -label)
    return label


def filled(rows, capacity=8):
    """A replay after `rows` steps, added in rollouts of 3 (the last one shorter)."""
    replay = Replay(capacity, RUNS, ENVIRONMENTS)
    for first in range(0, rows, 3):
        replay.add(labelled(first, min(3, rows - first)))
    return replay


@pytest.mark.parametrize("rows", [1, 3, 7, 8, 9, 17, 24])
def test_all_fields_of_a_sample_belong_together_and_to_their_run(rows):
    replay = filled(rows)
    assert len(replay) == min(rows, 8) * ENVIRONMENTS
    found = torch.cat([labels_of(replay.sample(len(replay), generator(k, "draws"))) for k in range(30)], 1)
    wanted = {1000 * env + time for env in range(ENVIRONMENTS) for time in range(max(0, rows - 8), rows)}
    for run in range(RUNS):  # every stored transition of this run is found, and nothing else
        # 30·2·min(rows, 8) draws miss a given one of 2·min(rows, 8) with probability < e^-30
        assert {int(label) - 10_000 * run for label in found[run]} == wanted


def test_a_rollout_longer_than_the_ring_leaves_its_last_rows():
    replay = Replay(4, RUNS, ENVIRONMENTS)
    replay.add(labelled(0, 2))
    replay.add(labelled(2, 9))
    assert replay.stored == 4
    times = {int(label) % 1000 for k in range(20) for label in labels_of(replay.sample(8, generator(k, "d")))[0]}
    assert times == {7, 8, 9, 10}
    replay.add(labelled(11, 1))
    times = {int(label) % 1000 for k in range(20) for label in labels_of(replay.sample(8, generator(k, "d")))[0]}
    assert times == {8, 9, 10, 11}


def test_draws_are_uniform_and_those_of_two_runs_independent():
    # χ² with 15 degrees of freedom exceeds 44.3 with probability 1e-4; with 63, 115.1. Three plus one test, seed 0.
    replay = filled(17)
    random = generator(0, "uniform draws")
    pick = torch.cat([labels_of(replay.sample(16, random)) for _ in range(2000)], 1)
    cell = ((pick % 10_000) // 1000 * 8 + pick % 1000 - 9).long()
    assert int(cell.min()) == 0 and int(cell.max()) == 15
    for run in range(RUNS):
        count = torch.bincount(cell[run], minlength=16).double()
        assert float(((count - 2000) ** 2 / 2000).sum()) < 44.3
    pair = (cell[0] // 2) * 8 + cell[1] // 2  # which eighth run 0 drew, and which run 1 drew at its side
    count = torch.bincount(pair, minlength=64).double()
    assert float(((count - 500) ** 2 / 500).sum()) < 115.1


@pytest.mark.parametrize("rows", [3, 8, 9, 13])
def test_windows_are_successive_rows_and_never_cross_the_newest(rows):
    replay = filled(rows)
    window = labels_of(replay.sample_windows(3, 2, generator(0, "w")))
    assert window.shape == (3, RUNS, 2)
    starts = set()
    for k in range(40):
        window = labels_of(replay.sample_windows(3, 2, generator(k, "w")))
        assert torch.equal(window[1], window[0] + 1) and torch.equal(window[2], window[0] + 2)
        starts |= {int(label) % 1000 for label in window[0].flatten()}
    # 240 draws miss a given one of at most 6 starts with probability < 1e-19
    assert starts == set(range(max(0, rows - 8), rows - 2))


def test_at_an_end_the_true_next_observation_comes_back():
    env = CartPole()
    source = DynamicsSource(env, RUNS, 4, random=generator(0, "s"), time_limit=15)
    replay = Replay(60, RUNS, 4)
    replay.add(rollout(source, lambda state: (state[..., 2] > 0).long(), 60))
    batch = replay.sample(240, generator(0, "d"))
    assert bool(batch.terminated.any() | batch.truncated.any())
    again, _, _, terminated = env.step(batch.obs, batch.action)
    assert torch.equal(again, batch.next_obs) and torch.equal(terminated, batch.terminated)


def test_what_was_stored_or_sampled_is_a_copy():
    replay, rollouts = Replay(4, RUNS, ENVIRONMENTS), labelled(0, 4)
    replay.add(rollouts)
    rollouts.obs.zero_()
    first = replay.sample(8, generator(0, "d"))
    first.reward.zero_()
    labels_of(replay.sample(8, generator(0, "d")))


@pytest.mark.parametrize("call, words", [
    (lambda: Replay(0, 1, 1), "capacity: expected a whole number of at least 1, got 0"),
    (lambda: Replay(4, 0, 1), "runs: expected a whole number of at least 1, got 0"),
    (lambda: filled(2).add(labelled(0, 1, runs=2)), r"batch: expected shape \[T, 3, 2\], got \[1, 2, 2\]"),
    (lambda: filled(2).add(labelled(0, 1).map(lambda v: v * float("nan") if v.is_floating_point() else v)),
     "batch: expected finite rewards, got NaN or infinity"),
    (lambda: filled(2).add(Batch(**(vars(labelled(0, 1)) | {"behaviour_log_prob": None}))),
     r"batch: expected the fields \['action', 'behaviour_log_prob'"),
    (lambda: filled(2).add(Batch(**(vars(labelled(0, 1)) | {"action": torch.zeros(1, RUNS, ENVIRONMENTS)}))),
     r"batch.action: expected entries of shape \[\] and torch.int64, got \[\] and torch.float32"),
    (lambda: filled(2).add(Batch(**(vars(labelled(0, 1)) | {"obs": torch.zeros(1, RUNS, ENVIRONMENTS, 3)}))),
     r"batch.obs: expected entries of shape \[2\]"),
    (lambda: filled(2).sample(5, generator(0, "d")), "batch_size: expected at most the 4 transitions stored for each run, got 5"),
    (lambda: filled(2).sample(0, generator(0, "d")), "batch_size: expected a whole number of at least 1"),
    (lambda: filled(2).sample_windows(3, 1, generator(0, "d")), "steps: expected at most the 2 rows"),
    (lambda: Replay(2, 1, 1).sample(1, generator(0, "d")), "batch_size: expected at most the 0 transitions"),
])
def test_bad_input_is_one_line(call, words):
    with pytest.raises(ValueError, match=words):
        call()
