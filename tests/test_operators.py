"""Backups, projections and their compositions: norms by brute force, values by linear solves, examples by hand."""

import itertools

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_problems import random_mdp, random_policy

from rlcourse.core.seeding import generator
from rlcourse.envs.divergence import baird, split, two_state
from rlcourse.exact.evaluation import policy_evaluation, q_from_value, value_iteration
from rlcourse.exact.operators import (
    Affine, LinearUpdate, bellman_optimality_backup, bellman_value_backup, fitted_iteration, fixed_point,
    iteration_matrix, least_squares, operator_norm, pair_backup_matrix, policy_backup_matrix, projection,
    residual_gradient, residual_gradient_one_sample, semi_gradient, spectral_radius, weighted_norm,
)
from rlcourse.exact.stationary import stationary_distribution

SEEDS = st.integers(0, 10_000)
EXACT = dict(rtol=0, atol=1e-11)
few = settings(max_examples=15, deadline=None)
double = torch.float64


def normal(seed, *shape, name="normal"):
    return torch.randn(shape, generator=generator(seed, name), dtype=double)


def positive(seed, size):
    return torch.rand(size, generator=generator(seed, "weights"), dtype=double) + 0.1


# Backups.

@few
@given(SEEDS)
def test_backups_are_sums_over_everything_that_can_happen(seed):
    mdp, policy, discount = random_mdp(seed, 4, 3), random_policy(seed, 4, 3), 0.9
    q_values, value = normal(seed, 4, 3), normal(seed, 4)
    best, best_of_value = torch.zeros(4, 3, dtype=double), torch.full((4,), -torch.inf, dtype=double)
    mean_of_value, mean_of_pairs = torch.zeros(4, dtype=double), torch.zeros(4, 3, dtype=double)
    for s, a in itertools.product(range(4), range(3)):
        target = best[s, a] = mean_of_pairs[s, a] = float(mdp.reward_table[s, a])
        for after in range(4):
            chance = discount * float(mdp.transition_probs[s, a, after])
            best[s, a] += chance * max(float(q_values[after, action]) for action in range(3))
            target += chance * float(value[after])
            for action in range(3):
                mean_of_pairs[s, a] += chance * float(policy[after, action]) * float(q_values[after, action])
        best_of_value[s] = max(float(best_of_value[s]), target)
        mean_of_value[s] += float(policy[s, a]) * target
    torch.testing.assert_close(bellman_optimality_backup(mdp, q_values, discount), best, **EXACT)
    torch.testing.assert_close(bellman_value_backup(mdp, value, discount), best_of_value, **EXACT)
    backup = policy_backup_matrix(mdp, policy, discount)
    torch.testing.assert_close(backup.matrix @ value + backup.vector, mean_of_value, **EXACT)
    pairs = pair_backup_matrix(mdp, policy, discount)
    torch.testing.assert_close((pairs.matrix @ q_values.flatten() + pairs.vector).view(4, 3), mean_of_pairs, **EXACT)


@few
@given(SEEDS)
def test_fixed_points_are_the_exact_values(seed):
    mdp, policy, discount = random_mdp(seed, 4, 3), random_policy(seed, 4, 3), 0.9
    value, _ = value_iteration(mdp, discount)
    q_values = q_from_value(mdp, value, discount)
    torch.testing.assert_close(bellman_optimality_backup(mdp, q_values, discount), q_values, **EXACT)
    torch.testing.assert_close(bellman_value_backup(mdp, value, discount), value, **EXACT)
    of_policy = policy_evaluation(mdp, policy, discount)
    pairs = pair_backup_matrix(mdp, policy, discount)
    solved = torch.linalg.solve(torch.eye(12, dtype=double) - pairs.matrix, pairs.vector)
    torch.testing.assert_close(solved.view(4, 3), q_from_value(mdp, of_policy, discount), **EXACT)


