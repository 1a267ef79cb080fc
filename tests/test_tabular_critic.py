"""Tables fitted to a record: by hand, against least squares, against patient repetition, and against the truth."""

import pytest
import torch

from rlcourse.core.seeding import generator
from rlcourse.envs.corridor import corridor, corridor_policy
from rlcourse.equations.tabular_critic import average_target, bootstrapped_table
from rlcourse.exact.evaluation import policy_evaluation

double = torch.float64
EXACT = dict(rtol=0, atol=1e-12)


def record(runs=3, length=40, states=4, name="record"):
    """Any numbers: state, reward, next state, terminated [R, n]; state 2 is never visited, but reached."""
    random = generator(0, name)
    visited = torch.tensor([0, 1, 3])[torch.randint(3, (runs, length), generator=random)]
    reached = torch.randint(states, (runs, length), generator=random)
    ended = torch.rand(runs, length, generator=random) < 0.2
    return visited, torch.randn(runs, length, generator=random, dtype=double), reached, ended


def test_both_tables_by_hand():
    # Cell 0 twice: paid 1 and moved to 1, paid 3 and stayed. Cell 1 once: paid 2 and ended. γ = ½.
    state, reward = torch.tensor([0, 1, 0]), torch.tensor([1.0, 2.0, 3.0], dtype=double)
    after, ended = torch.tensor([1, 0, 0]), torch.tensor([False, True, False])
    # V(1) = 2;  V(0) = (1 + 3)/2 + ½ (½ V(0) + ½ · 2) = 2.5 + ¼ V(0), so V(0) = 10/3; cell 2 was never seen.
    table = bootstrapped_table(state, reward, after, ended, discount=0.5, num_states=3)
    torch.testing.assert_close(table, torch.tensor([10 / 3, 2.0, 0.0], dtype=double), **EXACT)
    averages = average_target(state, reward, num_states=3)
    torch.testing.assert_close(averages, torch.tensor([2.0, 2.0, 0.0], dtype=double), **EXACT)


def test_the_average_is_the_least_squares_fit():
    state, target, *_ = record()
    fitted = average_target(state, target, num_states=4)
    for run, (s, y) in enumerate(zip(state, target)):
        columns = torch.stack([(s == cell).to(double) for cell in (0, 1, 3)], -1)
        best = torch.linalg.lstsq(columns, y).solution
        torch.testing.assert_close(fitted[run][[0, 1, 3]], best, **EXACT)
        assert fitted[run][2] == 0.0


def test_the_fixed_point_is_where_repetition_ends():
    state, reward, after, ended = record()
    table = bootstrapped_table(state, reward, after, ended, discount=0.9, num_states=4)
    for run in range(3):
        rows = list(zip(state[run].tolist(), reward[run].tolist(), after[run].tolist(), ended[run].tolist()))
        values = [0.0] * 4
        for _ in range(400):
            targets = [[r + 0.9 * values[n] * (not end) for s, r, n, end in rows if s == cell] for cell in range(4)]
            values = [sum(own) / len(own) if own else 0.0 for own in targets]
        torch.testing.assert_close(table[run], torch.tensor(values, dtype=double), **EXACT)


def test_a_record_in_the_true_proportions_gives_the_true_values():
    # π(a) p(s'|s, a) are multiples of 0.04, so 25 visits of a cell can have exactly these frequencies.
    walk, policy = corridor(), corridor_policy()
    joint = policy[:, :, None] * walk.transition_probs  # [S, A, S']
    times = (25 * joint).round().long()
    assert torch.allclose(times.to(double) / 25, joint, **EXACT)
    cell, action, after = (index.repeat_interleave(times.flatten()) for index in torch.meshgrid(
        *(torch.arange(size) for size in joint.shape), indexing="ij") for index in [index.flatten()])
    reward = walk.reward_table[cell, action]
    never = torch.zeros_like(cell, dtype=torch.bool)
    table = bootstrapped_table(cell, reward, after, never, discount=0.95, num_states=8)
    torch.testing.assert_close(table, policy_evaluation(walk, policy, 0.95), **EXACT)


def test_runs_do_not_feel_each_other():
    state, reward, after, ended = record()
    other = reward.clone()
    other[2] += 1.0
    settings = dict(discount=0.9, num_states=4)
    before, now = (bootstrapped_table(state, r, after, ended, **settings) for r in (reward, other))
    assert torch.equal(before[:2], now[:2]) and not torch.equal(before[2], now[2])


@pytest.mark.parametrize("change, message", [
    (dict(discount=1.0), "discount"), (dict(num_states=3), "state"), (dict(state=torch.zeros(3, 40)), "state"),
    (dict(reward=torch.zeros(40)), "reward"), (dict(terminated=torch.zeros(3, 40)), "terminated"),
    (dict(next_state=torch.full((3, 40), 4)), "next_state"), (dict(next_state=torch.zeros(3, 39).long()), "next_state")])
def test_wrong_input_gets_one_clear_line(change, message):
    given = dict(zip(("state", "reward", "next_state", "terminated"), record()), discount=0.9, num_states=4) | change
    with pytest.raises(ValueError, match=f"^{message}: expected"):
        bootstrapped_table(**given)


def test_targets_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="^target: expected"):
        average_target(torch.zeros(3, 5).long(), torch.zeros(3, 5, 1), num_states=2)
