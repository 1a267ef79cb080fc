"""Every policy gradient estimate, over all that can happen, against automatic differentiation of the exact J.

Numbers with four or more digits are those of `two_rooms` over three steps, as the lecture shows them.
"""

import pytest
import torch
from random_problems import random_mdp
from small_problems import bandit, with_an_end

from rlcourse.core.seeding import generator
from rlcourse.envs.tabular import TabularMDP
from rlcourse.envs.two_rooms import two_rooms
from rlcourse.equations import policy_gradient as pg
from rlcourse.equations.natural_gradient import (categorical_fisher, natural_gradient, pulled_back_fisher,
                                                  score_fisher)
from rlcourse.equations.returns import discounted_return, gae, reward_to_go
from rlcourse.exact import policy_gradient as exact
from rlcourse.exact.evaluation import finite_horizon_values
from rlcourse.exact.propagation import state_marginals

double = torch.float64
EXACT = dict(rtol=0, atol=1e-10)
HORIZON = 3
LOGITS = torch.tensor([[0.3, -0.2], [-0.5, 0.4]], dtype=double)


def random_logits(shape, seed):
    return torch.randn(shape, generator=generator(seed, "logits"), dtype=double)


def of_batches(batches, weight):
    """Mean [P] and covariance [P, P] of the estimate with this weight, over all batches."""
    return exact.moments(batches.prob, pg.gradient_estimate(batches.score, weight))


def whole(batches, discount=1.0):
    return discounted_return(batches.reward, batches.terminated, batches.truncated, discount=discount)


def later(batches, discount=1.0):
    return reward_to_go(batches.reward, batches.terminated, batches.truncated, discount=discount)


PROBLEMS = [pytest.param(two_rooms(), LOGITS, id="two rooms"),
            pytest.param(random_mdp(1), random_logits((3, 2), 1), id="random"),
            pytest.param(random_mdp(2), random_logits((HORIZON, 3, 2), 2), id="logits that change with time"),
            pytest.param(with_an_end(3), random_logits((3, 2), 3), id="episodes that terminate"),
            pytest.param(with_an_end(4), random_logits((HORIZON, 3, 2), 4), id="both")]


@pytest.mark.parametrize("mdp, logits", PROBLEMS)
@pytest.mark.parametrize("discount", [1.0, 0.8])
def test_the_objective_and_its_gradient_three_ways(mdp, logits, discount):
    batches = exact.every_batch(mdp, logits, HORIZON)
    assert float(batches.prob.sum()) == pytest.approx(1.0, abs=1e-12)
    powers = discount ** torch.arange(HORIZON, dtype=double)
    enumerated = batches.prob @ torch.einsum("t,tr->r", powers, batches.reward[:, :, 0])
    assert float(exact.objective(mdp, logits, HORIZON, discount)) == pytest.approx(float(enumerated), abs=1e-12)
    gradient = exact.gradient_by_autograd(mdp, logits, HORIZON, discount)
    torch.testing.assert_close(exact.gradient_by_theorem(mdp, logits, HORIZON, discount), gradient, **EXACT)
    nudge = random_logits(logits.shape, 9)
    ahead, behind = (exact.objective(mdp, logits + step * nudge, HORIZON, discount) for step in (1e-5, -1e-5))
    assert float((ahead - behind) / 2e-5) == pytest.approx(float((gradient * nudge).sum()), rel=1e-6)


@pytest.mark.parametrize("mdp, logits", PROBLEMS)
def test_scores_are_the_derivatives_of_the_log_probabilities(mdp, logits):
    batches = exact.every_batch(mdp, logits, 3)
    free = logits.clone().requires_grad_()
    table = torch.log_softmax(free, -1)
    for r in range(0, len(batches.prob), 17):
        for t in range(3):
            row = table[batches.state[t, r, 0]] if logits.ndim == 2 else table[t, batches.state[t, r, 0]]
            log_prob = row[batches.action[t, r, 0]] * batches.valid[t, r, 0]
            expected = torch.autograd.grad(log_prob, free, retain_graph=True)[0].flatten()
            torch.testing.assert_close(batches.score[t, r, 0], expected, **EXACT)
            assert float(batches.log_prob[t, r, 0]) == pytest.approx(float(log_prob.detach()), abs=1e-12)


