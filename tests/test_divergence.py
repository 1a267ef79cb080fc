"""The two-state problem, Baird's and the coin: tables by hand, growth in closed form, and samples that do it."""

import pytest
import torch

from rlcourse.core.seeding import generator, uniforms
from rlcourse.envs.divergence import baird, split, two_state
from rlcourse.envs.tabular import sample_index
from rlcourse.exact.evaluation import policy_evaluation
from rlcourse.exact.operators import (
    fitted_iteration, fixed_point, iteration_matrix, policy_backup_matrix, residual_gradient_one_sample,
    semi_gradient, spectral_radius,
)
from rlcourse.exact.stationary import stationary_distribution

double = torch.float64


@pytest.mark.parametrize("problem", [two_state(), baird()], ids=["two states", "Baird"])
def test_the_true_values_are_zero_and_the_weights_are_the_behaviours_own(problem):
    assert not bool(policy_evaluation(problem.mdp, problem.evaluation, problem.discount).any())
    torch.testing.assert_close(stationary_distribution(problem.mdp, problem.behaviour), problem.state_weights,
                               rtol=0, atol=1e-14)


def test_tables_by_hand():
    problem = two_state()
    assert problem.mdp.transition_probs.tolist() == [[[1, 0], [0, 1]]] * 2
    assert problem.features.tolist() == [[1], [2]] and problem.initial_parameters.tolist() == [1]
    star = baird()
    values = star.features @ star.initial_parameters
    assert values.tolist() == [3.0] * 6 + [12.0]  # 2·1 + 1 and 10 + 2·1
    assert (star.features @ torch.arange(8).double()).tolist() == [7, 9, 11, 13, 15, 17, 20]  # 2i + 7 and 6 + 2·7
    assert star.mdp.transition_probs[:, 1].tolist() == [[0] * 6 + [1]] * 7
    assert star.mdp.transition_probs[:, 0].tolist() == [[1 / 6] * 6 + [0]] * 7
    assert torch.linalg.matrix_rank(star.features) == 7 and star.features.shape == (7, 8)
    assert (star.discount, problem.discount) == (0.99, 0.99)


def update(problem, policy=None, weights=None):
    backup = policy_backup_matrix(problem.mdp, problem.evaluation if policy is None else policy, problem.discount)
    return semi_gradient(backup, problem.features, problem.state_weights if weights is None else weights)


@pytest.mark.parametrize("discount", [0.0, 0.3, 0.5, 0.6, 0.8, 5 / 6, 0.9, 0.99])
@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_two_states_in_closed_form(discount, share):
    """Both targets are 2γw. Weighted by d and 1 − d: w' = 2γ (d + 2(1 − d)) / (d + 4(1 − d)) · w."""
    problem, weights = two_state(discount), torch.tensor([share, 1 - share], dtype=double)
    backup = policy_backup_matrix(problem.mdp, problem.evaluation, discount)
    growth = fitted_iteration(backup, problem.features, weights).matrix
    assert float(growth) == pytest.approx(2 * discount * (2 - share) / (4 - 3 * share), abs=1e-14)
    # One step on the first transition: w + α(2γw − w). On the second: w + 2α(2γw − 2w).
    step = share * (2 * discount - 1) + (1 - share) * (4 * discount - 4)
    assert float(iteration_matrix(update(problem, weights=weights), 0.1)) == pytest.approx(1 + 0.1 * step, abs=1e-14)
    if share == 0.5:
        assert (float(growth) > 1 + 1e-9) == (discount > 5 / 6 + 1e-9)
    if share == 0.0:  # where the evaluation policy itself would be
        assert float(growth) == pytest.approx(discount)