def test_backups_take_any_batch_shape():
    mdp = random_mdp(0, 4, 3)
    q_values, value = normal(1, 2, 5, 4, 3), normal(2, 2, 5, 4)
    backed, backed_value = (bellman_optimality_backup(mdp, q_values, 0.9), bellman_value_backup(mdp, value, 0.9))
    for i, j in itertools.product(range(2), range(5)):
        torch.testing.assert_close(backed[i, j], bellman_optimality_backup(mdp, q_values[i, j], 0.9), **EXACT)
        torch.testing.assert_close(backed_value[i, j], bellman_value_backup(mdp, value[i, j], 0.9), **EXACT)


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.floats(0, 1), st.floats(1e-3, 1e3))
def test_the_optimality_backup_contracts_by_the_discount(seed, discount, scale):
    mdp = random_mdp(seed, 4, 3, zeros=0.6)
    one, other = scale * normal(seed, 4, 3), scale * normal(seed, 4, 3, name="other")
    after = bellman_optimality_backup(mdp, one, discount) - bellman_optimality_backup(mdp, other, discount)
    assert float(after.abs().max()) <= discount * float((one - other).abs().max()) + 1e-9
    values = bellman_value_backup(mdp, one[:, 0], discount) - bellman_value_backup(mdp, other[:, 0], discount)
    assert float(values.abs().max()) <= discount * float((one - other)[:, 0].abs().max()) + 1e-9


def test_no_smaller_factor_would_do_and_no_other_norm():
    mdp = random_mdp(3, 4, 3)
    q_values = normal(3, 4, 3)
    moved = bellman_optimality_backup(mdp, q_values + 7.0, 0.9) - bellman_optimality_backup(mdp, q_values, 0.9)
    torch.testing.assert_close(moved, torch.full((4, 3), 0.9 * 7.0, dtype=double), **EXACT)
    # All states lead to state 0: an error there is copied to all three, and the 2-norm grows by γ√3.
    to_first = torch.zeros(3, 3, dtype=double)
    to_first[:, 0] = 0.9
    assert operator_norm(to_first) == pytest.approx(0.9)
    assert operator_norm(to_first, torch.ones(3, dtype=double)) == pytest.approx(0.9 * 3 ** 0.5)


# Norms.

@few
@given(SEEDS)
def test_operator_norms_are_reached_and_never_exceeded(seed):
    matrix, weights = normal(seed, 4, 4), positive(seed, 4)
    signs = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=4)), dtype=double)  # corners of the unit cube
    by_corners = float((signs @ matrix.T).abs().max())
    assert operator_norm(matrix) == pytest.approx(by_corners, rel=1e-12)
    vectors = normal(seed, 500, 4, name="vectors")
    stretch = weighted_norm(vectors @ matrix.T, weights) / weighted_norm(vectors, weights)
    norm = operator_norm(matrix, weights)
    assert float(stretch.max()) <= norm * (1 + 1e-12)
    # The largest of ‖Mv‖² / ‖v‖² is the largest solution of the generalised problem MᵀDM v = λ D v.
    diagonal = torch.diag(weights).numpy()
    largest = scipy.linalg.eigh(matrix.T.numpy() @ diagonal @ matrix.numpy(), diagonal, eigvals_only=True)[-1]
    assert norm == pytest.approx(largest ** 0.5, rel=1e-10)


def test_weighted_norm_and_spectral_radius_by_hand():
    weights = torch.tensor([0.25, 0.75], dtype=double)
    assert float(weighted_norm(torch.tensor([2.0, 4.0], dtype=double), weights)) == pytest.approx(13 ** 0.5)
    turn = torch.tensor([[0.0, -2.0], [0.5, 0.0]], dtype=double)  # eigenvalues ±i: radius 1, norms 2
    assert spectral_radius(turn) == pytest.approx(1.0)
    assert operator_norm(turn) == 2.0 == pytest.approx(operator_norm(turn, torch.ones(2, dtype=double)))
    # With d = (4, 1) the lengths of the axes are 2 and 1, and the map sends each onto the other: 2·2/… by hand
    # ‖M e₁‖/‖e₁‖ = 0.5·1/2 and ‖M e₂‖/‖e₂‖ = 2·2/1.
    assert operator_norm(turn, torch.tensor([4.0, 1.0], dtype=double)) == pytest.approx(4.0)


