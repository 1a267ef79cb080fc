"""The stacked MLP: against plain matrix products, its initialisation, and the runs kept apart."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from rlcourse.core.seeding import generator
from rlcourse.nets.mlp import MLP, take_run

FUNCTIONS = {"tanh": np.tanh, "relu": lambda x: np.maximum(x, 0.0), "silu": lambda x: x / (1.0 + np.exp(-x))}


def inputs(runs=3, batch=5, size=4):
    return torch.randn(runs, batch, size, generator=generator(0, "inputs"), dtype=torch.float64)


@pytest.mark.parametrize("activation", sorted(FUNCTIONS))
@pytest.mark.parametrize("init", ["orthogonal", "fan_in"])
def test_each_run_is_a_plain_network(activation, init):
    net, x = MLP((4, 6, 7, 2), runs=3, seed=1, activation=activation, init=init), inputs()
    out = net(x).detach().numpy()
    for r in range(3):
        hidden = x[r].numpy()
        for layer in range(3):
            weight, bias = net.weights[layer][r].detach().numpy(), net.biases[layer][r].detach().numpy()
            hidden = hidden @ weight + bias
            hidden = FUNCTIONS[activation](hidden) if layer < 2 else hidden
        np.testing.assert_allclose(out[r], hidden, rtol=0, atol=1e-13)


def test_initial_weights_of_a_run_do_not_depend_on_how_many_runs_there_are():
    eight, two = MLP((4, 6, 2), runs=8, seed=1), MLP((4, 6, 2), runs=2, seed=1)
    for many, few in zip(eight.parameters(), two.parameters()):
        assert torch.equal(many[:2], few)
    assert not torch.equal(eight.weights[0][0], eight.weights[0][1])


def test_seed_and_name_matter():
    first = MLP((4, 6, 2), runs=1, seed=1).weights[0]
    assert torch.equal(first, MLP((4, 6, 2), runs=1, seed=1).weights[0])
    assert not torch.equal(first, MLP((4, 6, 2), runs=1, seed=2).weights[0])
    assert not torch.equal(first, MLP((4, 6, 2), runs=1, seed=1, name="critic").weights[0])


def test_no_global_random_numbers_are_drawn():
    before = torch.random.get_rng_state()
    MLP((4, 6, 2), runs=2, seed=1)
    assert torch.equal(before, torch.random.get_rng_state())


def test_orthogonal_weights_have_the_stated_scale():
    net = MLP((3, 8, 8, 2), runs=2, seed=0, output_scale=0.1)
    for weight, scale in zip(net.weights, (math.sqrt(2), math.sqrt(2), 0.1)):
        for matrix in weight.detach():
            gram = matrix.T @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ matrix.T
            torch.testing.assert_close(gram, scale**2 * torch.eye(len(gram), dtype=gram.dtype), rtol=0, atol=1e-12)


def test_orthogonal_weights_have_no_preferred_sign():
    """400 runs, 16 signs each of which is fair: P(|z| > 5) for one is 6e-7, for any below 1e-5."""
    weight = MLP((4, 4), runs=400, seed=0).weights[0].detach()
    z = weight.sign().sum(0) / math.sqrt(400)
    assert z.abs().max() < 5.0


def test_fan_in_weights_are_uniform():
    """Kolmogorov–Smirnov on 8 × 50 × 40 draws; a true uniform gives p < 1e-6 once in a million."""
    net = MLP((50, 40), runs=8, seed=3, init="fan_in")
    scaled = net.weights[0].detach().flatten().numpy() * math.sqrt(50)
    assert np.abs(scaled).max() <= 1.0
    assert stats.kstest(scaled, stats.uniform(-1, 2).cdf).pvalue > 1e-6
    assert 0 < net.biases[0].detach().abs().max() <= 1 / math.sqrt(50)


def test_gradients_of_a_run_are_those_it_has_alone():
    net, x = MLP((4, 6, 2), runs=3, seed=1), inputs()
    net(x).square().mean((1, 2)).sum().backward()
    for r in range(3):
        alone = net.run(r)
        alone(x[r:r + 1]).square().mean().backward()
        for stacked, single in zip(net.parameters(), alone.parameters()):
            torch.testing.assert_close(stacked.grad[r:r + 1], single.grad, rtol=0, atol=1e-14)


def test_a_run_taken_out_is_an_independent_copy():
    net, x = MLP((4, 6, 2), runs=3, seed=1), inputs()
    alone = net.run(2)
    assert alone.runs == 1 and torch.equal(alone(x[2:]), net.run(2)(x[2:]))
    torch.testing.assert_close(alone(x[2:]), net(x)[2:], rtol=0, atol=1e-14)
    before = alone(x[2:]).detach()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(1.0)
    assert torch.equal(alone(x[2:]), before) and not torch.equal(net(x)[2:], before)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="activation: expected one of"):
        MLP((4, 2), runs=1, seed=0, activation="gelu")
    with pytest.raises(ValueError, match="init: expected one of"):
        MLP((4, 2), runs=1, seed=0, init="zeros")
    with pytest.raises(ValueError, match="sizes: expected at least an input and an output"):
        MLP((4,), runs=1, seed=0)
    with pytest.raises(ValueError, match="runs: expected a whole number of at least 1"):
        MLP((4, 2), runs=0, seed=0)
    net = MLP((4, 2), runs=2, seed=0)
    with pytest.raises(ValueError, match=r"inputs: expected shape \[2, B, 4\], got \[2, 5, 3\]"):
        net(inputs(runs=2, size=3))
    with pytest.raises(ValueError, match="r: expected a run from 0 to 1, got 2"):
        take_run(net, 2)