@pytest.mark.parametrize("discount", [0.0, 0.5, 0.85, 15 / 17, 0.9, 0.99])
def test_bairds_problem_in_closed_form(discount):
    """By symmetry two numbers move, u = V(upper) and v = V(6). With δ = γv − u above and (γ − 1)v below, over 7:

    u' = 10 δ + 2(γ − 1)v and v' = 12 δ + 5(γ − 1)v: trace (17γ − 15)/7, determinant 26(1 − γ)/49.
    Both eigenvalues have the sign of the trace: it diverges from γ = 15/17 on, however small the step.
    """
    trace, determinant = (17 * discount - 15) / 7, 26 * (1 - discount) / 49
    root = complex(trace ** 2 / 4 - determinant) ** 0.5
    eigenvalues = torch.linalg.eigvals(update(baird(discount)).matrix)
    for expected in (-(trace / 2 + root), -(trace / 2 - root)):
        assert min(abs(complex(found) - expected) for found in eigenvalues) < 1e-7
    diverges = float(eigenvalues.real.min()) < -1e-7
    assert diverges == (discount > 15 / 17 + 1e-9)
    if discount == 0.99:
        assert (trace / 2 + root).real == pytest.approx(0.2392505, abs=1e-7)
        assert spectral_radius(iteration_matrix(update(baird()), 0.01)) == pytest.approx(1.002392505, abs=1e-9)


def test_the_evaluation_policys_own_data_would_not_diverge():
    for problem in (two_state(), baird()):
        weights = stationary_distribution(problem.mdp, problem.evaluation)
        assert float(torch.linalg.eigvals(update(problem, weights=weights).matrix).real.min()) > -1e-9


def samples(problem, policy, steps, seed=0):
    """(s, a, s') along one path of a policy, which begins in the first state."""
    noise, state = uniforms((steps, 2), generator(seed, "path")), torch.tensor(0)
    for chance in noise:
        action = sample_index(policy[state], chance[0])
        following = problem.mdp.transition(state, action, chance[1:])
        yield state, action, following
        state = following


def semi_gradient_from_samples(problem, steps, learning_rate):
    """‖w‖ after TD(0) with importance ratios π/β on the behaviour's path."""
    parameters = problem.initial_parameters
    for state, action, following in samples(problem, problem.behaviour, steps):
        now, after = problem.features[state], problem.features[following]
        ratio = problem.evaluation[state, action] / problem.behaviour[state, action]
        error = problem.discount * after @ parameters - now @ parameters
        parameters = parameters + learning_rate * ratio * error * now
    return float(parameters.norm())


def test_samples_diverge_as_well():
    # The expected growth is 1.0235¹⁰⁰⁰ ≈ 10¹⁰ and 1.012¹⁰⁰⁰ ≈ 10⁵; a path grows more slowly than the mean over paths.
    two, star = (semi_gradient_from_samples(problem, 1000, 0.05) for problem in (two_state(), baird()))
    assert two > 1e4 and star > 1e3


def test_the_coin_by_samples_of_one_next_state():
    """Steps on δ², each from one sample, hover about ¾ and ¼ (γ = 1) and not about the true 1 and 0.

    Eight seeds of the average over 18,000 episodes lay within 0.006 of these; the tolerance is 0.015.
    """
    values, total = [0.0, 0.0, 0.0], torch.zeros(3, dtype=double)
    for episode, heads in enumerate((uniforms((20_000,), generator(0, "coin")) < 0.5).tolist()):
        side = 1 if heads else 2
        error = values[side] - values[0]
        values[0] += 0.02 * error
        values[side] -= 0.02 * error
        values[side] += 0.02 * (float(heads) - values[side])
        if episode >= 2000:
            total += torch.tensor(values, dtype=double) / 18_000
    problem = split(1.0)
    by_formula = fixed_point(residual_gradient_one_sample(problem.mdp, problem.evaluation, problem.features,
                                                          problem.state_weights, 1.0))
    torch.testing.assert_close(by_formula, torch.tensor([0.5, 0.75, 0.25], dtype=double), rtol=0, atol=1e-12)
    torch.testing.assert_close(total, by_formula, rtol=0, atol=0.015)


@pytest.mark.parametrize("problem, discount", [(two_state, 1.0), (baird, 1.0), (split, 1.1)])
def test_bad_discounts_are_refused(problem, discount):
    with pytest.raises(ValueError, match="discount: expected a number in"):
        problem(discount)
