"""n-step and traced targets: every placement of both ends, all trajectories of small problems, special cases."""

from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_problems import with_an_end

from rlcourse.core.seeding import generator
from rlcourse.equations import actor_critic as ac
from rlcourse.equations import n_step as ns
from rlcourse.equations.importance import corrected_reward_to_go, importance_ratio
from rlcourse.equations.td import expected_sarsa_target
from rlcourse.exact.evaluation import finite_horizon_values, policy_evaluation, q_from_value
from rlcourse.exact.policy_gradient import every_batch

double = torch.float64
EXACT = dict(rtol=0, atol=1e-12)
DISCOUNT = 0.9


def numbers(*values):
    return torch.tensor(values, dtype=double)


def drawn(shape, name, seed=5):
    return torch.randn(shape, generator=generator(seed, name), dtype=double)


def every_placement(steps):
    """(terminated, truncated) [T, 4^T]: none, one, the other or both ends at each step."""
    kinds = torch.tensor(list(product(range(4), repeat=steps))).T
    return kinds % 2 == 1, kinds >= 2


def first_target(reward, next_value, terminated, truncated, discount):
    """One window: add rewards until an end or the last row; then the value, unless the problem is over."""
    total = 0.0
    for k in range(len(reward)):
        total += discount ** k * reward[k]
        if terminated[k]:
            return total
        if truncated[k] or k == len(reward) - 1:
            return total + discount ** (k + 1) * next_value[k]
    raise AssertionError("no step")


@pytest.mark.parametrize("rows", [1, 2, 3, 4])
@pytest.mark.parametrize("discount", [0.0, 0.7, 1.0])
def test_windows_for_every_placement_of_ends(rows, discount):
    ends = every_placement(rows)
    reward, next_value = drawn(ends[0].shape, "reward"), drawn(ends[0].shape, "next")
    columns = [part.T.tolist() for part in (reward, next_value, *ends)]
    expected = numbers(*(first_target(*column, discount) for column in zip(*columns)))
    got = ns.n_step_target(reward, next_value, *ends, discount=discount)
    torch.testing.assert_close(got, expected, **EXACT)
    alone = ns.n_step_target(reward[:, 0], next_value[:, 0], ends[0][:, 0], ends[1][:, 0], discount=discount)
    torch.testing.assert_close(alone, expected[0], **EXACT)


def test_windows_by_hand():
    """Rewards 1 2 4, γ = ½, values behind the rows 16 32 64: no end, over, cut, both at row 1, cut and then over."""
    reward, behind = numbers(1.0, 2.0, 4.0)[:, None].expand(3, 5), numbers(16.0, 32.0, 64.0)[:, None].expand(3, 5)
    terminated = torch.tensor([[0, 0, 0, 0, 0], [0, 1, 0, 1, 0], [0, 0, 0, 0, 1]], dtype=torch.bool)
    truncated = torch.tensor([[0, 0, 0, 0, 1], [0, 0, 1, 1, 0], [0, 0, 0, 0, 0]], dtype=torch.bool)
    got = ns.n_step_target(reward, behind, terminated, truncated, discount=0.5)
    # 1 + 1 + 1 + 64/8;  1 + 1;  1 + 1 + 32/4;  1 + 1;  1 + 16/2.
    assert got.tolist() == [11.0, 2.0, 10.0, 2.0, 9.0]


@pytest.mark.parametrize("rubbish", [float("nan"), float("inf")])
def test_what_stands_behind_the_first_end_does_not_matter(rubbish):
    terminated, truncated = every_placement(3)
    reward, next_value = drawn(terminated.shape, "reward"), drawn(terminated.shape, "next")
    expected = ns.n_step_target(reward, next_value, terminated, truncated, discount=DISCOUNT)
    last = terminated | truncated
    before = torch.cat([torch.zeros_like(last[:1]), last[:-1].cumsum(0) > 0])  # an end came before this row
    last[-1] = True
    used = last & ~before & ~terminated
    got = ns.n_step_target(torch.where(before, rubbish, reward), torch.where(used, next_value, rubbish), terminated,
                           truncated, discount=DISCOUNT)
    torch.testing.assert_close(got, expected, rtol=0, atol=0)


