"""Prioritised replay: drawn as often as it says, weights that undo it exactly, runs that do not feel each other."""

import pytest
import torch

from rlcourse.core.batch import Batch
from rlcourse.core.seeding import generator
from rlcourse.data.prioritised import LEAST, PrioritisedReplay
from rlcourse.data.replay import Replay

RUNS, ENVIRONMENTS, CAPACITY = 2, 2, 4
PLACES = CAPACITY * ENVIRONMENTS


def labelled(first, steps):
    """A rollout [T, R, N] whose observations are 10000·run + 1000·environment + time."""
    time = torch.arange(first, first + steps, dtype=torch.float64)[:, None, None]
    label = 10_000.0 * torch.arange(RUNS)[:, None] + 1000.0 * torch.arange(ENVIRONMENTS) + time
    no = torch.zeros(label.shape, dtype=torch.bool)
    return Batch(obs=label, action=label.long(), reward=label, next_obs=label + 0.5, terminated=no, truncated=no)


def filled(exponent, rows=6):
    """After `rows` rows, with the errors 1, 2, … 8 at the places of run 0 and 8, 7, … 1 at those of run 1."""
    replay = PrioritisedReplay(CAPACITY, RUNS, ENVIRONMENTS, exponent=exponent)
    replay.add(labelled(0, rows))
    error = torch.arange(1.0, PLACES + 1, dtype=torch.float64)
    replay.update(torch.arange(PLACES).expand(RUNS, PLACES), torch.stack([error, -error.flip(0)]))
    return replay


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0])
def test_probabilities_are_powers_of_the_errors(exponent):
    probs = filled(exponent).probs()
    error = torch.arange(1.0, PLACES + 1, dtype=torch.float64)
    for run, errors in enumerate((error, error.flip(0))):
        total = sum((float(e) + LEAST) ** exponent for e in errors)
        assert probs[run].tolist() == pytest.approx([(float(e) + LEAST) ** exponent / total for e in errors], rel=1e-12)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_drawn_as_often_as_the_probabilities_say(steps):
    # Ring of 4 after 6 rows: rows hold the times 4, 5, 2, 3; the newest is row 1. Windows of 2 cannot start there, of 3
    # not in row 0 either. χ² with 7, 5, 3 degrees of freedom exceeds 29.9, 25.7, 21.1 with probability 1e-4. Seed 0.
    replay, draws = filled(1.0), 16_000
    sample = replay.sample_windows(steps, draws, generator(0, "draws"), correction=1.0)
    row, environment = sample.place // ENVIRONMENTS, sample.place % ENVIRONMENTS
    time = torch.tensor([4, 5, 2, 3])[row]
    run = torch.arange(RUNS)[:, None]
    for later in range(steps):  # the place says where the window begins, and the window goes on in its environment
        assert torch.equal(sample.window.obs[later], (10_000 * run + 1000 * environment + time + later).double())
    closed = {1: [], 2: [1], 3: [0, 1]}[steps]
    wanted = torch.arange(1.0, PLACES + 1, dtype=torch.float64)
    for r, mass in enumerate((wanted, wanted.flip(0))):
        mass = mass.clone().unflatten(0, (CAPACITY, ENVIRONMENTS))
        mass[closed] = 0.0
        expected = (mass / mass.sum()).flatten() * draws
        count = torch.bincount(sample.place[r], minlength=PLACES).double()
        assert bool((count[expected == 0] == 0).all())
        some = expected > 0
        assert float(((count - expected)[some] ** 2 / expected[some]).sum()) < {1: 29.9, 2: 25.7, 3: 21.1}[steps]


def weight_of_each_place(replay, steps, correction):
    """The weight of every place, found by drawing until each has come: [R, places], NaN where none can start."""
    weight = torch.full((RUNS, PLACES), torch.nan, dtype=torch.float64)
    for k in range(60):
        sample = replay.sample_windows(steps, 50, generator(k, "weights"), correction=correction)
        weight.scatter_(1, sample.place, sample.weight)
    return weight


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("exponent", [0.3, 1.0])
def test_the_full_weights_make_the_weighted_mean_unbiased(steps, exponent):
    # Σᵢ P(i) wᵢ xᵢ = c · (mean of x over all starts), for every x: so P(i) wᵢ is the same for all starts; max w = 1.
    replay = filled(exponent)
    weight, probs = weight_of_each_place(replay, steps, 1.0), replay.probs(steps)
    starts = ~weight.isnan()
    assert torch.equal(starts, probs > 0) and int(starts.sum()) == RUNS * ENVIRONMENTS * (CAPACITY - steps + 1)
    for run in range(RUNS):
        product = (probs * weight)[run][starts[run]]
        assert product.tolist() == pytest.approx([float(product[0])] * len(product), rel=1e-12)
        assert float(weight[run][starts[run]].max()) == 1.0


def test_the_correction_is_an_exponent():
    replay = filled(1.0)
    half, whole = weight_of_each_place(replay, 1, 0.5), weight_of_each_place(replay, 1, 1.0)
    assert half.square().flatten().tolist() == pytest.approx(whole.flatten().tolist(), rel=1e-12)
    assert bool((weight_of_each_place(replay, 1, 0.0) == 1).all())
    assert whole[0].tolist() == pytest.approx([(1 + LEAST) / (k + LEAST) for k in range(1, 9)])


