"""The fork: two good actions, −0.8 and +0.8, and a tree between them. Which heads keep off the tree?

Actions are ±0.8 with equal probability whatever the observation, with a spread of 0.05. "The tree" is
|a| < 0.4, eight standard deviations from any demonstration. Three runs, seed 0, float64; the thresholds
stand far from what was measured over eight runs (in brackets), so that no plausible seed crosses them.
"""

import math

import pytest
import torch
from scipy import stats

from rlcourse.core.seeding import generator, uniforms
from rlcourse.nets.heads_autoregressive import AutoregressiveHead
from rlcourse.nets.heads_cvae import CVAEHead
from rlcourse.nets.heads_flow import FlowHead
from rlcourse.nets.heads_gaussian import GaussianHead
from rlcourse.nets.heads_mixture import MixtureHead
from rlcourse.nets.heads_regression import RegressionHead
from rlcourse.nets.optim import Adam

RUNS, PAIRS, BATCH = 3, 2048, 128


def demonstrations():
    random = generator(0, "demonstrations")
    obs = 2.0 * uniforms((RUNS, PAIRS, 1), random) - 1.0
    side = torch.where(uniforms((RUNS, PAIRS, 1), random) < 0.5, -0.8, 0.8).double()
    return obs, side + 0.05 * torch.special.ndtri(uniforms((RUNS, PAIRS, 1), random))


def train(make, steps, **options):
    """Train at a learning rate that falls linearly from 0.01, then draw 2,000 actions a run."""
    head, (obs, action) = make(1, 1, runs=RUNS, seed=0, hidden=(32, 32), **options), demonstrations()
    optimiser, random, runs = Adam(head.parameters()), generator(0, "training"), torch.arange(RUNS)[:, None]
    for step in range(steps):
        optimiser.learning_rate = 0.01 * (1.0 - step / steps)
        rows = torch.randint(PAIRS, (RUNS, BATCH), generator=random)
        noise = uniforms((RUNS, BATCH, head.loss_noise_size), random)
        optimiser.zero_grad()
        head.loss(obs[runs, rows], action[runs, rows], noise).mean(1).sum().backward()
        optimiser.step()
    obs = 2.0 * uniforms((RUNS, 2000, 1), random) - 1.0
    return head, head.sample(obs, uniforms((RUNS, 2000, head.noise_size), random)).detach().squeeze(-1)


def on_the_tree(sample):
    return (sample.abs() < 0.4).double().mean(1)


@pytest.mark.parametrize("make, steps, most", [
    (MixtureHead, 300, 0.05),           # [0.001]
    (AutoregressiveHead, 300, 0.05),    # [0.001]
    (FlowHead, 400, 0.15),              # [0.02 to 0.04]
    (CVAEHead, 400, 0.30),              # [0.05 to 0.2]: a continuous decoder has to pass between the modes
])
def test_expressive_heads_take_both_sides_and_keep_off_the_tree(make, steps, most):
    _, sample = train(make, steps)
    assert (on_the_tree(sample) < most).all()
    left = (sample < 0).double().mean(1)
    assert ((left > 0.3) & (left < 0.7)).all()


def test_a_gaussian_puts_more_than_a_third_of_its_mass_on_the_tree():
    """The best Gaussian has the data's mean and standard deviation: about N(0, 0.8² + 0.05²), and
    P(|a| < 0.4) = 0.382 for it. 2,000 samples have a standard error of 0.011; the fit is within 0.03."""
    exact = 1.0 - 2.0 * stats.norm(0.0, math.hypot(0.8, 0.05)).cdf(-0.4)
    _, sample = train(GaussianHead, 300)
    assert exact > 0.38 and ((on_the_tree(sample) - exact).abs() < 0.07).all()


def test_regression_drives_into_the_middle_of_the_tree():
    _, sample = train(RegressionHead, 300)
    assert (on_the_tree(sample) == 1.0).all()


def test_least_squares_is_the_mean_of_the_demonstrations():
    """On one observation the least of Σ(a − f)² is at the mean of the actions, here −1, −1, +1."""
    obs = torch.zeros(1, 3, 1, dtype=torch.float64)
    action = torch.tensor([[[-1.0], [-1.0], [1.0]]], dtype=torch.float64)
    head = RegressionHead(1, 1, runs=1, seed=0, hidden=(4,))
    optimiser = Adam(head.parameters(), 0.1)
    for step in range(300):
        optimiser.learning_rate = 0.1 * 0.98**step
        optimiser.zero_grad()
        head.loss(obs, action).mean(1).sum().backward()
        optimiser.step()
    assert head.sample(obs)[0, 0, 0].item() == pytest.approx(-1 / 3, abs=1e-4)