@pytest.mark.parametrize("size", [1, 2])
def test_every_episode_of_every_batch_ends_exactly_once(size):
    mdp = with_an_end(3)
    batches = exact.every_batch(mdp, random_logits((3, 2), 3), 2, size)
    ends = batches.terminated | batches.truncated
    assert bool((ends.sum(0) == 1).all()) and not bool((batches.terminated & batches.truncated).any())
    for r in range(len(batches.prob)):
        for i in range(size):
            path = batches.state[:, r, i].tolist()
            over = path.index(2) if 2 in path else None  # the time of arrival at the terminal state
            assert batches.terminated[:, r, i].tolist() == [over == t + 1 for t in range(2)]
            assert batches.truncated[:, r, i].tolist() == [False, over is None]
            assert batches.valid[:, r, i].tolist() == [over is None or t < over for t in range(2)]
            assert not batches.score[~batches.valid[:, r, i], r, i].any()


@pytest.mark.parametrize("mdp, logits", PROBLEMS)
@pytest.mark.parametrize("discount", [1.0, 0.8])
def test_every_unbiased_estimate_is_unbiased(mdp, logits, discount):
    gradient = exact.gradient_by_autograd(mdp, logits, HORIZON, discount).flatten()
    batches = exact.every_batch(mdp, logits, HORIZON)
    ends = (batches.terminated, batches.truncated)
    option_two = pg.discount_weight(batches.reward, *ends, discount=discount, option=2)
    baseline = random_logits((HORIZON + 1, mdp.num_states), 5)  # any numbers that do not know the action
    baseline[-1] = 0.0
    if mdp.terminal is not None:
        baseline[:, mdp.terminal] = 0.0
    time = torch.arange(HORIZON)[:, None, None]
    here, there = baseline[time, batches.state[:-1]], baseline[time + 1, batches.state[1:]]
    advantage = gae(batches.reward, here, there, *ends, discount=discount, gae_lambda=1.0)
    values, q_values = finite_horizon_values(mdp, torch.softmax(logits, -1), HORIZON, discount=discount)
    powers = discount ** time.to(double)
    true_value, next_value = values[time, batches.state[:-1]], values[time + 1, batches.state[1:]]
    weights = {"total return": whole(batches, discount), "its difference to 7.5": whole(batches, discount) - 7.5,
               "reward-to-go": option_two, "a baseline for every state and time": option_two - here,
               "advantages, λ = 1, wrong values": powers * advantage,
               "exact Q": powers * q_values[time, batches.state[:-1], batches.action]}
    for gae_lambda in (0.0, 0.7):
        right = gae(batches.reward, true_value, next_value, *ends, discount=discount, gae_lambda=gae_lambda)
        weights[f"advantages, λ = {gae_lambda}, exact values"] = powers * right
    for name, weight in weights.items():
        mean, _ = of_batches(batches, weight)
        torch.testing.assert_close(mean, gradient, **EXACT, msg=lambda text, name=name: f"{name}: {text}")
    wrong = gae(batches.reward, here, there, *ends, discount=discount, gae_lambda=0.0)
    assert float((of_batches(batches, powers * wrong)[0] - gradient).norm()) > 0.01  # λ < 1 trusts the values
    past = whole(batches, discount) - option_two
    assert float(of_batches(batches, past)[0].norm()) < 1e-10 < float(past.norm())  # rewards before an action


@pytest.mark.parametrize("mdp, logits", PROBLEMS)
@pytest.mark.parametrize("size", [2, 3])
def test_the_batch_mean_shortens_the_gradient_and_leave_one_out_does_not(mdp, logits, size):
    horizon = 4 - size
    logits = logits if logits.ndim == 2 else logits[:horizon]
    gradient = exact.gradient_by_autograd(mdp, logits, horizon).flatten()
    batches = exact.every_batch(mdp, logits, horizon, size)
    assert float(batches.prob.sum()) == pytest.approx(1.0, abs=1e-12)
    for weight in (whole(batches), later(batches)):
        mean, _ = of_batches(batches, weight - pg.batch_mean(weight))
        torch.testing.assert_close(mean, (1 - 1 / size) * gradient, **EXACT)
        mean, _ = of_batches(batches, weight - pg.leave_one_out(weight))
        torch.testing.assert_close(mean, gradient, **EXACT)
        mean, _ = of_batches(batches, weight - pg.leave_one_out(weight, batches.valid))
        torch.testing.assert_close(mean, gradient, **EXACT)  # also where the others may have ended


