"""The camera car's four ways to learn: what each is taught, and that DAgger stays on the road."""

import pytest
import torch

from rlcourse.algorithms import behaviour_cloning
from rlcourse.algorithms.camera_imitation import Config, pictures, train
from rlcourse.algorithms.dagger import dagger
from rlcourse.envs.car import Car
from rlcourse.envs.experts import car_expert, corrected_steering

CAR = Car()
QUICK = behaviour_cloning.Config(steps=20, learning_rate=0.003)


def quick(**options):
    return Config(demonstrations=1, drives=2, test_drives=2, steps=20, cloning=QUICK, **options)


def test_side_cameras_see_a_shifted_car_and_steer_back():
    states = torch.tensor([[[[10.0, 0.3, 0.05]]]])  # [T, R, N, 3]
    steering = torch.tensor([[[[0.1]]]])
    obs, action = pictures(CAR, states, steering, (0.0, 1.0))
    shifted = states + torch.tensor([0.0, 1.0, 0.0])
    assert torch.equal(obs[0, 0], CAR.observe(states)[0, 0, 0]) and float(action[0, 0, 0]) == pytest.approx(0.1)
    assert torch.allclose(obs[0, 1], CAR.observe(shifted)[0, 0, 0], atol=1e-6)
    assert torch.equal(action[0, 1], corrected_steering(CAR, steering, 1.0)[0, 0, 0])
    assert float(action[0, 1]) < 0.1  # from the left, back to the right


def test_what_each_round_hands_to_the_learner():
    seen = []

    def watched_dagger(rounds, collect, label, fit):
        def watched_fit(dataset):
            seen.append([tuple(states.shape) for states, _ in dataset])
            return fit(dataset)

        return dagger(rounds, collect, label, watched_fit)

    snapshots = list(train(CAR, car_expert(CAR), quick(rounds=2), seed=0, runs=3, device="cpu", dagger=watched_dagger))
    assert seen == [[(20, 3, 1, 3)], [(20, 3, 1, 3), (20, 3, 2, 3)], [(20, 3, 1, 3), (20, 3, 2, 3), (20, 3, 2, 3)]]
    assert [s.step for s in snapshots] == [0, 1, 2] and [s.pairs for s in snapshots] == [20, 60, 100]
    assert len(snapshots[-1].history) == 3 and torch.equal(snapshots[-1].history[-1], snapshots[-1].crash_rate)


def test_noise_moves_the_expert_but_not_its_labels():
    labels = {}
    for noise in (0.0, 0.5):
        def keep(rounds, collect, label, fit, noise=noise):
            states = collect(None)
            labels[noise] = states, label(states)
            yield fit([labels[noise]])

        list(train(CAR, car_expert(CAR), quick(noise=noise), seed=0, runs=2, device="cpu", dagger=keep))
    (quiet, _), (shaken, steering) = labels[0.0], labels[0.5]
    assert shaken[..., 1].abs().max() > 2 * quiet[..., 1].abs().max()
    assert torch.equal(steering, car_expert(CAR)(shaken))


def test_perturbing_one_run_leaves_the_others_bit_identical(monkeypatch):
    """Also through rounds of driving: the source's luck belongs to each environment."""
    from rlcourse.algorithms import camera_imitation

    def last(disturb):
        def head(*args, **options):
            made = original(*args, **options)
            if disturb:
                with torch.no_grad():
                    made.net.weights[0][2] += 0.1
            return made

        monkeypatch.setattr(camera_imitation, "RegressionHead", head)
        return list(train(CAR, car_expert(CAR), quick(rounds=1), seed=0, runs=3, device="cpu"))[-1].states

    original = camera_imitation.RegressionHead
    plain, disturbed = last(False), last(True)
    assert torch.equal(plain[:, :2], disturbed[:, :2]) and not torch.equal(plain[:, 2], disturbed[:, 2])


@pytest.mark.slow
def test_cloning_leaves_the_road_and_dagger_keeps_to_it():
    """Measured for seeds 0, 1, 2: cloning leaves it on 0.44 to 0.51 of the drives, DAgger on none after four rounds.

    The thresholds are far from both; noise and side cameras: at most 0.03 measured.
    """
    expert = car_expert(CAR)
    rates = [float(s.crash_rate.mean()) for s in train(CAR, expert, Config(rounds=4), seed=0, device="cpu")]
    assert rates[0] > 0.2 and rates[-1] < 0.05
    for better in (Config(noise=0.3), Config(cameras=(0.0, 1.0, -1.0))):
        assert all(float(s.crash_rate.mean()) < 0.1 for s in train(CAR, expert, better, seed=0, device="cpu"))


@pytest.mark.parametrize("call, message", [
    (lambda: Config(noise=-1.0), "noise: expected a number of at least 0"),
    (lambda: Config(cameras=()), "cameras: expected at least one camera"),
    (lambda: Config(drives=0), "drives: expected a whole number"),
    (lambda: train(CAR, None, Config(), seed=0), "expert: expected a function of the state"),
    (lambda: train(CAR, car_expert(CAR), Config(), seed=0, runs=0), "runs: expected a whole number")])
def test_wrong_input_gets_one_clear_line(call, message):
    with pytest.raises(ValueError, match=message):
        call()
