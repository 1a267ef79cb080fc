"""The numbers of the advantage-estimates widget, against lists of paths and matrix powers, and its promises."""

import itertools

import numpy as np
import pytest

from rlcourse.envs.corridor import corridor, corridor_policy
from rlcourse.plots import advantage_estimates as plot
from rlcourse.plots.figures import new_figure
from rlcourse.widgets.app.advantage_estimates import describe
from rlcourse.widgets.models import advantage_estimates as model
from rlcourse.widgets.models.advantage_estimates import FLAT, RANDOM, SAME, STEPS, compute, curve

PROBS, REWARD, POLICY = (table.numpy() for table in (corridor().transition_probs, corridor().reward_table,
                                                     corridor_policy()))
CHAIN = np.einsum("sa,sax->sx", POLICY, PROBS)
OFTEN = np.linalg.matrix_power(CHAIN, 4096)[0]  # where the walk is in the long run
MET = OFTEN[:, None] * POLICY


def truth(discount):
    """(V, A, √E A²) by going 3000 steps back."""
    value = np.zeros(8)
    for _ in range(3000):
        value = (POLICY * (REWARD + discount * PROBS @ value)).sum(1)
    advantage = REWARD + discount * PROBS @ value - value[:, None]
    return value, advantage, np.sqrt((MET * advantage ** 2).sum())


def best(discount, kind, error, batch_size, family="gae"):
    """The λ of the least error."""
    found = curve(discount, kind, error, family)
    return found.gae_lambda[found.gradient_error(batch_size).argmin()]


def gap(**controls):
    frame = compute(**controls)
    return frame.mean[1] - frame.mean[0]


def test_the_corridor_is_what_its_docstring_says():
    for cell in range(8):
        for action, ahead in ((0, 0.2), (1, 0.8)):
            expected = np.zeros(8)
            expected[(cell + 1) % 8] += ahead
            expected[max(cell - 1, 0)] += 1 - ahead
            assert np.allclose(PROBS[cell, action], expected)
            assert REWARD[cell, action] == pytest.approx(ahead if cell == 7 else 0.0)
    assert np.allclose(POLICY, [[0.4, 0.6]] * 8) and np.allclose(OFTEN @ CHAIN, OFTEN)


@pytest.mark.parametrize("discount", (0.8, 0.98))
def test_the_critics_are_wrong_by_what_they_say(discount):
    value, _, _ = truth(discount)
    level = OFTEN @ value
    spread = np.sqrt(OFTEN @ (value - level) ** 2)
    same, flat, noisy = (model.critic(discount, kind, 0.5).numpy() - value for kind in model.KINDS)
    assert np.allclose(same, 0.5 * spread) and np.allclose(flat, -0.5 * (value - level))
    assert OFTEN @ noisy == pytest.approx(0, abs=1e-12) and OFTEN @ noisy ** 2 == pytest.approx(0.25 * spread ** 2)
    assert np.allclose(2 * noisy, model.critic(discount, RANDOM, 1.0).numpy() - value)  # the same draw
    # Random means that neighbours differ: by more than a critic of the other two kinds makes them differ.
    assert np.abs(np.diff(noisy)).mean() > 1.5 * np.abs(np.diff(flat)).mean()


def every_path(state, action, steps):
    """(probability, states, actions) of all paths of so many steps from (s, a)."""
    paths = [(1.0, [state], [action])]
    for k in range(steps):
        grown = []
        for prob, states, actions in paths:
            for following in np.flatnonzero(PROBS[states[-1], actions[-1]]):
                likely = prob * PROBS[states[-1], actions[-1], following]
                for chosen, weight in ((0, 0.4), (1, 0.6)) if k < steps - 1 else ((0, 1.0),):
                    grown.append((likely * weight, states + [following], actions + [chosen]))
        paths = grown
    return paths