def everything(seed, behaviour_by_step=None, horizon=3):
    """All trajectories of a small problem with an end: (mdp, π, rollouts drawn from another policy, Q^π)."""
    mdp = with_an_end(seed)
    logits, behaviour = drawn((3, 2), "policy", seed), drawn((3, 2), "behaviour", seed)
    if behaviour_by_step is not None:
        behaviour = torch.stack([behaviour if other else logits for other in behaviour_by_step])
    every = every_batch(mdp, logits, horizon, behaviour_logits=behaviour)
    policy = torch.softmax(logits, -1)
    return mdp, policy, every, q_from_value(mdp, policy_evaluation(mdp, policy, DISCOUNT), DISCOUNT)


def mean_by_pair(every, target, step=0):
    """E[target | s_t = s, a_t = a] [S, A] over all trajectories; nan where the pair cannot occur."""
    state, action = every.state[step, :, 0], every.action[step, :, 0]
    table = torch.full((3, 2), torch.nan, dtype=double)
    for s, a in product(range(3), range(2)):
        here = (state == s) & (action == a) & every.valid[step, :, 0]
        if bool(here.any()):
            table[s, a] = (every.prob * target[step, :, 0])[here].sum() / every.prob[here].sum()
    return table


def differs(table, q):
    """The largest difference where the table has an entry."""
    return float((table - q)[~table.isnan()].abs().max())


@pytest.mark.parametrize("behaviour_by_step, right", [((False, False, False), True), ((True, False, False), True),
                                                      ((True, True, False), False), ((True, False, True), False)])
@pytest.mark.parametrize("seed", [1, 2])
def test_the_first_action_is_free_and_the_others_are_not(seed, behaviour_by_step, right):
    """The mean of the 3-step target with V^π behind it is Q^π(s, a) if all actions but the first are of π."""
    _, policy, every, exact = everything(seed, behaviour_by_step)
    value = (policy * exact).sum(-1)
    target = ns.n_step_target(every.reward, value[every.state[1:]], every.terminated, every.truncated,
                              discount=DISCOUNT)
    assert (differs(mean_by_pair(every, target[None]), exact) < 1e-12) == right


def definition(reward, q, next_q, trace, terminated, truncated, discount):
    """Gₜ of one column from its double sum, step by step."""
    column = []
    for t in range(len(reward)):
        total = q[t]
        for k in range(t, len(reward)):
            weight = discount ** (k - t)
            for i in range(t + 1, k + 1):
                weight *= trace[i]
            total += weight * (reward[k] + (0.0 if terminated[k] else discount * next_q[k]) - q[k])
            if terminated[k] or truncated[k]:
                break
        column.append(total)
    return column


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
@pytest.mark.parametrize("discount", [0.0, 0.7, 1.0])
def test_traces_for_every_placement_of_ends(steps, discount):
    terminated, truncated = every_placement(steps)
    parts = [drawn(terminated.shape, name) for name in ("reward", "q", "next")]
    trace = drawn(terminated.shape, "trace").abs()
    columns = [part.T.tolist() for part in (*parts, trace, terminated, truncated)]
    expected = numbers(*(definition(*column, discount) for column in zip(*columns))).T
    hidden = torch.where(terminated, torch.nan, parts[2])
    trace[0] = torch.nan  # c₀ occurs nowhere
    got = ns.trace_target(parts[0], parts[1], hidden, trace, terminated, truncated, discount=discount)
    torch.testing.assert_close(got, expected, **EXACT)
    alone = ns.trace_target(*(part[:, 1] for part in (*parts, trace, terminated, truncated)), discount=discount)
    torch.testing.assert_close(alone, expected[:, 1], **EXACT)


def test_traces_by_hand():
    """γ = ½, rewards 1 2 4, Q = 2 4 8, behind them 6 10 20, c = 9 ½ ¼: δ = 2 3 6, x₂ = 6, x₁ = 3.75, x₀ = 2.9375."""
    never, second = torch.zeros(3, dtype=torch.bool), torch.tensor([False, True, False])
    parts = (numbers(1.0, 2.0, 4.0), numbers(2.0, 4.0, 8.0), numbers(6.0, 10.0, 20.0), numbers(9.0, 0.5, 0.25))
    got = ns.trace_target(*parts, never, never, discount=0.5)
    assert got.tolist() == [2 + 2.9375, 4 + 3.75, 8 + 6.0]
    # Over after the second: δ₁ = 2 − 4, x₀ = 2 − ½. Cut there: δ₁ = 3, x₀ = 2.75.
    assert ns.trace_target(*parts, second, never, discount=0.5).tolist() == [3.5, 2.0, 14.0]
    assert ns.trace_target(*parts, never, second, discount=0.5).tolist() == [4.75, 7.0, 14.0]


