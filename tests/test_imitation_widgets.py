"""The numbers of the imitation widgets, against closed forms and against what their texts promise."""

import numpy as np
import pytest

from rlcourse.widgets.app import dagger_rounds as dagger_app
from rlcourse.widgets.app import distribution_shift as shift_app
from rlcourse.widgets.models import dagger_rounds, distribution_shift

LANE, FINAL, CLIMB = distribution_shift.WORLDS


@pytest.mark.parametrize("world", (FINAL, CLIMB))
@pytest.mark.parametrize("epsilon", (0.001, 0.01, 0.1))
def test_on_a_rope_cost_and_distance_are_the_closed_forms(world, epsilon):
    frame = distribution_shift.compute(100, epsilon, 0.0, world)
    steps = np.arange(1, 401)
    assert np.allclose(frame.cost, np.cumsum(1 - (1 - epsilon) ** steps)) and np.allclose(frame.cost, frame.worst)
    assert np.allclose(frame.shift, 1 - (1 - epsilon) ** np.arange(201))
    assert np.allclose(frame.learner_density[:, 0], frame.shift) and frame.covered.sum() == 1


def test_noise_helps_where_a_fall_can_be_answered_and_nowhere_else():
    costs = {world: distribution_shift.compute(100, 0.01, 0.05, world).cost_here for world in (LANE, FINAL, CLIMB)}
    assert costs[CLIMB] == pytest.approx(1.0) and 1.0 < costs[LANE] < 1.1 and costs[FINAL] == pytest.approx(37.2372, abs=1e-3)


def test_without_errors_the_imitator_is_the_expert():
    frame = distribution_shift.compute(200, 0.0, 0.0, LANE)
    assert frame.cost_here == 0 and frame.doubling is None and np.array_equal(frame.data_density, frame.learner_density)
    assert "0 mistakes" in shift_app.describe(frame)


def test_what_the_prediction_of_the_first_widget_says():
    """'By almost 4', for 100 steps instead of 50 at ε = 0.01, on the lane."""
    frame = distribution_shift.compute(50, 0.01, 0.0, LANE)
    assert 3.5 < frame.doubling < 4 and f"{frame.doubling:.2f} times" in shift_app.describe(frame)


def test_the_horizon_only_chooses_where_to_look():
    near, far = (distribution_shift.compute(horizon, 0.01, 0.0, LANE) for horizon in (25, 100))
    assert near.cost is far.cost and near.cost_here == near.cost[24] and far.cost_here == far.cost[99]


def test_what_the_prediction_of_the_second_widget_says():
    """With one drive a round the first new labels come in and beside the ditch, the last next to the known places."""
    frames = [dagger_rounds.compute(round, 1, 0.01, LANE) for round in range(5)]
    offsets = np.arange(-6, 7)
    assert list(offsets[frames[0].covered]) == [-1, 0, 1]
    first = set(np.abs(offsets[frames[1].covered & ~frames[0].covered]))
    last = set(np.abs(offsets[frames[4].covered & ~frames[3].covered]))
    assert first <= {5, 6} and last == {2}
    assert frames[4].costs[4] == pytest.approx(1.0) and "labels in 13 of the places" in dagger_app.describe(frames[4])


def test_dagger_cannot_help_on_the_final_rope():
    frame = dagger_rounds.compute(6, 20, 0.01, FINAL)
    assert frame.covered.sum() == 2 and np.allclose(frame.costs, frame.worst)
    assert dagger_rounds.compute(1, 20, 0.01, CLIMB).costs[1] == pytest.approx(1.0)