def test_the_variance_of_a_batch_is_that_of_one_episode_over_n():
    one, two = (exact.every_batch(two_rooms(), LOGITS, 2, size) for size in (1, 2))
    torch.testing.assert_close(of_batches(two, later(two))[1], of_batches(one, later(one))[1] / 2, **EXACT)


def test_the_exact_covariance_is_what_sampling_finds():
    """20,000 batches, seed 0. Each entry of the covariance within 6 of its standard errors: the chance
    of a false failure, 16 entries at 2e-9 each, is below 1e-7."""
    batches = exact.every_batch(two_rooms(), LOGITS, HORIZON)
    estimate = pg.gradient_estimate(batches.score, later(batches))
    mean, covariance = exact.moments(batches.prob, estimate)
    drawn = torch.multinomial(batches.prob, 20_000, replacement=True, generator=generator(0, "sampling"))
    centred = estimate[drawn] - mean
    products = centred[:, :, None] * centred[:, None, :]
    error = products.std(0) / 20_000 ** 0.5
    assert bool(((products.mean(0) - covariance).abs() <= 6 * error).all())
    assert float(covariance.trace()) == pytest.approx(4.595777062954872, abs=1e-9)


def test_variances_of_two_rooms():
    """The table of the lecture: E‖ĝ − ∇J‖² of one episode, and how it falls."""
    mdp, batches = two_rooms(), exact.every_batch(two_rooms(), LOGITS, HORIZON)
    values, q_values = finite_horizon_values(mdp, torch.softmax(LOGITS, -1), HORIZON)
    time = torch.arange(HORIZON)[:, None, None]
    value = values[time, batches.state[:-1]]
    q_value = q_values[time, batches.state[:-1], batches.action]
    average = batches.prob @ whole(batches)[0]
    table = {"total": whole(batches), "total − average": whole(batches) - average, "to go": later(batches),
             "to go − average": later(batches) - average, "to go − V": later(batches) - value,
             "Q": q_value, "A": q_value - value}
    traces = [round(float(of_batches(batches, weight)[1].trace()), 4) for weight in table.values()]
    assert traces == [7.7667, 4.7827, 4.5958, 3.3512, 1.7602, 3.2173, 0.5551]


def test_an_average_that_helps_one_component_and_hurts_another():
    """Rewards-to-go with and without the average return: room 0 loses (0.742 → 1.193), room 1 gains."""
    batches = exact.every_batch(two_rooms(), LOGITS, HORIZON)
    average = float(batches.prob @ whole(batches)[0, :, 0])
    before, after = (of_batches(batches, later(batches) - b)[1].diagonal()[::2] for b in (0.0, average))
    assert before.tolist() == pytest.approx([0.74207, 1.55582], abs=1e-5)
    assert after.tolist() == pytest.approx([1.19272, 0.48289], abs=1e-5)


def test_at_two_episodes_leave_one_out_is_noisier_than_no_baseline():
    batches = exact.every_batch(two_rooms(), LOGITS, HORIZON, 2)
    weight = whole(batches)
    traces = [float(of_batches(batches, w)[1].trace()) for w in (weight, weight - pg.leave_one_out(weight))]
    assert traces == pytest.approx([3.88336, 5.46707], abs=1e-5)


def parabola(batches, weight, baseline):
    """Variance [P] of each component of Σₜ gₜ (Ψₜ − b)."""
    return exact.moments(batches.prob, (batches.score * (weight[..., None] - baseline)).sum(0)[:, 0])[1].diagonal()