def tables(every, policy, q, trace_table):
    """The arguments of trace_target for rollouts of a tabular problem, from Q, π and c(a|s), each [S, A]."""
    state, following = every.state[:-1], every.state[1:]
    return (every.reward, q[state, every.action], (policy * q).sum(-1)[following],
            trace_table[state, every.action], every.terminated, every.truncated)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_with_the_exact_values_the_mean_is_exact_whatever_the_traces(seed):
    """Actions from another policy, any trace, even above 1: at every step. Not so for another Q."""
    _, policy, every, exact = everything(seed)
    exact[2] = 0.0
    for scale in (0.0, 1.0, 3.0):
        trace_table = scale * drawn((3, 2), "trace", seed).abs()
        target = ns.trace_target(*tables(every, policy, exact, trace_table), discount=DISCOUNT)
        wrong = ns.trace_target(*tables(every, policy, exact + drawn((3, 2), "error", seed), trace_table),
                                discount=DISCOUNT)
        for step in (0, 1, 2):
            assert differs(mean_by_pair(every, target, step), exact) < 1e-10
            assert differs(mean_by_pair(every, wrong, step), exact) > 1e-3


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_importance_ratios_are_right_for_any_values(seed):
    """A horizon of three steps, after which nothing follows: c = ρ gives Q^π from any Q, all other traces do not."""
    mdp, policy, every, _ = everything(seed)
    terminated = every.terminated.clone()
    terminated[-1] = True
    _, exact = finite_horizon_values(mdp, policy, 3, discount=DISCOUNT)  # [T, S, A]
    ratio = importance_ratio(every.log_prob, every.behaviour_log_prob)
    state, critic = every.state[:-1], drawn((3, 3, 2), "any q", seed)  # another Q at every step, for good measure
    q = torch.stack([critic[t][state[t], every.action[t]] for t in range(3)])
    next_expected = torch.stack([(policy * critic[min(t + 1, 2)]).sum(-1)[every.state[t + 1]] for t in range(3)])
    for trace, right in ((ratio, True), (ns.retrace_coefficients(ratio, trace_decay=1.0), False),
                         (torch.ones_like(ratio), False), (0.9 * ratio, False)):
        target = ns.trace_target(every.reward, q, next_expected, trace, terminated, every.truncated, discount=DISCOUNT)
        for step in (0, 1):
            assert (differs(mean_by_pair(every, target, step), exact[step]) < 1e-12) == right
        # The own ratio of the first action does not belong in it: the mean would be another.
        early = q + ratio * (target - q)
        assert differs(mean_by_pair(every, early, 0), exact[0]) > 1e-3


def trace_tables(policy, behaviour):
    ratio = policy / behaviour
    return {"nothing": 0.0 * ratio, "tree backup": policy, "retrace": ns.retrace_coefficients(ratio, trace_decay=1.0),
            "retrace, decayed": ns.retrace_coefficients(ratio, trace_decay=0.6), "importance": ratio}


@given(st.integers(0, 40))
def test_the_operator_contracts_if_no_trace_exceeds_the_ratio(seed):
    """‖E[G] − Q^π‖∞ ≤ γ ‖Q − Q^π‖∞ over the pairs where data can start."""
    _, policy, every, exact = everything(seed)
    behaviour = torch.softmax(drawn((3, 2), "behaviour", seed), -1)
    exact[2] = 0.0
    critic = exact + drawn((3, 2), "error", seed)
    critic[2] = 0.0
    before = float((critic - exact).abs().max())
    for name, table in trace_tables(policy, behaviour).items():
        target = ns.trace_target(*tables(every, policy, critic, table), discount=DISCOUNT)
        assert differs(mean_by_pair(every, target), exact) <= DISCOUNT * before + 1e-12, name


