"""The numbers of the arrow-field widget, against scalar arithmetic and against what its texts promise."""

from math import atan2, degrees, exp, hypot, log, sqrt

import numpy as np
import pytest

from rlcourse.widgets.app import arrow_field as app
from rlcourse.widgets.models.arrow_field import CONTROLS, GAINS, LONGEST, PARAMETERISATIONS, STDS, compute

LOG, TENFOLD, TENTH, PLAIN = PARAMETERISATIONS


def worth(k, log_std, discount):
    """J for ever from s₀ = ±1, by adding up E s² step by step."""
    moment, total = 1.0, 0.0
    for t in range(4000):
        total -= discount ** t * ((1 + k * k) * moment + exp(2 * log_std))
        moment = (1 + k) ** 2 * moment + exp(2 * log_std)
    return total


def slope(k, log_std, discount, tiny=1e-4):
    """∇J in (k, log σ) by central differences, and E s² over the discounted states."""
    by_k = (worth(k + tiny, log_std, discount) - worth(k - tiny, log_std, discount)) / (2 * tiny)
    by_log_std = (worth(k, log_std + tiny, discount) - worth(k, log_std - tiny, discount)) / (2 * tiny)
    mean = -((1 - discount) * worth(k, log_std, discount) + exp(2 * log_std)) / (1 + k * k)
    return by_k, by_log_std, mean


@pytest.mark.parametrize("name, units, plain", [(LOG, 1, False), (TENFOLD, 10, False), (TENTH, 0.1, False),
                                                (PLAIN, 1, True)])
def test_the_first_step_is_that_of_scalar_arithmetic(name, units, plain):
    """θ = (units · k, log σ or σ): ∇_θ J by the chain rule, the step of ½ dᵀFd = δ, and θ turned back."""
    k, std, discount, kl = -0.3, 0.5, 0.8, 0.03
    by_k, by_log_std, mean = slope(k, log(std), discount)
    a, b = 1 / units, 1 / std if plain else 1.0  # ∂k/∂θ₀, ∂log σ/∂θ₁
    fisher = (a * a * mean / std ** 2, 2 * b * b)
    frame = compute(name, k, std, discount, kl, 1)
    for path, direction in ((frame.vanilla_path, (a * by_k, b * by_log_std)),
                            (frame.natural_path, (a * by_k / fisher[0], b * by_log_std / fisher[1]))):
        length = sqrt(2 * kl / (fisher[0] * direction[0] ** 2 + fisher[1] * direction[1] ** 2))
        moved = log(std + length * direction[1]) if plain else log(std) + length * direction[1]
        assert path[0].tolist() == [k, log(std)]
        assert path[1].tolist() == pytest.approx([k + a * length * direction[0], moved], abs=1e-6)


def test_what_is_lost_is_the_distance_to_the_best_policy():
    frame = compute(LOG, -0.2, 0.3, 0.8, 0.03, 5)
    best = worth(frame.best_gain, -40.0, 0.8)
    assert best > max(worth(frame.best_gain + d, -40.0, 0.8) for d in (-0.01, 0.01))
    for path, lost in ((frame.vanilla_path, frame.vanilla_lost), (frame.natural_path, frame.natural_lost)):
        assert lost.tolist() == pytest.approx([best - worth(*point, 0.8) for point in path], rel=1e-9)


def test_on_a_level_line_that_much_is_lost():
    frame = compute(LOG, -0.2, 0.3, 0.8, 0.03, 5)
    best, shown = worth(frame.best_gain, -40.0, 0.8), 0
    for level, line in zip(frame.levels, frame.level_log_std):
        for k, log_std in list(zip(frame.level_gain, line))[::40]:
            if log_std > log(STDS[0]):
                assert best - worth(k, log_std, 0.8) == pytest.approx(level, rel=1e-6)
                shown += 1
            else:  # even with the least noise of the picture more is lost
                assert best - worth(k, log(STDS[0]), 0.8) > level
    assert shown > 20


def test_arrows_point_where_a_small_step_leads():
    """Of the arrow at each place; the step of the path from there turns to it as δ falls."""
    frame = compute(PLAIN, -0.2, 0.3, 0.9, 0.03, 5)
    for row, column in ((0, 0), (3, 5), (8, 8)):
        k, log_std = frame.places[row, column]
        by_k, by_log_std, mean = slope(k, log_std, 0.9)
        std = exp(log_std)
        for arrows, (x, y) in ((frame.vanilla_arrows, (by_k, by_log_std / std ** 2)),
                               (frame.natural_arrows, (by_k * std ** 2 / mean, by_log_std / 2))):
            assert arrows[row, column].tolist() == pytest.approx([x / hypot(x, y), y / hypot(x, y)], abs=1e-5)
    for kl in (0.1, 0.001):
        frame = compute(LOG, -0.2, 0.3, 0.9, kl, 1)
        for path, angle in ((frame.vanilla_path, frame.vanilla_angle), (frame.natural_path, frame.natural_angle)):
            across, along = path[1] - path[0]
            assert degrees(atan2(-along, -across)) == pytest.approx(angle, abs=1e-9)