# Projections.

@few
@given(SEEDS)
def test_the_projection_is_numpys_least_squares(seed):
    features, weights, values = normal(seed, 6, 3), positive(seed, 6), normal(seed, 6, name="values")
    root = weights.sqrt().numpy()
    by_numpy = np.linalg.lstsq(root[:, None] * features.numpy(), root * values.numpy(), rcond=None)[0]
    parameters = least_squares(features, weights) @ values
    torch.testing.assert_close(parameters, torch.from_numpy(by_numpy), **EXACT)
    matrix = projection(features, weights)
    torch.testing.assert_close(matrix @ values, features @ parameters, **EXACT)
    torch.testing.assert_close(matrix @ matrix, matrix, **EXACT)
    gram = features.T @ torch.diag(weights) @ features
    formula = features @ torch.linalg.inv(gram) @ features.T @ torch.diag(weights)
    torch.testing.assert_close(matrix, formula, rtol=0, atol=1e-9)
    # And as a map of w: regress on the backed-up values of Φw.
    backup = Affine(normal(seed, 6, 6, name="chain"), values)
    regression = fitted_iteration(backup, features, weights)
    start = normal(seed, 3, name="w")
    backed_up = backup.matrix @ features @ start + backup.vector
    by_numpy = np.linalg.lstsq(root[:, None] * features.numpy(), root * backed_up.numpy(), rcond=None)[0]
    torch.testing.assert_close(regression.matrix @ start + regression.vector, torch.from_numpy(by_numpy),
                               rtol=0, atol=1e-10)


@few
@given(SEEDS, st.integers(1, 5))
def test_the_projection_never_expands_in_its_own_norm(seed, size):
    weights = positive(seed, 6)
    matrix = projection(normal(seed, 6, size), weights)
    assert operator_norm(matrix, weights) == pytest.approx(1.0, abs=1e-10)
    values = normal(seed, 6, name="values")
    pythagoras = weighted_norm(matrix @ values, weights) ** 2 + weighted_norm(values - matrix @ values, weights) ** 2
    assert float(pythagoras) == pytest.approx(float(weighted_norm(values, weights) ** 2), rel=1e-10)


def test_the_projection_expands_in_other_norms():
    # Features 1 and 2, equal weights: Π = (1/5) [[1, 2], [2, 4]]. Its second row sums to 6/5.
    problem = two_state()
    matrix = projection(problem.features, problem.state_weights)
    torch.testing.assert_close(matrix, torch.tensor([[0.2, 0.4], [0.4, 0.8]], dtype=double), **EXACT)
    assert operator_norm(matrix) == pytest.approx(6 / 5, rel=1e-12)
    # Also in the 2-norm of other weights than its own.
    assert operator_norm(matrix, torch.tensor([0.9, 0.1], dtype=double)) > 1.1


def test_singular_features_and_weights_of_zero():
    features = normal(0, 4, 2) @ normal(1, 2, 5)  # five features of rank two
    weights = torch.tensor([0.5, 0.3, 0.2, 0.0], dtype=double)
    fit, values = least_squares(features, weights), normal(2, 4)
    root = weights.sqrt().numpy()
    shortest = np.linalg.lstsq(root[:, None] * features.numpy(), root * values.numpy(), rcond=1e-12)[0]
    torch.testing.assert_close(fit @ values, torch.from_numpy(shortest), **EXACT)
    assert bool((fit[:, 3] == 0).all())


# Compositions.