def test_without_a_correction_it_need_not_contract():
    """c = 1 on data of a policy that does the opposite: from this Q it moves away from Q^π."""
    mdp = with_an_end(1)
    logits = numbers([3.0, -3.0], [3.0, -3.0], [0.0, 0.0])
    every, policy = every_batch(mdp, logits, 4, behaviour_logits=-logits), torch.softmax(logits, -1)
    exact = q_from_value(mdp, policy_evaluation(mdp, policy, DISCOUNT), DISCOUNT)
    exact[2] = 0.0
    critic = exact + numbers([1.0, -1.0], [1.0, -1.0], [0.0, 0.0])
    error = {}
    every_table = {**trace_tables(policy, torch.softmax(-logits, -1)), "none": torch.ones(3, 2, dtype=double)}
    for name, table in every_table.items():
        target = ns.trace_target(*tables(every, policy, critic, table), discount=DISCOUNT)
        error[name] = differs(mean_by_pair(every, target), exact)
    assert error.pop("none") > 1.05 and max(error.values()) <= DISCOUNT


def rollouts(steps=4):
    """reward, q, next_expected, terminated, truncated [T, 4^T] at every placement of ends."""
    terminated, truncated = every_placement(steps)
    return (*(drawn(terminated.shape, name) for name in ("reward", "q", "next")), terminated, truncated)


def test_no_trace_is_expected_sarsa():
    reward, q, _, terminated, truncated = rollouts()
    values = drawn((*reward.shape, 3), "values")
    probs = torch.softmax(drawn((*reward.shape, 3), "probs"), -1)
    got = ns.trace_target(reward, q, (probs * values).sum(-1), torch.zeros_like(q), terminated, truncated,
                          discount=DISCOUNT)
    expected = expected_sarsa_target(reward, values, probs, terminated, discount=DISCOUNT)
    torch.testing.assert_close(got, expected, **EXACT)


def test_tree_backup_is_its_own_recursion():
    """Gₜ = rₜ + γ (Σ_{a ≠ aₜ₊₁} π(a|s') Q(s', a) + π(aₜ₊₁|s') Gₜ₊₁), by the branches of the tree."""
    values, probs = drawn((5, 3), "values"), torch.softmax(drawn((5, 3), "probs"), -1)  # of s₀ … s₄
    action, reward = torch.tensor([2, 0, 1, 1]), drawn((4,), "reward")
    branch = float((probs[4] * values[4]).sum())
    expected = []
    for t in (3, 2, 1, 0):
        expected.append(float(reward[t]) + DISCOUNT * branch)
        branch = sum(float(probs[t, a]) * (expected[-1] if a == action[t] else float(values[t, a])) for a in range(3))
    index, never = torch.arange(4), torch.zeros(4, dtype=torch.bool)
    got = ns.trace_target(reward, values[index, action], (probs * values).sum(-1)[1:], probs[index, action], never,
                          never, discount=DISCOUNT)
    assert got.tolist() == pytest.approx(expected[::-1], abs=1e-12)


def test_importance_ratios_without_values_are_per_decision_importance_sampling():
    reward, q, _, terminated, truncated = rollouts()
    ratio = drawn(q.shape, "ratio").exp()
    none = torch.zeros_like(q)
    got = ns.trace_target(reward, none, none, ratio, terminated, truncated, discount=DISCOUNT)
    expected = corrected_reward_to_go(reward, ratio, terminated, truncated, discount=DISCOUNT)
    torch.testing.assert_close(got, expected, **EXACT)


@pytest.mark.parametrize("decay", [0.0, 0.6, 1.0])
def test_with_the_value_of_the_action_that_came_it_is_the_lambda_return(decay):
    """And with λ = 1 the uncorrected n-step target: all Q in between cancel."""
    reward, q, behind, terminated, truncated = rollouts()
    last = terminated | truncated
    last[-1] = True
    came = torch.where(last, behind, q.roll(-1, 0))
    got = ns.trace_target(reward, q, came, torch.full_like(q, decay), terminated, truncated, discount=DISCOUNT)
    expected = ac.lambda_return(reward, q, came, terminated, truncated, discount=DISCOUNT, gae_lambda=decay)
    torch.testing.assert_close(got, expected, **EXACT)
    if decay == 1.0:
        whole = ns.n_step_target(reward, behind, terminated, truncated, discount=DISCOUNT)
        torch.testing.assert_close(got[0], whole, **EXACT)