@pytest.mark.parametrize("steps", (1, 2, 4))
def test_n_step_curve_against_the_list_of_all_paths(steps):
    """Rewards up to t + n − 1 and then γⁿ V̂; the scores written out, the gradient as a sum over all pairs."""
    discount, (_, advantage, unit) = 0.9, truth(0.9)
    critic = model.critic(discount, RANDOM, 0.75).numpy()
    bias, variance = np.zeros((8, 2)), np.zeros((8, 2))
    exact, mean, square = np.zeros(16), np.zeros(16), 0.0
    for s, a in itertools.product(range(8), range(2)):
        score = np.zeros((8, 2))
        score[s] = np.eye(2)[a] - POLICY[s]
        prob, estimate = [], []
        for likely, states, actions in every_path(s, a, steps):
            rewards = sum(discount ** k * REWARD[states[k], actions[k]] for k in range(steps))
            prob.append(likely)
            estimate.append(rewards + discount ** steps * critic[states[-1]] - critic[s])
        prob, estimate = np.array(prob), np.array(estimate)
        bias[s, a] = prob @ estimate - advantage[s, a]
        variance[s, a] = prob @ estimate ** 2 - (prob @ estimate) ** 2
        exact += MET[s, a] * score.ravel() * advantage[s, a]
        mean += MET[s, a] * score.ravel() * (prob @ estimate)
        square += MET[s, a] * (score ** 2).sum() * (prob @ estimate ** 2)
    common = (POLICY * bias).sum(1, keepdims=True)
    length = np.linalg.norm(exact)
    found, at = curve(discount, RANDOM, 0.75, "n-step"), STEPS.index(steps)
    assert found.gae_lambda[at] == pytest.approx(1 - 1 / steps)
    assert found.between[at] * unit == pytest.approx(np.sqrt((MET * (bias - common) ** 2).sum()))
    assert found.common[at] * unit == pytest.approx(np.sqrt(OFTEN @ common[:, 0] ** 2))
    assert found.noise[at] * unit == pytest.approx(np.sqrt((MET * variance).sum()))
    assert found.gradient_bias[at] * length == pytest.approx(np.linalg.norm(mean - exact))
    assert found.gradient_noise[at] * length == pytest.approx(np.sqrt(square - mean @ mean))
    assert found.gradient_error(100)[at] == pytest.approx(np.sqrt(
        ((mean - exact) @ (mean - exact) + (square - mean @ mean) / 100)) / length)


@pytest.mark.parametrize("kind", model.KINDS)
def test_bias_of_gae_as_the_mixture_of_n_step_biases(kind):
    """γⁿ E[e(s after n steps)] − e(s), weighted by (1 − λ) λⁿ⁻¹: matrix powers in place of a linear system."""
    discount, (value, advantage, unit) = 0.95, truth(0.95)
    error = model.critic(discount, kind, 1.0).numpy() - value
    found = curve(discount, kind, 1.0, "gae")
    length = np.linalg.norm(MET * advantage)
    for at in range(0, len(found.gae_lambda), 5):
        gae_lambda, bias, ahead = found.gae_lambda[at], np.zeros((8, 2)), error
        for n in range(1, 400):
            bias += (1 - gae_lambda) * gae_lambda ** (n - 1) * discount ** n * (PROBS @ ahead)
            ahead = CHAIN @ ahead
        bias -= error[:, None]
        between = bias - (POLICY * bias).sum(1, keepdims=True)
        assert found.between[at] * unit == pytest.approx(np.sqrt((MET * between ** 2).sum()), abs=1e-12)
        assert found.common[at] * unit == pytest.approx(np.sqrt((MET * (bias - between) ** 2).sum()))
        assert found.gradient_bias[at] * length == pytest.approx(np.linalg.norm(MET * between), abs=1e-12)


def test_the_two_curves_meet_at_both_ends_and_the_axis_holds_them():
    for kind in model.KINDS:
        gae, n_step = curve(0.95, kind, 1.0, "gae"), curve(0.95, kind, 1.0, "n-step")
        for end in (0, -1):
            for name in ("place", "between", "common", "noise", "gradient_bias", "gradient_noise"):
                assert getattr(gae, name)[end] == pytest.approx(getattr(n_step, name)[end], abs=1e-12)
        assert (np.diff(gae.place) > 0).all() and (np.diff(n_step.place) > 0).all()
        assert set(model.LAMBDAS) <= set(gae.gae_lambda)
    assert STEPS[-1] is None and {compute(x, 0.95, SAME, 1.0, 10).steps for x in model.LAMBDAS} < set(STEPS)


