"""One-step targets against arithmetic, exact Bellman equations and enumerated noise; Huber against SciPy."""

import math
from itertools import product

import numpy as np
import pytest
import scipy.special
import torch
from hypothesis import given
from hypothesis import strategies as st
from random_problems import random_policy
from small_problems import with_an_end

from rlcourse.core.seeding import generator
from rlcourse.equations import td
from rlcourse.exact.evaluation import policy_evaluation, q_from_value, value_iteration
from rlcourse.nets.mlp import MLP
from rlcourse.nets.q_values import follow

double = torch.float64
EXACT = dict(rtol=0, atol=1e-12)
DISCOUNT = 0.9


def numbers(*values):
    return torch.tensor(values, dtype=double)


def drawn(shape, name):
    return torch.randn(shape, generator=generator(5, name), dtype=double)


FIRST = numbers([2.0, 6.0, 4.0], [5.0, 1.0, 3.0], [0.0, -2.0, 7.0], [1.0, 2.0, 3.0])
SECOND = numbers([8.0, 1.0, 9.0], [6.0, 40.0, 50.0], [2.0, 5.0, 3.0], [1.0, 2.0, 3.0])
PROBS = numbers([0.5, 0.25, 0.25], [0.0, 1.0, 0.0], [0.1, 0.2, 0.7], [1.0, 0.0, 0.0])
REWARD, OVER = numbers(1.0, 2.0, 3.0, 4.0), torch.tensor([False, False, False, True])


def targets(reward, first, second, probs, terminated, discount):
    """Every target of the file, by name."""
    keywords = dict(discount=discount)
    return {"sarsa": td.sarsa_target(reward, first[..., 0], terminated, **keywords),
            "expected": td.expected_sarsa_target(reward, first, probs, terminated, **keywords),
            "q": td.q_target(reward, first, terminated, **keywords),
            "double": td.double_q_target(reward, first, second, terminated, **keywords),
            "clipped": td.clipped_double_q_target(reward, first, second, terminated, **keywords)}


def test_the_targets_by_hand():
    """γ = ½; the last row is over. The first chooses actions 1, 0, 2."""
    got = targets(REWARD, FIRST, SECOND, PROBS, OVER, 0.5)
    assert got["sarsa"].tolist() == [1 + 1.0, 2 + 2.5, 3 + 0.0, 4.0]
    # Expected: ½ · 2 + ¼ · 6 + ¼ · 4 = 3.5;  1;  0 − 0.4 + 4.9 = 4.5.
    assert got["expected"].tolist() == pytest.approx([1 + 1.75, 2 + 0.5, 3 + 2.25, 4.0], abs=1e-14)
    assert got["q"].tolist() == [1 + 3.0, 2 + 2.5, 3 + 3.5, 4.0]
    assert got["double"].tolist() == [1 + 0.5, 2 + 3.0, 3 + 1.5, 4.0]
    assert got["clipped"].tolist() == [1 + 0.5, 2 + 2.5, 3 + 1.5, 4.0]
    assert td.greedy_action(FIRST).tolist() == [1, 0, 2, 2]


def test_any_leading_shape_and_one_row_alone():
    arguments = (REWARD, FIRST, SECOND, PROBS, OVER)
    flat = targets(*arguments, 0.5)
    stacked = targets(*(part.unflatten(0, (2, 2)) for part in arguments), 0.5)
    alone = targets(*(part[1] for part in arguments), 0.5)
    for name, expected in flat.items():
        torch.testing.assert_close(stacked[name], expected.unflatten(0, (2, 2)), rtol=0, atol=0)
        torch.testing.assert_close(alone[name], expected[1], rtol=0, atol=0)


def test_the_first_of_equally_good_actions_is_the_greedy_one():
    q_values = torch.tensor(list(product([0.0, 1.0], repeat=4)), dtype=double)
    assert td.greedy_action(q_values).tolist() == [row.index(max(row)) for row in q_values.tolist()]
    assert td.greedy_action(q_values).dtype == torch.int64
    second = torch.arange(4, dtype=double).expand(16, 4)
    none, never = torch.zeros(16, dtype=double), torch.zeros(16, dtype=torch.bool)
    chosen = td.double_q_target(none, q_values, second, never, discount=1.0)
    assert chosen.tolist() == [float(row.index(max(row))) for row in q_values.tolist()]