def test_watkins_ends_in_front_of_the_first_exploring_action():
    """λ = 1: the n-step target up to the step before it, with maxₐ Q there. All choices of greedy or not."""
    greedy = torch.tensor(list(product([False, True], repeat=4)), dtype=torch.bool).T  # [T, 2⁴]
    reward, best = drawn((4, 16), "reward"), drawn((5, 16), "max")
    q = torch.where(greedy, best[:-1], best[:-1] - drawn((4, 16), "gap").abs())
    never = torch.zeros_like(greedy)
    trace = ns.watkins_coefficients(greedy, trace_decay=1.0)
    got = ns.trace_target(reward, q, best[1:], trace, never, never, discount=DISCOUNT)
    cut_before = torch.cat([~greedy[1:], never[:1]])
    for t in range(4):
        expected = ns.n_step_target(reward[t:], best[1:][t:], never[t:], cut_before[t:], discount=DISCOUNT)
        torch.testing.assert_close(got[t], expected, **EXACT)


def test_coefficients():
    ratio = numbers(0.0, 0.25, 1.0, 7.0, float("inf"))
    assert ns.retrace_coefficients(ratio, trace_decay=0.5).tolist() == [0.0, 0.125, 0.5, 0.5, 0.5]
    assert ns.retrace_coefficients(ratio, trace_decay=1.0).tolist() == [0.0, 0.25, 1.0, 1.0, 1.0]
    assert ns.watkins_coefficients(torch.tensor([[True], [False]]), trace_decay=0.9).tolist() == [[0.9], [0.0]]
    flags, never = torch.tensor([True, True, False]), torch.zeros(3, dtype=torch.bool)
    single = torch.ones(3)
    got = ns.trace_target(single, single, single, ns.watkins_coefficients(flags, trace_decay=0.9), never, never,
                          discount=0.9)
    assert got.dtype == torch.float32  # the type of the values, whatever that of the traces


def test_no_gradient_flows_through_a_target():
    reward, q, behind, terminated, truncated = rollouts(3)
    log_prob = drawn(q.shape, "log prob").requires_grad_()
    trace = ns.retrace_coefficients(log_prob.exp(), trace_decay=0.9)
    assert not trace.requires_grad
    q, behind = q.requires_grad_(), behind.requires_grad_()
    assert not ns.n_step_target(reward, behind, terminated, truncated, discount=0.9).requires_grad
    for part in (trace, log_prob.exp()):
        assert not ns.trace_target(reward, q, behind, part, terminated, truncated, discount=0.9).requires_grad


def test_arguments_that_make_no_sense_are_refused():
    one, flag = torch.zeros(3, 2, dtype=double), torch.zeros(3, 2, dtype=torch.bool)
    none = torch.zeros(0, 2, dtype=double)
    with pytest.raises(ValueError, match=r"reward: expected at least one step, .*, got \[0, 2\]"):
        ns.n_step_target(none, none, flag[:0], flag[:0], discount=0.9)
    with pytest.raises(ValueError, match=r"next_value: expected shape \[3, 2\], got \[2\]"):
        ns.n_step_target(one, one[0], flag, flag, discount=0.9)
    with pytest.raises(ValueError, match="truncated: expected dtype bool"):
        ns.n_step_target(one, one, flag, one, discount=0.9)
    with pytest.raises(ValueError, match="discount: expected a number in"):
        ns.n_step_target(one, one, flag, flag, discount=1.5)
    with pytest.raises(ValueError, match=r"reward: expected at least one step, .*, got \[0, 2\]"):
        ns.trace_target(none, none, none, none, flag[:0], flag[:0], discount=0.9)
    good = dict(reward=one, q=one, next_expected_q=one, trace=one, terminated=flag, truncated=flag, discount=0.9)
    for name in ("q", "next_expected_q", "trace", "terminated", "truncated"):
        with pytest.raises(ValueError, match=rf"{name}: expected shape \[3, 2\], got \[2, 2\]"):
            ns.trace_target(**{**good, name: good[name][:2]})
    for name in ("terminated", "truncated"):
        with pytest.raises(ValueError, match=f"{name}: expected dtype bool"):
            ns.trace_target(**{**good, name: one})
    with pytest.raises(ValueError, match="importance_ratio: expected ratios of at least 0"):
        ns.retrace_coefficients(numbers(0.5, -0.1), trace_decay=0.9)
    with pytest.raises(ValueError, match=r"trace_decay: expected a number in \[0, 1\], got 1.1"):
        ns.retrace_coefficients(numbers(0.5), trace_decay=1.1)
    with pytest.raises(ValueError, match=r"trace_decay: expected a number in \[0, 1\], got -0.1"):
        ns.watkins_coefficients(flag, trace_decay=-0.1)
    with pytest.raises(ValueError, match="was_greedy: expected dtype bool"):
        ns.watkins_coefficients(one, trace_decay=0.9)