@pytest.mark.parametrize("mdp, logits", PROBLEMS)
def test_optimal_baselines_are_the_bottom_of_the_parabola(mdp, logits):
    """Var(b) = Var(b*) + (b − b*)² E[(Σₜ gₜ)²] exactly, since Σₜ gₜ has mean zero."""
    batches = exact.every_batch(mdp, logits, HORIZON)
    score, prob = batches.score.sum(0)[:, 0], batches.prob
    size = prob @ score.square()
    best = {"total": pg.optimal_baseline(score, whole(batches)[0, :, 0], prob),
            "to go": pg.optimal_reward_to_go_baseline(batches.score[:, :, 0], later(batches)[:, :, 0], prob)}
    for name, weight in (("total", whole(batches)), ("to go", later(batches))):
        bottom = parabola(batches, weight, best[name])
        for away in (-0.5, 0.25, 2.0):
            torch.testing.assert_close(parabola(batches, weight, best[name] + away), bottom + away ** 2 * size,
                                       **EXACT)
    scalars = {"total": pg.optimal_baseline(score, whole(batches)[0, :, 0], prob, per_component=False),
               "to go": pg.optimal_reward_to_go_baseline(batches.score[:, :, 0], later(batches)[:, :, 0], prob,
                                                         per_component=False)}
    for name, weight in (("total", whole(batches)), ("to go", later(batches))):
        assert len(set(scalars[name].tolist())) == 1
        bottom = parabola(batches, weight, scalars[name]).sum()
        for away in (-0.5, 0.25):
            moved = parabola(batches, weight, scalars[name] + away).sum()
            assert float(moved) == pytest.approx(float(bottom + away ** 2 * size.sum()), abs=1e-10)


def test_the_formula_of_the_total_return_is_not_the_optimum_of_rewards_to_go():
    batches = exact.every_batch(two_rooms(), LOGITS, HORIZON)
    score = batches.score.sum(0)[:, 0]
    of_total = pg.optimal_baseline(score, whole(batches)[0, :, 0], batches.prob)
    of_later = pg.optimal_reward_to_go_baseline(batches.score[:, :, 0], later(batches)[:, :, 0], batches.prob)
    assert of_total[::2].tolist() == pytest.approx([0.66746, 2.95170], abs=1e-5)
    assert of_later[::2].tolist() == pytest.approx([0.54168, 2.13195], abs=1e-5)
    traces = [float(parabola(batches, later(batches), b).sum()) for b in (of_total, of_later)]
    assert traces == pytest.approx([2.45598, 2.11215], abs=1e-5)


def test_reward_to_go_can_raise_the_variance():
    """Rewards +1 and then −1 whatever is done: the total is 0, the reward-to-go of the second step is −1."""
    probs = torch.zeros(2, 2, 2, dtype=double)
    probs[:, :, 1] = 1.0
    reward = torch.tensor([[1.0, 1.0], [-1.0, -1.0]], dtype=double)
    mdp = TabularMDP(probs, reward, torch.tensor([1.0, 0.0], dtype=double))
    batches = exact.every_batch(mdp, torch.zeros(2, 2, dtype=double), 2)
    assert of_batches(batches, whole(batches))[1].diagonal().tolist() == [0.0] * 4
    assert of_batches(batches, later(batches))[1].diagonal().tolist() == [0.0, 0.0, 0.25, 0.25]


def test_the_average_return_can_be_worse_than_no_baseline():
    """Rewards 0 and 1, π(1) = 3/4, by hand. E g² R / E g² = 1/4 and not the average 3/4: variances
    0 at 1/4, 0.0234 at 0, 0.0938 at 3/4, and 1.148 at 2."""
    batches = exact.every_batch(bandit(0.0, 1.0), torch.tensor([[0.25, 0.75]], dtype=double).log(), 1)
    assert pg.optimal_baseline(batches.score[0, :, 0], batches.reward[0, :, 0], batches.prob).tolist() \
        == pytest.approx([0.25, 0.25], abs=1e-15)
    traces = [float(of_batches(batches, batches.reward - b)[1].trace()) for b in (0.25, 0.0, 0.75, 2.0)]
    assert traces == pytest.approx([0.0, 3 / 128, 3 / 32, 147 / 128], abs=1e-12)


def test_a_baseline_that_knows_the_action_can_remove_the_gradient_itself():
    """b(s, a) = Q(s, a): unbiasedness fails as badly as it can, although the variance falls."""
    mdp, batches = two_rooms(), exact.every_batch(two_rooms(), LOGITS, HORIZON)
    _, q_values = finite_horizon_values(mdp, torch.softmax(LOGITS, -1), HORIZON)
    baseline = q_values[torch.arange(HORIZON)[:, None, None], batches.state[:-1], batches.action]
    mean, covariance = of_batches(batches, later(batches) - baseline)
    assert float(mean.norm()) < 1e-12 and float(covariance.trace()) == pytest.approx(1.33838, abs=1e-5)
    assert float(exact.gradient_by_autograd(mdp, LOGITS, HORIZON).norm()) > 0.6