@pytest.mark.parametrize("gae_lambda, discount", [(0.0, 0.95), (0.8, 0.8), (0.98, 0.98), (1.0, 0.95)])
def test_the_cloud_against_a_loop_and_has_the_exact_mean_and_spread(gae_lambda, discount):
    """150 estimates, luck fixed (seed 0): mean within 4 standard errors, spread within a fifth. A right formula
    fails the first for less than one seed in 10 000, the second (which deviates by 6 to 8 %) in 50."""
    frame = compute(gae_lambda, discount, RANDOM, 1.0, 10)
    critic = model.critic(discount, RANDOM, 1.0).numpy()
    state, action = (table.numpy() for table in model.trajectories())
    assert (state[0] == model.CELL).all() and (action[0, 0] == 0).all() and (action[0, 1] == 1).all()
    for row, draw in ((0, 0), (1, 7), (1, 149)):
        s, a = state[:, row, draw], action[:, row, draw]
        delta = REWARD[s[:-1], a] + discount * critic[s[1:]] - critic[s[:-1]]
        total = sum((discount * gae_lambda) ** k * delta[k] for k in range(model.LENGTH))
        assert frame.estimates[row, draw] * frame.unit == pytest.approx(total)
    assert (np.abs(frame.estimates.mean(1) - frame.mean) < 4 * frame.deviation / model.DRAWS ** 0.5).all()
    assert np.allclose(frame.estimates.std(1), frame.deviation, rtol=0.2)
    _, advantage, unit = truth(discount)
    assert np.allclose(frame.exact, advantage[model.CELL] / unit) and frame.unit == pytest.approx(unit)


def test_the_walks_are_those_of_the_corridor():
    """90 000 steps: share of forward actions and of slips within 4.5 standard errors, 0.0074 and 0.006."""
    state, action = (table.numpy() for table in model.trajectories())
    ahead = state[1:] == (state[:-1] + 1) % 8
    assert np.isin(state[1:] - state[:-1], (1, -1, 0, -7)).all()
    assert abs(action[1:].mean() - 0.6) < 0.0074
    assert abs((ahead != (action == 1)).mean() - 0.2) < 0.006


def test_what_the_prediction_says():
    """All values shifted: no bias of any gradient, (γ − 1) c and −c in the estimates, 2 % and 21 % more noise."""
    for discount in (0.8, 0.95, 0.98):
        for family in ("gae", "n-step"):
            found = curve(discount, SAME, 1.0, family)
            assert found.gradient_bias.max() < 1e-12 and found.between.max() < 1e-12
        value, _, unit = truth(discount)
        shift = np.sqrt(OFTEN @ (value - OFTEN @ value) ** 2) / unit
        for gae_lambda, factor in ((0.0, discount - 1), (1.0, -1.0)):
            frame = compute(gae_lambda, discount, SAME, 1.0, 10)
            assert np.allclose(frame.mean - frame.exact, factor * shift)
    more = curve(0.95, SAME, 1.0, "gae").gradient_noise / curve(0.95, SAME, 0.0, "gae").gradient_noise
    assert more[0] == pytest.approx(1.02, abs=0.005) and more[-1] == pytest.approx(1.21, abs=0.006)
    for kind in (FLAT, RANDOM):
        assert curve(0.95, kind, 1.0, "gae").gradient_bias[0] > 1


def test_what_the_first_suggestion_promises():
    """With a right critic λ = 0 is best for every γ and N, and nothing is biased; the end costs 2 or 6 times."""
    for discount, times in ((0.8, 2.1), (0.9, None), (0.95, None), (0.98, 6.0)):
        found = curve(discount, RANDOM, 0.0, "gae")
        assert max(found.between.max(), found.common.max()) < 1e-12
        assert all(found.gradient_error(n).argmin() == 0 for n in model.BATCHES)
        if times is not None:
            assert found.noise[-1] / found.noise[0] == pytest.approx(times, abs=0.05)


def test_what_the_second_suggestion_promises():
    """The best λ grows with the batch, and with the error."""
    by_batch = [best(0.95, RANDOM, 0.3, n) for n in model.BATCHES]
    by_error = [best(0.95, RANDOM, error, 1000) for error in (0.0, 0.1, 0.3, 1.0)]
    for found in (by_batch, by_error):
        assert (np.diff(found) > 0).all() and found[-1] > 0.9
    assert by_batch[0] < 0.3 and by_error[0] == 0


def test_what_the_third_suggestion_promises():
    """At λ = 1 both means move together, the gap stays; the critic is a baseline, and a bad one costs noise."""
    right = compute(1.0, 0.95, SAME, 0.0, 1000)
    for kind in model.KINDS:
        frame = compute(1.0, 0.95, kind, 1.0, 1000)
        moved = frame.mean - right.mean
        assert moved[0] == pytest.approx(moved[1]) and abs(moved[0]) > 3
        assert np.allclose(frame.estimates - right.estimates, moved[0], atol=0.001)  # 0.95³⁰⁰ is left of the end
        assert frame.gae.gradient_bias[-1] < 1e-12 and frame.gae_error[-1] > 1.15 * right.gae_error[-1]
        assert frame.gae.noise[-1] == pytest.approx(right.gae.noise[-1])