@settings(max_examples=40, deadline=None)
@given(SEEDS, st.floats(0, 0.999), st.integers(1, 4))
def test_on_policy_the_composition_contracts_in_the_stationary_norm(seed, discount, size):
    mdp, policy = random_mdp(seed, 5, 2, zeros=0.0), random_policy(seed, 5, 2)
    weights = stationary_distribution(mdp, policy)
    features, backup = normal(seed, 5, size), policy_backup_matrix(mdp, policy, discount)
    composed = projection(features, weights) @ backup.matrix
    assert operator_norm(composed, weights) <= discount + 1e-10
    assert spectral_radius(fitted_iteration(backup, features, weights).matrix) <= discount + 1e-10
    # TD(0): xᵀAx > 0 for every x ≠ 0 (Tsitsiklis and Van Roy 1997), so that small steps converge, and
    # A's fixed point is that of the composition.
    update = semi_gradient(backup, features, weights)
    assert float(torch.linalg.eigvalsh(update.matrix + update.matrix.T).min()) > 0
    values = features @ fixed_point(update)
    torch.testing.assert_close(composed @ values + projection(features, weights) @ backup.vector, values,
                               rtol=0, atol=1e-7)


def test_off_policy_the_composition_expands():
    problem = two_state()
    backup = policy_backup_matrix(problem.mdp, problem.evaluation, problem.discount)
    matrix = projection(problem.features, problem.state_weights) @ backup.matrix
    # Π γP = γ (1/5) [[1, 2], [2, 4]] [[0, 1], [0, 1]] = γ [[0, 3/5], [0, 6/5]]: eigenvalues 0 and 6γ/5,
    # norm γ √(9 + 36) / 5.
    assert spectral_radius(matrix) == pytest.approx(6 * 0.99 / 5, rel=1e-12)
    assert operator_norm(matrix, problem.state_weights) == pytest.approx(0.99 * 45 ** 0.5 / 5, rel=1e-12)
    assert operator_norm(matrix) == pytest.approx(0.99 * 6 / 5, rel=1e-12)


def test_in_bairds_problem_the_projection_is_innocent():
    problem = baird()
    matrix = projection(problem.features, problem.state_weights)
    torch.testing.assert_close(matrix, torch.eye(7, dtype=double), **EXACT)
    backup = policy_backup_matrix(problem.mdp, problem.evaluation, problem.discount)
    # γP copies V(6) to all seven states: it expands the 2-norm by γ√7, and yet its powers shrink by γ each.
    assert operator_norm(backup.matrix, problem.state_weights) == pytest.approx(0.99 * 7 ** 0.5, rel=1e-12)
    fitted = fitted_iteration(backup, problem.features, problem.state_weights)
    assert spectral_radius(fitted.matrix) == pytest.approx(0.99, rel=1e-9)


# Expected updates.

@few
@given(SEEDS)
def test_expected_updates_are_means_over_samples(seed):
    mdp, policy, discount = random_mdp(seed, 4, 2), random_policy(seed, 4, 2), 0.9
    features, weights, parameters = normal(seed, 4, 3), positive(seed, 4), normal(seed, 3, name="w")
    semi, residual, one_sample = (torch.zeros(3, dtype=double) for _ in range(3))
    for s in range(4):
        outcomes = [(float(policy[s, a] * mdp.transition_probs[s, a, after]), float(mdp.reward_table[s, a]), after)
                    for a in range(2) for after in range(4)]
        errors = [r + discount * float(features[after] @ parameters) - float(features[s] @ parameters)
                  for _, r, after in outcomes]
        slopes = [features[s] - discount * features[after] for _, _, after in outcomes]
        chances = [float(weights[s]) * p for p, _, _ in outcomes]
        mean_error = sum(p * error for (p, _, _), error in zip(outcomes, errors))
        for chance, error, slope in zip(chances, errors, slopes):
            semi += chance * error * features[s]
            residual += chance * mean_error * slope  # two independent outcomes
            one_sample += chance * error * slope  # one outcome for both
    backup = policy_backup_matrix(mdp, policy, discount)
    for update, by_hand in ((semi_gradient(backup, features, weights), semi),
                            (residual_gradient(backup, features, weights), residual),
                            (residual_gradient_one_sample(mdp, policy, features, weights, discount), one_sample)):
        torch.testing.assert_close(update.vector - update.matrix @ parameters, by_hand, **EXACT)