def test_what_lies_behind_a_terminal_state_does_not_matter():
    for behind in (math.nan, math.inf, -math.inf):
        first, second = FIRST.clone(), SECOND.clone()
        first[3], second[3] = behind, behind
        for name, got in targets(REWARD, first, second, PROBS, OVER, 0.5).items():
            assert got.tolist() == targets(REWARD, FIRST, SECOND, PROBS, OVER, 0.5)[name].tolist()


def every_step(seed):
    """Reward and termination of all (s, a, s') [S, A, S], and p(s'|s, a); the problem's last state is an end."""
    mdp = with_an_end(seed)
    reward = mdp.reward_table[..., None].expand(3, 2, 3)
    return mdp, reward, mdp.terminal.expand(3, 2, 3)


def behind(table):
    """Q(s', ·) [S, A, S, A] for every (s, a, s')."""
    return table.expand(3, 2, 3, table.shape[-1])


@pytest.mark.parametrize("seed", range(4))
def test_the_mean_target_of_the_best_values_is_the_best_values(seed):
    """E_{s'} y = Q* with the sampled s' in every target. The maximum of the mean over s' is another number."""
    mdp, reward, terminated = every_step(seed)
    best = q_from_value(mdp, value_iteration(mdp, DISCOUNT)[0], DISCOUNT)
    table = torch.where(mdp.terminal[:, None], 1e3, best)  # behind the end: anything
    probs, going = mdp.transition_probs, ~mdp.terminal
    for target in (td.q_target(reward, behind(table), terminated, discount=DISCOUNT),
                   td.double_q_target(reward, behind(table), behind(table), terminated, discount=DISCOUNT),
                   td.clipped_double_q_target(reward, behind(table), behind(table), terminated, discount=DISCOUNT)):
        torch.testing.assert_close((probs * target).sum(-1)[going], best[going], rtol=0, atol=1e-10)
    at_the_mean = mdp.reward_table + DISCOUNT * (probs @ best).max(-1).values
    one_action_is_best_everywhere = len(set(best[going].argmax(-1).tolist())) == 1
    assert (float((at_the_mean - best)[going].abs().max()) > 0.01) != one_action_is_best_everywhere


@pytest.mark.parametrize("seed", range(4))
def test_the_mean_target_of_a_policys_values_is_its_values(seed):
    """Expected SARSA over s', SARSA over s' and a'; and SARSA's spread is at least expected SARSA's."""
    mdp, reward, terminated = every_step(seed)
    policy = random_policy(seed)
    exact = q_from_value(mdp, policy_evaluation(mdp, policy, DISCOUNT), DISCOUNT)
    probs, going = mdp.transition_probs, ~mdp.terminal
    expected = td.expected_sarsa_target(reward, behind(exact), behind(policy), terminated, discount=DISCOUNT)
    torch.testing.assert_close((probs * expected).sum(-1)[going], exact[going], rtol=0, atol=1e-10)
    each = [td.sarsa_target(reward, behind(exact)[..., a], terminated, discount=DISCOUNT) for a in (0, 1)]
    sampled, weight = torch.stack(each, -1), probs[..., None] * policy
    torch.testing.assert_close((weight * sampled).sum((-1, -2))[going], exact[going], rtol=0, atol=1e-10)
    spread = [(probs * (expected - exact[..., None]).square()).sum(-1),
              (weight * (sampled - exact[..., None, None]).square()).sum((-1, -2))]
    assert bool((spread[0] <= spread[1] + 1e-12)[going].all()) and float((spread[1] - spread[0]).max()) > 1e-3