def test_what_the_fourth_suggestion_promises():
    """A critic that is the same everywhere: at λ = 0 one number for both actions of cell 6; then the gap comes."""
    gaps = [gap(gae_lambda=x, discount=0.95, kind=FLAT, error=1.0, batch_size=1000) for x in (0.0, 0.5, 0.8)]
    frame = compute(0.0, 0.95, FLAT, 1.0, 1000)
    assert np.ptp(frame.estimates) < 1e-12 and frame.deviation.max() < 1e-12 and abs(gaps[0]) < 1e-12
    assert 2 < gaps[1] < gaps[2]


def test_what_the_fifth_suggestion_promises():
    """At λ = 0 the actor would step back in cell 6, at every N; from 0.5 on it would not."""
    values = [gap(gae_lambda=x, discount=0.95, kind=RANDOM, error=1.0, batch_size=1000) for x in model.LAMBDAS]
    assert values[0] < -0.3 and values[1] > 0.5 and (np.diff(values) > 0).all()
    frame = compute(0.0, 0.95, RANDOM, 1.0, 1000)
    assert values[-1] == pytest.approx(frame.exact[1] - frame.exact[0])


def test_what_the_sixth_suggestion_promises():
    """By a fifth at the start; n steps win with a flat critic of size 1, γ = 0.98 and the largest batch."""
    def ahead(discount, kind, error, batch_size):
        gae, n_step = (curve(discount, kind, error, name).gradient_error(batch_size).min()
                       for name in ("gae", "n-step"))
        return n_step / gae

    assert ahead(0.95, RANDOM, 0.3, 1000) == pytest.approx(1.22, abs=0.01)
    assert ahead(0.98, FLAT, 1.0, 10_000) < 0.9


def test_the_words_say_what_is_shown():
    words = describe(compute(0.0, 0.95, RANDOM, 0.3, 1000))
    assert "off by 50.5 %, of which bias 44.4 %; the least is 31.6 %, near λ = 0.75, and 38.7 % with 4" in words
    assert "better than back by 3.61, in the mean of the estimates by 2.41" in words
    assert "a bias of 0 between the actions and of 1.04 common to them (all steps" in describe(
        compute(1.0, 0.95, SAME, 0.3, 1000))
    nothing = describe(compute(0.0, 0.95, FLAT, 1.0, 1000))
    assert "GAE has noise 0, " in nothing and "in the mean of the estimates by 0 (0 in those drawn)" in nothing
    assert "the critic is right" in describe(compute(0.0, 0.95, RANDOM, 0.0, 1000))


def test_the_picture_knows_the_models_values():
    assert tuple(plot.LAMBDA_TICKS) == model.LAMBDAS
    steps = [compute(x, 0.95, RANDOM, 0.3, 10).steps for x in model.LAMBDAS]
    assert list(plot.LAMBDA_TICKS.values()) == [*steps[:-1], "∞"] and steps[-1] is None
    assert corridor().action_names == plot.ACTIONS
    figure = new_figure()
    plot.setup(figure, compute(0.0, 0.95, RANDOM, 0.3, 10))
    assert figure.axes[2].get_title().startswith(f"Cell {model.CELL},")


def off_the_axes(discounts, kinds, errors):
    """Settings of which something leaves its panel upwards, or whose totals leave it at all."""
    bad = []
    for discount, kind, error in itertools.product(discounts, kinds, errors):
        for family in ("gae", "n-step"):
            found = curve(discount, kind, error, family)
            total = [found.gradient_error(n) for n in model.BATCHES]
            if max(found.noise.max(), found.between.max(), found.common.max()) > 10 or np.max(total) > 12 \
                    or np.min(total) < 0.05:
                bad.append((discount, kind, error, family))
        frame = compute(1.0, discount, kind, error, 10)
        if np.abs(frame.mean).max() > plot.REACH:
            bad.append((discount, kind, error, "cloud"))
    return bad


def test_the_axes_fit_the_corners():
    assert off_the_axes((0.8, 0.98), model.KINDS, (1.0,)) == []


@pytest.mark.slow
def test_the_axes_fit_every_setting():
    assert off_the_axes((0.8, 0.9, 0.95, 0.98), model.KINDS, (0.0, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)) == []