@few
@given(SEEDS)
def test_the_residual_gradient_is_a_gradient_and_the_semi_gradient_is_none(seed):
    mdp, policy = random_mdp(seed, 4, 2), random_policy(seed, 4, 2)
    features, weights = normal(seed, 4, 3), positive(seed, 4)
    backup = policy_backup_matrix(mdp, policy, 0.9)
    parameters = normal(seed, 3, name="w").requires_grad_()
    values = features @ parameters
    error = backup.vector + backup.matrix @ values - values
    [gradient] = torch.autograd.grad(-0.5 * (weights * error.square()).sum(), parameters)
    update = residual_gradient(backup, features, weights)
    torch.testing.assert_close((update.vector - update.matrix @ parameters).detach(), gradient, **EXACT)
    # A gradient field has a symmetric Jacobian.
    semi = semi_gradient(backup, features, weights).matrix
    assert float((semi - semi.T).abs().max()) > 1e-4 > 1e-12 > float((update.matrix - update.matrix.T).abs().max())


def test_iterating_the_expected_update_reaches_the_fixed_point():
    mdp, policy = random_mdp(5, 4, 2, zeros=0.0), random_policy(5, 4, 2)
    features, weights = normal(5, 4, 2), stationary_distribution(mdp, policy)
    update = semi_gradient(policy_backup_matrix(mdp, policy, 0.9), features, weights)
    matrix = iteration_matrix(update, 0.1)
    assert spectral_radius(matrix) < 1
    start = parameters = torch.tensor([3.0, -2.0], dtype=double)
    for step in range(1, 5001):
        parameters = parameters + 0.1 * (update.vector - update.matrix @ parameters)
        if step == 7:
            by_matrix = torch.linalg.matrix_power(matrix, 7) @ (start - fixed_point(update)) + fixed_point(update)
            torch.testing.assert_close(parameters, by_matrix, **EXACT)
    torch.testing.assert_close(parameters, fixed_point(update), rtol=0, atol=1e-9)


@pytest.mark.parametrize("problem", [two_state(), baird()], ids=["two states", "Baird"])
def test_where_the_semi_gradient_diverges_the_residual_gradient_converges(problem):
    backup = policy_backup_matrix(problem.mdp, problem.evaluation, problem.discount)
    semi, residual = (rule(backup, problem.features, problem.state_weights)
                      for rule in (semi_gradient, residual_gradient))
    for learning_rate in (1e-4, 1e-2, 0.1):
        assert spectral_radius(iteration_matrix(semi, learning_rate)) > 1
        assert spectral_radius(iteration_matrix(residual, learning_rate)) <= 1 + 1e-12
    # All seven values (or the one) go to 0, in Baird's problem slowly: the smallest eigenvalue is 2·10⁻⁵.
    of_values = problem.features @ torch.linalg.matrix_power(iteration_matrix(residual, 0.5), 2_000_000)
    assert float((of_values @ problem.initial_parameters).abs().max()) < 1e-6
    # The same step from the behaviour's own data converges.
    on_policy = semi_gradient(policy_backup_matrix(problem.mdp, problem.behaviour, problem.discount),
                              problem.features, problem.state_weights)
    assert spectral_radius(problem.features @ torch.linalg.matrix_power(iteration_matrix(on_policy, 0.1), 20_000)
                           @ torch.linalg.pinv(problem.features)) < 1e-6