def test_the_optimal_baseline_of_the_same_batch_is_biased():
    batches = exact.every_batch(two_rooms(), LOGITS, HORIZON, 2)
    score, weight = batches.score.sum(0), whole(batches)[0]
    baseline = pg.optimal_baseline(score, weight)
    mean = batches.prob @ (score * (weight[..., None] - baseline[:, None])).mean(1)
    gradient = exact.gradient_by_autograd(two_rooms(), LOGITS, HORIZON).flatten()
    assert (mean / gradient)[::2].tolist() == pytest.approx([0.29716, 0.16606], abs=1e-5)


def test_normalised_returns_by_hand():
    """Rewards 0 and c, π = (½, ½), N = 2: unequal arms give ±1 whatever c is, so the mean is (−¼, ¼)."""
    for c in (1.0, 10.0, 0.01):
        batches = exact.every_batch(bandit(0.0, c), torch.zeros(1, 2, dtype=double), 1, 2)
        mean, _ = of_batches(batches, pg.normalised(batches.reward))
        assert mean.tolist() == pytest.approx([-0.25, 0.25], abs=1e-6)  # the gradient is c times this


def test_normalised_returns_turn_the_gradient():
    """Two rooms, N = 2: the expected estimate is 0.285 times the gradient in room 0, 0.220 in room 1."""
    batches = exact.every_batch(two_rooms(), LOGITS, HORIZON, 2)
    gradient = exact.gradient_by_autograd(two_rooms(), LOGITS, HORIZON).flatten()
    total, _ = of_batches(batches, pg.normalised(whole(batches)))
    assert (total / gradient)[::2].tolist() == pytest.approx([0.28542, 0.21957], abs=1e-5)
    # Advantages of all steps normalised together, as PPO does it:
    flat = pg.normalised(later(batches).movedim(0, -1).flatten(1)).unflatten(1, (2, HORIZON)).movedim(-1, 0)
    together, _ = of_batches(batches, flat)
    assert (together / gradient)[::2].tolist() == pytest.approx([0.12548, 0.29022], abs=1e-5)
    assert float(torch.cosine_similarity(together, gradient, dim=0)) == pytest.approx(0.96235, abs=1e-5)


@pytest.mark.parametrize("mdp, logits", PROBLEMS)
def test_discount_option_1_ends_where_the_theorem_without_powers_says(mdp, logits):
    batches = exact.every_batch(mdp, logits, HORIZON)
    weight = pg.discount_weight(batches.reward, batches.terminated, batches.truncated, discount=0.8, option=1)
    expected = exact.gradient_by_theorem(mdp, logits, HORIZON, 0.8, option=1).flatten()
    torch.testing.assert_close(of_batches(batches, weight)[0], expected, **EXACT)
    assert float((expected - exact.gradient_by_autograd(mdp, logits, HORIZON, 0.8).flatten()).norm()) > 1e-3
    undiscounted = exact.gradient_by_theorem(mdp, logits, HORIZON, 1.0, option=1)
    torch.testing.assert_close(undiscounted, exact.gradient_by_autograd(mdp, logits, HORIZON), **EXACT)


def test_discount_option_1_is_the_gradient_of_nothing():
    """A gradient has a symmetric Jacobian. Option 2's is; option 1's is off by 0.007 in two rooms."""
    def asymmetry(option):
        def field(flat):
            return exact.gradient_by_theorem(two_rooms(), flat.reshape(2, 2), HORIZON, 0.9, option).flatten()
        jacobian = torch.autograd.functional.jacobian(field, LOGITS.flatten())
        return float((jacobian - jacobian.T).abs().max())

    assert asymmetry(2) < 1e-15
    assert asymmetry(1) == pytest.approx(0.00699066, abs=1e-8)