def test_what_the_prediction_says():
    """In (k, log σ) the vanilla arrow turns from 41° to 0.4° against the gain axis, the natural one not at all."""
    angles = [compute(LOG, -0.2, std, 0.9, 0.03, 20) for std in (1.0, 0.03)]
    assert [frame.vanilla_angle for frame in angles] == pytest.approx([40.972, 0.444], abs=1e-3)
    assert angles[1].best_gain == pytest.approx(-0.588, abs=1e-3)
    for control in CONTROLS:
        if control.name == "std":
            for std in control.values:
                for name in PARAMETERISATIONS:
                    assert compute(name, -0.2, std, 0.9, 0.03, 1).natural_angle == pytest.approx(45.682, abs=1e-3)
    assert "at 0.4° to the gain axis, the natural one at 45.7°" in app.describe(angles[1])


def crossings(path, line):
    side = np.sign(path[:, 0] - line)
    return int((side[1:] != side[:-1]).sum())


def test_forty_steps_of_the_vanilla_path_are_spent_on_the_gain():
    frame = compute(LOG, -0.2, 0.3, 0.9, 0.03, 40)
    assert crossings(frame.vanilla_path, frame.best_gain) > 30
    assert crossings(frame.natural_path, frame.best_gain) == 0
    assert exp(frame.vanilla_path[-1, 1]) > 0.02 and exp(frame.natural_path[-1, 1]) < STDS[0]
    assert frame.vanilla_lost[-1] > 500 * frame.natural_lost[-1]


def test_from_little_noise_the_vanilla_path_is_ahead_for_a_while():
    frame = compute(LOG, -0.2, 0.03, 0.9, 0.03, LONGEST)
    ahead = frame.vanilla_lost < frame.natural_lost
    assert not ahead[1] and ahead[12] and not ahead[40]


def test_other_units_change_the_vanilla_path_and_not_the_natural_one():
    frames = {name: compute(name, -0.2, 0.3, 0.9, 0.03, 20) for name in PARAMETERISATIONS}
    for name in (TENFOLD, TENTH):
        assert np.allclose(frames[name].natural_path, frames[LOG].natural_path, rtol=0, atol=1e-9)
        assert np.allclose(frames[name].natural_arrows, frames[LOG].natural_arrows, rtol=0, atol=1e-9)
        assert np.abs(frames[name].vanilla_path - frames[LOG].vanilla_path).max() > 0.1
    assert np.allclose(frames[PLAIN].natural_arrows, frames[LOG].natural_arrows, rtol=0, atol=1e-9)
    assert np.abs(frames[PLAIN].vanilla_arrows - frames[LOG].vanilla_arrows).max() > 0.5
    assert frames[TENTH].vanilla_lost[-1] > 10 * frames[LOG].vanilla_lost[-1]


def test_one_natural_step_in_sigma_and_in_its_logarithm_agree_to_second_order():
    """The difference falls like the square of the step, which is like δ: a hundredth for a hundredth."""
    gap = {kl: np.abs(compute(PLAIN, -0.2, 0.3, 0.9, kl, 1).natural_path[1]
                      - compute(LOG, -0.2, 0.3, 0.9, kl, 1).natural_path[1]).max() for kl in (0.1, 0.001)}
    assert gap[0.1] > 0.01 and 80 < gap[0.1] / gap[0.001] < 125


def test_paths_stay_among_the_gains_of_the_picture():
    """From the ends of the range of starts, with the largest steps: also where a step overshoots k*."""
    starts = {control.name: control.values for control in CONTROLS}
    for name in PARAMETERISATIONS:
        for gain in (starts["gain"][0], starts["gain"][-1]):
            for std in (0.03, 1.0):
                for discount in starts["discount"][::3]:
                    frame = compute(name, gain, std, discount, 0.1, LONGEST)
                    for path in (frame.vanilla_path, frame.natural_path):
                        assert GAINS[0] <= path[:, 0].min() and path[:, 0].max() <= GAINS[1]
