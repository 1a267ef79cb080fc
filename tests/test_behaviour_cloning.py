"""Cloning with networks: against least squares, run by run, and its errors."""

import pytest
import torch

from rlcourse.algorithms.behaviour_cloning import Config, train
from rlcourse.core.seeding import generator
from rlcourse.core.spaces import Box
from rlcourse.nets.heads_regression import RegressionHead
from rlcourse.nets.policies import Policy


def make_policy(runs=2, hidden=(), seed=0, obs_size=3):
    return Policy(RegressionHead(obs_size, 1, runs=runs, seed=seed, hidden=hidden), Box(-9.0, 9.0, 1))


def make_data(runs=2, pairs=200, obs_size=3):
    random = generator(0, "data")
    obs = torch.randn(runs, pairs, obs_size, generator=random, dtype=torch.float64)
    slope = torch.randn(runs, obs_size, 1, generator=random, dtype=torch.float64)
    return obs, obs @ slope + 0.5 + 0.3 * torch.randn(runs, pairs, 1, generator=random, dtype=torch.float64)


def last(training):
    for snapshot in training:
        pass
    return snapshot


def test_a_linear_policy_becomes_the_least_squares_solution():
    obs, action = make_data()
    config = Config(steps=1500, batch_size=200, learning_rate=0.05)
    policy = last(train(make_policy(), obs, action, config, seed=0, device="cpu")).policy
    with_constant = torch.cat([obs, torch.ones_like(obs[..., :1])], -1)
    best = torch.linalg.lstsq(with_constant, action).solution
    found = torch.cat([policy.head.net.weights[0], policy.head.net.biases[0]], 1).detach()
    # Batches are drawn with replacement, so the fit wobbles; the wobble dies with the learning rate.
    assert torch.allclose(found, best, atol=0.01)


def test_perturbing_one_run_leaves_the_others_bit_identical():
    obs, action = make_data(runs=4)

    def parameters(disturb):
        policy = make_policy(runs=4, hidden=(8,))
        if disturb:
            with torch.no_grad():
                policy.head.net.weights[0][3] += 0.1
        policy = last(train(policy, obs, action, Config(steps=30), seed=0, device="cpu")).policy
        return list(policy.parameters())

    for plain, disturbed in zip(parameters(False), parameters(True)):
        assert torch.equal(plain[:3], disturbed[:3]) and not torch.equal(plain[3], disturbed[3])


def test_the_seed_matters_and_suffices():
    obs, action = make_data()

    def final(seed):
        return last(train(make_policy(hidden=(8,)), obs, action, Config(steps=20), seed=seed, device="cpu")).loss

    assert torch.equal(final(0), final(0)) and not torch.equal(final(0), final(1))


def test_snapshots_count_updates_and_keep_the_curve():
    obs, action = make_data()
    snapshots = list(train(make_policy(), obs, action, Config(steps=45, snapshot_every=20), seed=0, device="cpu"))
    assert [s.step for s in snapshots] == [1, 21, 41, 45]
    assert [step for step, _ in snapshots[-1].curve] == [1, 21, 41, 45]
    assert torch.equal(snapshots[-1].curve[-1][1], snapshots[-1].loss)


def test_wrong_data_is_refused_before_training_starts():
    obs, action = make_data()
    cases = [(obs[:1], action[:1], "obs: expected 2 runs on axis 0, got 1"),
             (obs, action[:, :5], r"action: expected leading shape \[2, 200\]"),
             (obs[:, :0], action[:, :0], "obs: expected shape"),
             (obs, action * float("nan"), "action: expected finite numbers")]
    for bad_obs, bad_action, message in cases:
        with pytest.raises(ValueError, match=message):
            train(make_policy(), bad_obs, bad_action, Config(), seed=0, device="cpu")


def test_a_loss_that_is_not_finite_stops_the_run_and_names_it():
    obs, action = make_data()
    action[1] = 1e308
    with pytest.raises(FloatingPointError, match=r"loss: not finite at step 0 in runs \[1\]"):
        list(train(make_policy(), obs, action, Config(), seed=0, device="cpu"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cpu_and_cuda_learn_the_same():
    obs, action = make_data()
    losses = [last(train(make_policy(hidden=(8,)), obs, action, Config(steps=50), seed=0, device=device)).loss
              for device in ("cpu", "cuda")]
    assert torch.allclose(*losses, rtol=1e-9)