def test_expected_sarsa_between_one_action_and_the_maximum():
    keywords = dict(discount=0.5)
    greedy = torch.nn.functional.one_hot(FIRST.argmax(-1), 3).to(double)
    got = td.expected_sarsa_target(REWARD, FIRST, greedy, OVER, **keywords)
    assert got.tolist() == td.q_target(REWARD, FIRST, OVER, **keywords).tolist()
    certain = torch.nn.functional.one_hot(torch.zeros(4, dtype=torch.int64), 3).to(double)
    got = td.expected_sarsa_target(REWARD, FIRST, certain, OVER, **keywords)
    assert got.tolist() == td.sarsa_target(REWARD, FIRST[:, 0], OVER, **keywords).tolist()


@pytest.mark.parametrize("actions", [1, 2, 3])
def test_errors_of_one_plus_or_minus_on_equal_actions(actions):
    """True values 0, errors ±1 with equal chances and independent: max 1 − 2^{1−A}, double 0, clipped −2^{−A}."""
    tables = torch.tensor(list(product([-1.0, 1.0], repeat=2 * actions)), dtype=double)
    first, second = tables[:, :actions], tables[:, actions:]
    none, never = torch.zeros(len(tables), dtype=double), torch.zeros(len(tables), dtype=torch.bool)
    keywords = dict(discount=1.0)
    all_bad = 0.5 ** actions
    assert float(td.q_target(none, first, never, **keywords).mean()) == 1.0 - 2.0 * all_bad
    assert float(td.double_q_target(none, first, second, never, **keywords).mean()) == 0.0
    assert float(td.clipped_double_q_target(none, first, second, never, **keywords).mean()) == -all_bad
    # One network in both places: nothing is gained.
    same = td.double_q_target(none, first, first, never, **keywords)
    assert same.tolist() == td.q_target(none, first, never, **keywords).tolist()


def test_double_with_unequal_actions_underestimates():
    """True values (1, 0), errors ±1: it chooses wrongly if 0 + 1 > 1 − 1, in ¼ of the cases: mean ¾."""
    noise = torch.tensor(list(product([-1.0, 1.0], repeat=4)), dtype=double)
    tables = noise + numbers(1.0, 0.0, 1.0, 0.0)
    none, never = torch.zeros(16, dtype=double), torch.zeros(16, dtype=torch.bool)
    got = td.double_q_target(none, tables[:, :2], tables[:, 2:], never, discount=1.0)
    assert float(got.mean()) == 0.75
    single = td.q_target(none, tables[:, :2], never, discount=1.0)
    assert float(single.mean()) == 1.25


@given(st.integers(0, 10_000), st.integers(1, 5))
def test_inequalities_and_a_loop(seed, actions):
    random = generator(seed, "tables")
    first, second = (torch.randn(6, actions, generator=random, dtype=double) for _ in range(2))
    reward = torch.randn(6, generator=random, dtype=double)
    over = torch.rand(6, generator=random) < 0.3
    got = targets(reward, first, second, torch.softmax(second, -1), over, DISCOUNT)
    assert bool((got["clipped"] <= torch.minimum(got["q"], got["double"])).all())
    assert bool((got["expected"] <= got["q"] + 1e-12).all())
    for b in range(6):
        one, two = first[b].tolist(), second[b].tolist()
        choice = max(range(actions), key=one.__getitem__)
        keep = 0.0 if over[b] else DISCOUNT
        for name, value in (("q", max(one)), ("double", two[choice]), ("clipped", min(max(one), two[choice]))):
            assert float(got[name][b]) == pytest.approx(float(reward[b]) + keep * value, abs=1e-14)


def test_no_gradient_flows_through_a_target():
    first, second, logits = (drawn((4, 3), name).requires_grad_() for name in ("first", "second", "policy"))
    for name, target in targets(REWARD, first, second, torch.softmax(logits, -1), OVER, 0.5).items():
        assert not target.requires_grad, name
    q = drawn((4, 3), "now").requires_grad_()
    action = torch.tensor([2, 0, 1, 1])
    target = 3.0 * first.sum(-1)
    loss = td.td_loss(td.taken_q(q, action), target, threshold=math.inf)
    by_q, by_target = torch.autograd.grad(loss.sum(), (q, first), allow_unused=True)
    assert by_target is None
    expected = torch.zeros(4, 3, dtype=double)
    for b, a in enumerate(action.tolist()):
        expected[b, a] = q[b, a].detach() - target[b].detach()
    torch.testing.assert_close(by_q, expected, **EXACT)
    behind, ahead = drawn((3,), "old").requires_grad_(), drawn((3,), "new").requires_grad_()
    assert not td.polyak(behind, ahead, polyak_rate=0.1).requires_grad


