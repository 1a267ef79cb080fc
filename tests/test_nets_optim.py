"""Our Adam against `torch.optim.Adam`, one network at a time, and clipping by each run's own norm."""

import copy

import pytest
import torch

from rlcourse.core.seeding import generator
from rlcourse.nets.mlp import MLP
from rlcourse.nets.optim import Adam, clip_by_run, gradient_norms

RUNS = 3


def problem(seed=0):
    random = generator(seed, "problem")
    x = torch.randn(RUNS, 16, 4, generator=random, dtype=torch.float64)
    y = torch.randn(RUNS, 16, 2, generator=random, dtype=torch.float64)
    y[1] *= 100.0                   # one run with gradients that clipping must cut, beside two it must not
    return x, y


def train_stacked(net, optimiser, x, y, steps):
    for step in range(steps):
        if step == steps // 2:
            optimiser.learning_rate /= 3.0
        optimiser.zero_grad()
        (net(x) - y).square().mean((1, 2)).sum().backward()
        optimiser.step()


@pytest.mark.parametrize("clip_norm", [None, 2.0])
@pytest.mark.parametrize("decay", [(0.9, 0.999), (0.5, 0.9)])
def test_equals_torch_optim_run_by_run(clip_norm, decay):
    x, y = problem()
    net = MLP((4, 8, 2), runs=RUNS, seed=0)
    start = copy.deepcopy(net)
    optimiser = Adam(net.parameters(), 0.02, decay=decay, eps=1e-7, clip_norm=clip_norm)
    train_stacked(net, optimiser, x, y, 60)
    clipped = set()
    for r in range(RUNS):
        alone = start.run(r)
        theirs = torch.optim.Adam(alone.parameters(), lr=0.02, betas=decay, eps=1e-7)
        for step in range(60):
            if step == 30:
                theirs.param_groups[0]["lr"] /= 3.0
            theirs.zero_grad()
            (alone(x[r:r + 1]) - y[r:r + 1]).square().mean().backward()
            squares = sum(float((p.grad**2).sum()) for p in alone.parameters())
            if clip_norm is not None and squares > clip_norm**2:
                clipped.add(r)
                for p in alone.parameters():
                    p.grad *= clip_norm / squares**0.5
            theirs.step()
        for stacked, single in zip(net.parameters(), alone.parameters()):
            torch.testing.assert_close(stacked[r:r + 1], single, rtol=1e-12, atol=1e-12)
    assert clip_norm is None or (1 in clipped and len(clipped) < RUNS)


def test_norms_and_clipping_by_hand():
    gradients = [torch.tensor([[[3.0, 0.0]], [[0.0, 0.0]]]), torch.tensor([[[4.0]], [[0.5]]])]
    assert gradient_norms(gradients).tolist() == [5.0, 0.5]
    cut = clip_by_run(gradients, 1.0)
    torch.testing.assert_close(cut[0], torch.tensor([[[0.6, 0.0]], [[0.0, 0.0]]]))
    torch.testing.assert_close(cut[1], torch.tensor([[[0.8]], [[0.5]]]))
    assert gradients[0][0, 0, 0] == 3.0         # the input is left as it was


def test_a_zero_gradient_is_not_divided_by():
    parameter = torch.ones(2, 3, dtype=torch.float64, requires_grad=True)
    optimiser = Adam([parameter], 0.1, clip_norm=1.0)
    parameter[0].sum().backward()
    optimiser.step()
    assert torch.equal(parameter[1], torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(parameter[0], torch.full((3,), 0.9, dtype=torch.float64), rtol=0, atol=1e-7)


def test_perturbing_one_run_leaves_the_others_bit_identical():
    x, y = problem()
    results = []
    for change in (0.0, 1.0):
        net = MLP((4, 8, 2), runs=RUNS, seed=0)
        with torch.no_grad():
            net.weights[0][1] += change
        train_stacked(net, Adam(net.parameters(), 0.02, clip_norm=0.5), x, y, 20)
        results.append([p.detach() for p in net.parameters()])
    for before, after in zip(*results):
        assert torch.equal(before[[0, 2]], after[[0, 2]])
    assert not torch.equal(results[0][0][1], results[1][0][1])


def test_wrong_arguments_are_named():
    parameter = torch.ones(1, 2, requires_grad=True)
    with pytest.raises(ValueError, match="parameters: expected a gradient for every one"):
        Adam([parameter]).step()
    with pytest.raises(ValueError, match="parameters: expected at least one tensor"):
        Adam([torch.ones(1, 2)])
    with pytest.raises(ValueError, match="learning_rate: expected a positive number, got 0"):
        Adam([parameter], 0)
    with pytest.raises(ValueError, match="decay: expected two numbers in"):
        Adam([parameter], decay=(0.9, 1.0))
    with pytest.raises(ValueError, match="clip_norm: expected a positive number or None, got 0"):
        Adam([parameter], clip_norm=0)
