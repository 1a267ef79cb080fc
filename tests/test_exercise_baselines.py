"""The numbers that the text of exercise 03 tells about baselines are those of the two rooms, and of pen and paper."""

import re
from pathlib import Path

import pytest
import torch

from rlcourse.envs.two_rooms import HORIZON, policy_logits, two_rooms
from rlcourse.equations.returns import reward_to_go
from rlcourse.exact.policy_gradient import every_batch, gradient_by_autograd
from rlcourse.grading.checks.policy_gradients_closed_form import best_baseline, gradient_variance
from rlcourse.grading.checks.policy_gradients_leave_one_out import expected_gradient, leave_one_out_baseline
from rlcourse.grading.master import read_master

MASTER = read_master(Path(__file__).resolve().parents[1] / "solutions" / "03_policy_gradients.py")


def the_cell(words):
    return next(cell.source for cell in MASTER.cells if words in cell.source)


def test_the_table_of_the_batch_mean_is_that_of_every_batch():
    rows = re.findall(r"^\| (\d) \| (\d\.\d{3}) ∇J \| (\d\.\d{3}) ∇J \|$", the_cell("its average as the baseline"),
                      re.MULTILINE)
    assert len(rows) == 2
    gradient = gradient_by_autograd(two_rooms(), policy_logits(), 2)
    for episodes, average, others in rows:
        for baseline, factor in ((lambda weight: weight.mean(1, keepdim=True).expand_as(weight), average),
                                 (leave_one_out_baseline, others)):
            found = expected_gradient(baseline, policy_logits(), int(episodes))
            torch.testing.assert_close(found, float(factor) * gradient, rtol=1e-3, atol=1e-12)


def variance(weight, batch):
    """The trace of the covariance of Σₜ ∇log π Ψ / N, written out."""
    estimate = (batch.score * weight[..., None]).sum((0, 2)) / weight.shape[-1]
    mean = (batch.prob[:, None] * estimate).sum(0)
    return float((batch.prob * (estimate - mean).square().sum(1)).sum())


def test_what_the_text_says_after_the_table_of_all_batches():
    batch = every_batch(two_rooms(), policy_logits(), HORIZON, 2)
    assert f"{batch.prob.numel():,} batches" in the_cell("In the two rooms ([").replace("\n", " ")
    assert "128 ways" in the_cell("In the two rooms ([").replace("\n", " ") and 128**2 == batch.prob.numel()
    without, leave_one_out, average = {}, {}, {}
    for more in (0, 3):
        weight = reward_to_go(batch.reward + more, batch.terminated, batch.truncated)
        without[more] = variance(weight, batch)
        leave_one_out[more] = variance(weight - weight.flip(-1), batch)  # of two, the other one
        average[more] = variance(weight - weight.mean(-1, keepdim=True), batch)
    assert "by 18" in the_cell("Three more for every step")
    assert without[3] / without[0] == pytest.approx(18, abs=0.5)
    for baseline in (leave_one_out, average):
        assert baseline[3] == pytest.approx(baseline[0])
    assert average[0] == pytest.approx(leave_one_out[0] / 4)
    assert without[0] < leave_one_out[0]


@pytest.mark.parametrize("prob, reward_0, reward_1", [(0.75, 0.0, 1.0), (0.1, -3.0, 2.0), (0.5, 4.0, 1.0)])
def test_the_closed_form_against_automatic_differentiation(prob, reward_0, reward_1):
    """The score of σ(θ) by autograd, and the lowest point of the parabola by a fine grid."""
    logit = torch.tensor(prob, dtype=torch.float64).logit().requires_grad_()
    log_probs = (torch.nn.functional.logsigmoid(-logit), torch.nn.functional.logsigmoid(logit))
    score = [torch.autograd.grad(log_prob, logit)[0] for log_prob in log_probs]

    def direct(baseline):
        x_0, x_1 = (reward_0 - baseline) * score[0], (reward_1 - baseline) * score[1]
        mean = (1 - prob) * x_0 + prob * x_1
        return (1 - prob) * (x_0 - mean) ** 2 + prob * (x_1 - mean) ** 2

    grid = torch.linspace(-4, 4, 8001, dtype=torch.float64)
    for baseline in grid[::1000].tolist():
        assert gradient_variance(prob, reward_0, reward_1, baseline) == pytest.approx(float(direct(baseline)))
    assert best_baseline(prob, reward_0, reward_1) == pytest.approx(float(grid[direct(grid).argmin()]), abs=1e-3)


def test_the_average_reward_is_worse_than_nothing_from_two_thirds_on():
    """Rewards 0 and 1: p (1 − p)(1 − 2p)² against p (1 − p)³."""
    for prob in (0.05, 0.3, 0.6, 0.66):
        assert gradient_variance(prob, 0.0, 1.0, prob) < gradient_variance(prob, 0.0, 1.0, 0.0)
    for prob in (0.67, 0.75, 0.9):
        assert gradient_variance(prob, 0.0, 1.0, prob) > gradient_variance(prob, 0.0, 1.0, 0.0)