@pytest.mark.parametrize("threshold", [0.3, 1.0, 2.5])
def test_huber_is_scipys_and_its_slope_is_the_clipped_error(threshold):
    error = torch.cat([torch.linspace(-5, 5, 201, dtype=double), numbers(threshold, -threshold, 0.0, 1e8)])
    error.requires_grad_()
    loss = td.huber(error, threshold=threshold)
    expected = scipy.special.huber(threshold, error.detach().numpy())
    np.testing.assert_allclose(loss.detach().numpy(), expected, rtol=1e-14, atol=1e-15)
    slope, = torch.autograd.grad(loss.sum(), error)
    np.testing.assert_allclose(slope.numpy(), np.clip(error.detach().numpy(), -threshold, threshold), rtol=0, atol=0)
    clipped_first = 0.5 * error.clamp(-threshold, threshold).square()
    gone, = torch.autograd.grad(clipped_first.sum(), error)
    assert float(gone[0]) == 0.0  # the other reading: no gradient where the error is large


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e3))
def test_huber_lies_between_line_and_square(error, threshold):
    got = float(td.huber(numbers(error), threshold=threshold))
    assert 0.0 <= got <= 0.5 * error ** 2 * (1 + 1e-12)
    assert got <= threshold * abs(error) * (1 + 1e-12)
    assert got == float(td.huber(numbers(-error), threshold=threshold))
    assert float(td.huber(numbers(error), threshold=math.inf)) == 0.5 * error * error


def test_the_loss_is_huber_of_the_difference():
    q, target = drawn((3, 5), "q"), 3.0 * drawn((3, 5), "target")
    np.testing.assert_allclose(td.td_loss(q, target, threshold=0.7).numpy(),
                               scipy.special.huber(0.7, (q - target).numpy()), rtol=1e-13)
    np.testing.assert_allclose(td.td_loss(q, target).numpy(),
                               scipy.special.huber(1.0, (q - target).numpy()), rtol=1e-13)


def test_descent_on_the_loss_moves_towards_the_target():
    q = numbers(1.0, 1.0).requires_grad_()
    slope, = torch.autograd.grad(td.td_loss(q, numbers(3.0, 0.8)).sum(), q)
    assert slope.tolist() == pytest.approx([-1.0, 0.2])  # −2 clipped, +0.2


@pytest.mark.parametrize("rate", [0.0, 0.005, 0.3, 1.0])
def test_polyak_is_geometric_and_what_the_networks_do(rate):
    """Towards a standing φ: φ + (1 − η)ⁿ (φ' − φ). Towards a moving one: weights η (1 − η)ʲ."""
    start, stays = numbers(5.0, -1.0), numbers(1.0, 2.0)
    behind = start
    for n in range(1, 6):
        behind = td.polyak(behind, stays, polyak_rate=rate)
        torch.testing.assert_close(behind, stays + (1 - rate) ** n * (start - stays), **EXACT)
    moving, behind = drawn((6, 2), "moving"), start
    for ahead in moving:
        behind = td.polyak(behind, ahead, polyak_rate=rate)
    weight = rate * (1 - rate) ** torch.arange(5, -1, -1, dtype=double)
    torch.testing.assert_close(behind, weight @ moving + (1 - rate) ** 6 * start, **EXACT)
    slow, fast = (MLP((2, 3, 1), runs=2, seed=seed, name="net", dtype=double) for seed in (0, 1))
    want = [td.polyak(old, new, polyak_rate=rate) for old, new in zip(slow.parameters(), fast.parameters())]
    follow(slow, fast, rate)
    for got, expected in zip(slow.parameters(), want):
        assert torch.equal(got, expected)


