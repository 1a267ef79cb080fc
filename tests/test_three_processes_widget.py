"""The three-processes widget against a plain loop, simulated expectations, and what its texts promise."""

import numpy as np
import pytest
import torch

from rlcourse.core.seeding import generator, uniforms
from rlcourse.envs.two_doors import two_doors, two_doors_features
from rlcourse.widgets.app.three_processes import describe, size
from rlcourse.widgets.models import three_processes as model
from rlcourse.widgets.models.controls import starting_values
from rlcourse.widgets.models.three_processes import PERIODS, compute

START = starting_values(model.CONTROLS)


def frame(**changed):
    return compute(**{**START, **changed})


def test_the_problem_is_what_its_docstring_says():
    problem = two_doors()
    for room in (0, 1):
        for action in (0, 1):
            assert problem.transition_probs[room, action].tolist() == [1.0 - action, float(action)]
            assert float(problem.reward_table[room, action]) == action
    assert np.linalg.matrix_rank(two_doors_features().numpy()) == 4  # every Q function is represented
    assert np.allclose(model.exact_q(), [4, 5, 4, 5])  # γ = 0.8: γ/(1 − γ) and 1/(1 − γ)


@pytest.mark.parametrize("collect, capacity, rate, period, share", [
    (0.25, 20, 0.5, 4, 0.3), (1.0, 100, 1.0, 16, 0.2), (4.0, 1000, 0.25, 1, 0.5)])
def test_eighty_steps_of_run_3_against_a_plain_loop(collect, capacity, rate, period, share):
    count, random = model.FILLED + int(16 * model.STEPS), generator(0, "three processes")
    went = (uniforms((count, model.RUNS), random) < share)[:, 3].tolist()
    noise = torch.randn(count, model.RUNS, generator=random, dtype=torch.float64)[:, 3].tolist()
    phi = {(0, 0): [1, 0, 0, 0], (1, 0): [0, 1, 0, 0], (0, 1): [0, 0, 1, 0], (1, 1): [0, 0, 2, 1]}
    stored, room = [], 0
    for action, luck in zip(went, noise):
        stored.append((room, int(action), int(action) + luck, int(action)))
        room = int(action)
    weights = np.zeros(4)
    old, values, _ = weights, *model.run(collect, capacity, rate, period, share)
    for step in range(80):
        if step % period == 0:
            old = weights
        replay = stored[:model.FILLED + int(collect * step)][-capacity:]
        slope = np.zeros(4)
        for s, a, r, after in replay:
            best = max(float(old @ phi[after, b]) for b in (0, 1))
            slope += (r + 0.8 * best - weights @ phi[s, a]) * np.array(phi[s, a])
        weights = weights + rate * slope / len(replay)
    assert np.allclose(values[80, 3], [weights @ phi[pair] for pair in sorted(phi)], rtol=1e-9)


@pytest.mark.parametrize("rate, share", [(1.0, 0.2), (0.5, 0.1), (1.5, 0.5)])
@pytest.mark.parametrize("period", PERIODS)
def test_the_growth_is_that_of_expected_updates(rate, share, period):
    room = np.array([1 - share, share])
    often, phi = np.outer(room, room), two_doors_features().numpy().reshape(2, 2, 4)
    weights = np.random.default_rng(0).normal(size=4)  # an error; the greedy action stays "right" near Q*
    log_norm, steps, old = 0.0, 256 * 40, weights
    halfway = None
    for step in range(steps):
        if step % period == 0:
            log_norm += np.log(np.abs(weights).max())
            weights = weights / np.abs(weights).max()  # linear: rescale, and remember by how much
            old = weights
            if step >= steps // 2 and halfway is None:
                halfway = log_norm, step
        slope = sum(often[s, a] * (0.8 * old @ phi[a, 1] - weights @ phi[s, a]) * phi[s, a]
                    for s in (0, 1) for a in (0, 1))
        weights = weights + rate * slope
    late = log_norm + np.log(np.abs(weights).max())
    measured = np.exp(100 * (late - halfway[0]) / (steps - halfway[1]))
    assert model.growth(rate, share)[PERIODS.index(period)] == pytest.approx(measured, rel=0.03)


def test_the_texts_keep_their_promises():
    expected = frame().growth
    assert expected[0] > 10 and expected[3] < 0.6 < 0.9 < expected[4] < 1  # too fast, right, too slow
    medians = {period: np.median(frame(period=period).error[:, -1]) for period in (1, 64, 256)}
    assert medians[1] > 100 and medians[64] < 0.5 < medians[256]
    spread = {capacity: np.median(frame(period=64, capacity=capacity).error[:, -64:]) for capacity in (20, 20_000)}
    assert spread[20] > 2 * spread[20_000]
    slow = frame(period=64, capacity=20_000, collect=0.0625).error[:, -1]
    assert slow.max() > 5 * slow.min() and np.median(slow) > 3 * medians[64]
    assert frame(share=0.5).growth[0] < 0.1 and np.median(frame(share=0.5).error[:, -1]) < 1
    hasty = frame(share=0.5, rate=1.5).growth
    assert hasty[0] < 1 and (hasty[1:] > 10).all()
    # the regression itself is stable at the start: every eigenvalue of α C is below 2; and is not in the last case
    phi = two_doors_features().numpy()
    for share, rate, stable in ((0.2, 1.0, True), (0.5, 1.5, False)):
        often = np.outer([1 - share, share], [1 - share, share]).ravel()
        assert (rate * np.linalg.eigvalsh(phi.T @ (often[:, None] * phi)).max() < 2) is np.bool_(stable)


def test_the_words_hold_the_numbers():
    words = describe(frame(collect=0.25, period=64))
    assert words.startswith("One transition every 4 steps into a replay of 1000") and "every 64 steps" in words
    assert "copied after every step" in describe(frame())
    assert (size(2e5), size(123.4), size(0.123)) == ("more than 10⁴", "123", "0.12")