def test_discount_option_1_can_prefer_the_worse_policy():
    """Two steps, γ = ½: action 1 earns 3 in room 0, action 0 earns 4 afterwards in room 1.

    One parameter θ prefers action 1 in both rooms. ∂J/∂θ = ¼ · 3 − ½ · ¼ · 4 = ¼, but option 1 forgets
    the ½ and goes the other way, down in J.
    """
    probs = torch.zeros(2, 2, 2, dtype=double)
    probs[:, :, 1] = 1.0
    reward = torch.tensor([[0.0, 3.0], [4.0, 0.0]], dtype=double)
    mdp = TabularMDP(probs, reward, torch.tensor([1.0, 0.0], dtype=double))
    tied = torch.tensor([0.0, 1.0, 0.0, 1.0], dtype=double)  # d logits / d θ, the same in both rooms
    even = torch.zeros(2, 2, dtype=double)
    slopes = [float(exact.gradient_by_theorem(mdp, even, 2, 0.5, option).flatten() @ tied) for option in (1, 2)]
    assert slopes == [-0.25, 0.25]
    better = [float(exact.objective(mdp, (step * tied).reshape(2, 2), 2, 0.5)) for step in (-1.0, 1.0)]
    assert better[0] < better[1]


def test_ppo_at_ratio_one_follows_the_policy_gradient():
    """The exact expectation of the loss, differentiated: ∇J at π = π_old."""
    mdp = two_rooms()
    batches = exact.every_batch(mdp, LOGITS, HORIZON)
    free = LOGITS.clone().requires_grad_()
    log_prob = torch.log_softmax(free, -1)[batches.state[:-1], batches.action]
    gain = pg.clipped_surrogate(log_prob, batches.log_prob, later(batches), clip_range=0.2)
    expected = exact.gradient_by_autograd(mdp, LOGITS, HORIZON)
    ascent = torch.autograd.grad((batches.prob[:, None] * gain).sum(), free)[0]
    torch.testing.assert_close(ascent, expected, **EXACT)
    log_prob = torch.log_softmax(free, -1)[batches.state[:-1], batches.action]
    loss = pg.surrogate_loss(log_prob, later(batches))
    descent = torch.autograd.grad((batches.prob[:, None] * loss).sum(), free)[0]
    torch.testing.assert_close(descent, -expected, **EXACT)


def test_the_fisher_matrix_of_a_table_three_ways_and_kakades_advantage():
    mdp, discount = two_rooms(), 0.9
    fisher = exact.softmax_fisher(mdp, LOGITS, HORIZON, discount)
    batches = exact.every_batch(mdp, LOGITS, HORIZON)
    powers = discount ** torch.arange(HORIZON, dtype=double)
    weight = powers[:, None] * batches.prob / powers.sum()
    from_scores = score_fisher(batches.score[:, :, 0].flatten(0, 1), weight.flatten())
    torch.testing.assert_close(from_scores, fisher, **EXACT)
    policy = torch.softmax(LOGITS, -1)
    occupancy = powers @ state_marginals(mdp, policy, HORIZON)[:-1] / powers.sum()
    selection = torch.eye(4, dtype=double).reshape(2, 2, 4)
    pulled = pulled_back_fisher(selection, categorical_fisher(LOGITS), occupancy)
    torch.testing.assert_close(pulled, fisher, **EXACT)
    # Kakade 2001: the natural gradient is the (mean) advantage, up to a constant per state.
    values, q_values = finite_horizon_values(mdp, policy, HORIZON, discount=discount)
    marginals = powers[:, None] * state_marginals(mdp, policy, HORIZON)[:-1]
    advantage = torch.einsum("ts,tsa->sa", marginals, q_values - values[:-1, :, None]) / occupancy[:, None]
    gradient = exact.gradient_by_autograd(mdp, LOGITS, HORIZON, discount).flatten()
    natural = natural_gradient(fisher, gradient).reshape(2, 2)
    torch.testing.assert_close(natural, advantage - advantage.mean(-1, keepdim=True), **EXACT)


def test_too_many_batches_are_refused():
    with pytest.raises(ValueError, match=r"batch_size: expected at most 200000 batches, got 128\^3 = 2097152"):
        exact.every_batch(two_rooms(), LOGITS, HORIZON, 3)
    with pytest.raises(ValueError, match="option: expected 1 or 2, got 3"):
        exact.gradient_by_theorem(two_rooms(), LOGITS, HORIZON, option=3)