def test_polyak_leaves_its_arguments_alone_and_copies_exactly():
    behind, ahead = numbers(0.1, 0.2), numbers(0.7, 1e-300)
    assert torch.equal(td.polyak(behind, ahead, polyak_rate=1.0), ahead)
    assert torch.equal(td.polyak(behind, ahead, polyak_rate=0.0), numbers(0.1, 0.2))


def test_taken_values():
    table = torch.arange(12, dtype=double).view(2, 2, 3)
    got = td.taken_q(table, torch.tensor([[2, 0], [1, 1]]))
    assert got.tolist() == [[2.0, 3.0], [7.0, 10.0]]


def test_arguments_that_make_no_sense_are_refused():
    one, flag, table = torch.zeros(4, dtype=double), torch.zeros(4, dtype=torch.bool), torch.zeros(4, 3, dtype=double)
    keywords = dict(discount=0.9)
    with pytest.raises(ValueError, match=r"next_q: expected shape \[4\], got \[4, 1\]"):
        td.sarsa_target(one, one[:, None], flag, **keywords)
    with pytest.raises(ValueError, match=r"next_q_values: expected shape \[4, A\], got \[4\]"):
        td.q_target(one, one, flag, **keywords)
    with pytest.raises(ValueError, match=r"next_q_values: expected shape \[4, 1, A\], got \[4, 3\]"):
        td.q_target(one[:, None], table, flag[:, None], **keywords)
    with pytest.raises(ValueError, match=r"next_q_values: expected at least one action, .*, got \[4, 0\]"):
        td.q_target(one, table[:, :0], flag, **keywords)
    with pytest.raises(ValueError, match="terminated: expected dtype bool"):
        td.q_target(one, table, one, **keywords)
    with pytest.raises(ValueError, match=r"terminated: expected shape \[4\], got \[4, 1\]"):
        td.q_target(one, table, flag[:, None], **keywords)
    with pytest.raises(ValueError, match="discount: expected a number in"):
        td.q_target(one, table, flag, discount=1.1)
    with pytest.raises(ValueError, match=r"next_probs: expected shape \[4, 3\], got \[4, 2\]"):
        td.expected_sarsa_target(one, table, table[:, :2], flag, **keywords)
    with pytest.raises(ValueError, match="next_probs: expected probabilities that sum to 1"):
        td.expected_sarsa_target(one, table, table, flag, **keywords)
    with pytest.raises(ValueError, match=r"target_next_q_values: expected shape \[4, 3\], got \[4, 2\]"):
        td.double_q_target(one, table, table[:, :2], flag, **keywords)
    with pytest.raises(ValueError, match=r"other_next_q_values: expected shape \[4, 3\], got \[4, 2\]"):
        td.clipped_double_q_target(one, table, table[:, :2], flag, **keywords)
    with pytest.raises(ValueError, match=r"q_values: expected at least one action, .*, got \[4, 0\]"):
        td.greedy_action(table[:, :0])
    with pytest.raises(ValueError, match=r"action: expected shape \[4\], got \[4, 1\]"):
        td.taken_q(table, torch.zeros(4, 1, dtype=torch.int64))
    with pytest.raises(ValueError, match="action: expected dtype int64, got torch.float64"):
        td.taken_q(table, one)
    with pytest.raises(ValueError, match="threshold: expected a positive number, got 0.0"):
        td.huber(one, threshold=0.0)
    with pytest.raises(ValueError, match=r"target: expected shape \[4\], got \[4, 1\]"):
        td.td_loss(one, one[:, None])
    with pytest.raises(ValueError, match=r"ahead: expected shape \[4\], got \[3\]"):
        td.polyak(one, one[:3], polyak_rate=0.1)
    with pytest.raises(ValueError, match=r"polyak_rate: expected a number in \[0, 1\], got 1.5"):
        td.polyak(one, one, polyak_rate=1.5)