def test_new_transitions_get_the_largest_priority_of_their_own_run():
    replay = PrioritisedReplay(CAPACITY, RUNS, ENVIRONMENTS, exponent=1.0)
    replay.add(labelled(0, 3))
    assert replay.probs()[0].tolist() == pytest.approx([1 / 6] * 6 + [0] * 2) and len(replay) == 6
    replay.update(torch.tensor([[0], [1]]), torch.tensor([[3.0], [-7.0]]))
    replay.update(torch.tensor([[0], [1]]), torch.tensor([[0.5], [2.0]]))  # the largest was met, not stored
    replay.add(labelled(3, 2))  # row 3, then row 0, whose old priorities are gone
    for run, largest in enumerate((3.0, 7.0)):
        mass = torch.tensor([largest, largest, 1, 1, 1, 1, largest, largest])
        assert replay.probs()[run].tolist() == pytest.approx((mass / mass.sum()).tolist(), rel=1e-5)
    replay.add(labelled(5, 9))  # longer than the ring
    assert replay.probs().flatten().tolist() == pytest.approx([1 / 8] * 16)


def test_runs_do_not_feel_each_other():
    one, other = filled(0.6), filled(0.6)
    other.update(torch.tensor([[3, 3], [0, 2]]), torch.tensor([[4.0, 4.0], [50.0, 3.0]]))
    one.update(torch.tensor([[3, 3], [0, 2]]), torch.tensor([[4.0, 4.0], [7.0, 5.0]]))
    for replay in (one, other):
        replay.add(labelled(6, 1))
    a, b = (replay.sample_windows(2, 40, generator(0, "runs"), correction=0.5) for replay in (one, other))
    assert torch.equal(a.place[0], b.place[0]) and torch.equal(a.weight[0], b.weight[0])
    assert not torch.equal(a.place[1], b.place[1])
    assert not torch.equal(a.place[0], a.place[1])  # and each has a draw of its own


def test_exponent_zero_is_uniform_and_needs_no_weights():
    replay = filled(0.0)
    assert replay.probs().flatten().tolist() == pytest.approx([1 / PLACES] * (RUNS * PLACES))
    assert bool((weight_of_each_place(replay, 1, 1.0) == 1).all())
    place = replay.sample_windows(1, 40, generator(0, "uniform"), correction=1.0).place
    assert not torch.equal(place[0], place[1])  # the same probabilities, but each run has draws of its own


def test_a_draw_at_the_very_end_of_the_sum_finds_a_transition(monkeypatch):
    # Only the first place has a mass; a uniform of 1 − 2⁻⁵³ times the total rounds to the total.
    from rlcourse.data import prioritised
    replay = PrioritisedReplay(CAPACITY, RUNS, ENVIRONMENTS, exponent=1.0)
    replay.add(labelled(0, 1))
    monkeypatch.setattr(prioritised, "uniforms", lambda shape, random: torch.ones(shape, dtype=torch.float64))
    assert replay.sample_windows(1, 3, generator(0, "end"), correction=1.0).place.tolist() == [[1] * 3] * RUNS


def test_the_stored_fields_are_those_of_a_replay():
    replay, plain = filled(1.0), Replay(CAPACITY, RUNS, ENVIRONMENTS)
    plain.add(labelled(0, 6))
    sample = replay.sample_windows(2, 5, generator(0, "fields"), correction=1.0)
    again = plain.windows_at(sample.place, 2)
    assert torch.equal(sample.window.next_obs, again.next_obs) and torch.equal(sample.window.action, again.action)


@pytest.mark.parametrize("call, words", [
    (lambda: PrioritisedReplay(4, 1, 1, exponent=-1.0), "exponent: expected a number in"),
    (lambda: filled(1.0).sample_windows(5, 1, generator(0, "d"), correction=1.0), "steps: expected at most the 4 rows"),
    (lambda: filled(1.0).sample_windows(0, 1, generator(0, "d"), correction=1.0), "steps: expected a whole number"),
    (lambda: filled(1.0).sample_windows(1, 0, generator(0, "d"), correction=1.0), "batch_size: expected a whole"),
    (lambda: filled(1.0).sample_windows(1, 1, generator(0, "d"), correction=2.0), "correction: expected a number in"),
    (lambda: filled(1.0).update(torch.tensor([[0], [0]]), torch.ones(2)),
     r"td_error: expected shape \[2, 1\], got \[2\]"),
    (lambda: filled(1.0).update(torch.tensor([[0], [0]]), torch.tensor([[1.0], [torch.nan]])),
     "td_error: expected finite numbers, got NaN or infinity"),
    (lambda: PrioritisedReplay(2, 1, 1).sample_windows(1, 1, generator(0, "d"), correction=1.0),
     "steps: expected at most the 0 rows that are stored, got 1"),
])
def test_bad_input_is_one_line(call, words):
    with pytest.raises(ValueError, match=words):
        call()