@pytest.mark.parametrize("discount", [1.0, 0.99, 0.5])
def test_one_sample_of_the_next_state_leads_elsewhere(discount):
    # x = V(1), y = V(2), V(0) = γ(x + y)/2. Minimise γ²(x − y)²/4 + (x − 1)²/2 + y²/2 (weights ½, ¼, ¼, times 2):
    # x + y = 1 and x − y = 1/(1 + γ²). At γ = 1: ¾ and ¼ for the true 1 and 0.
    problem = split(discount)
    features, weights = problem.features, problem.state_weights
    backup = policy_backup_matrix(problem.mdp, problem.evaluation, discount)
    true = torch.tensor([discount / 2, 1, 0], dtype=double)
    for rule in (semi_gradient, residual_gradient):
        torch.testing.assert_close(fixed_point(rule(backup, features, weights)), true, **EXACT)
    once = residual_gradient_one_sample(problem.mdp, problem.evaluation, features, weights, discount)
    gap = 1 / (1 + discount ** 2)
    torch.testing.assert_close(fixed_point(once), torch.tensor([discount / 2, (1 + gap) / 2, (1 - gap) / 2],
                                                               dtype=double), **EXACT)


def test_one_sample_is_enough_where_nothing_is_random():
    problem = two_state()
    once = residual_gradient_one_sample(problem.mdp, problem.evaluation, problem.features, problem.state_weights, 0.9)
    twice = residual_gradient(policy_backup_matrix(problem.mdp, problem.evaluation, 0.9), problem.features,
                              problem.state_weights)
    torch.testing.assert_close(once.matrix, twice.matrix, **EXACT)


# The maximum.

def test_with_the_maximum_fitted_value_iteration_diverges():
    problem = two_state()
    fit, parameters = least_squares(problem.features, problem.state_weights), problem.initial_parameters
    down = -parameters
    for _ in range(20):
        parameters = fit @ bellman_value_backup(problem.mdp, problem.features @ parameters, problem.discount)
        down = fit @ bellman_value_backup(problem.mdp, problem.features @ down, problem.discount)
    # From above: both targets are γ·2w, and w grows by 6γ/5 each time. From below the best is γw, times 3/5.
    assert float(parameters) == pytest.approx((6 * 0.99 / 5) ** 20, rel=1e-12)
    assert float(down) == pytest.approx(-(3 * 0.99 / 5) ** 20, rel=1e-12)


@pytest.mark.parametrize("call, words", [
    (lambda m, p: bellman_optimality_backup(m, torch.zeros(3, 3).double(), 0.9),
     r"q_values: expected shape \[\.\.\., 3, 2\]"),
    (lambda m, p: bellman_value_backup(m, torch.zeros(2).double(), 0.9), r"value: expected shape \[\.\.\., 3\]"),
    (lambda m, p: bellman_value_backup(m, torch.zeros(3).double(), 1.1), "discount: expected a number in"),
    (lambda m, p: policy_backup_matrix(m, p[:2], 0.9), r"policy: expected shape \[3, 2\]"),
    (lambda m, p: pair_backup_matrix(m, 0.9 * p, 0.9), "policy: expected probabilities that sum to 1"),
    (lambda m, p: projection(torch.ones(3, 1).double(), torch.ones(2).double()), r"weights: expected shape \[3\]"),
    (lambda m, p: projection(torch.ones(2, 1).double(), torch.tensor([2.0, -1.0]).double()),
     "weights: expected finite"),
    (lambda m, p: operator_norm(torch.eye(2).double(), torch.tensor([1.0, 0.0]).double()),
     "weights: expected positive"),
    (lambda m, p: operator_norm(torch.ones(2, 3).double()), r"matrix: expected shape \[S, S\]"),
    (lambda m, p: spectral_radius(torch.ones(2, 3).double()), r"matrix: expected shape \[K, K\]"),
    (lambda m, p: iteration_matrix(LinearUpdate(torch.eye(1), torch.ones(1)), 0.0),
     "learning_rate: expected a positive"),
])
def test_bad_input_is_one_line(call, words):
    with pytest.raises(ValueError, match=words):
        call(random_mdp(0), random_policy(0))
