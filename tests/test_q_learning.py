"""Tabular learners: every single step recomputed in plain Python, and where they converge against exact solutions."""

from collections import defaultdict

import pytest
import torch
from random_problems import random_mdp
from small_problems import with_an_end

from rlcourse.algorithms import q_learning
from rlcourse.algorithms.q_learning import RULES, Config
from rlcourse.core.seeding import generator, uniforms
from rlcourse.data.sources import DynamicsSource
from rlcourse.envs.cartpole import CartPole
from rlcourse.envs.maps import cliff
from rlcourse.envs.pendulum import Pendulum
from rlcourse.envs.tabular import TabularMDP
from rlcourse.equations.td import expected_sarsa_target, q_target, sarsa_target
from rlcourse.exact.evaluation import greedy_policy, policy_evaluation, q_from_value, value_iteration

double = torch.float64
EXACT = dict(rtol=0, atol=1e-12)


class Recorder(DynamicsSource):
    """A source that remembers what was done and what came of it."""

    def __init__(self, mdp, runs=2, environments=1, time_limit=None, seed=0):
        self.past = []
        super().__init__(mdp, runs, environments, random=generator(seed, "source"), time_limit=time_limit, dtype=double)

    def step(self, action):
        obs = self.obs.clone()
        result = super().step(action)
        self.past.append((obs, action.clone(), result))
        return result


def last(snapshots):
    for snapshot in snapshots:
        pass
    return snapshot


def uniform(mdp):
    return torch.full((mdp.num_states, mdp.num_actions), 1 / mdp.num_actions, dtype=double)


def best_q(mdp, discount):
    return q_from_value(mdp, value_iteration(mdp, discount)[0], discount)


def random_tables(rule, mdp, runs, seed=0):
    shape = (runs, 2 if rule == "double_q" else 1, mdp.num_states, mdp.num_actions)
    return torch.randn(shape, generator=generator(seed, "tables"), dtype=double)


# Every step.

def greedy(row):
    return max(range(len(row)), key=lambda action: (row[action], -action))


def target_by_hand(rule, step, table, other, after, next_action, config):
    """The target of one environment from lists of numbers; `table` is the one that learns."""
    reward, ended = step
    if ended:
        return reward
    row = table[after]
    if rule == "q":
        value = max(row)
    elif rule == "sarsa":
        value = row[next_action]
    elif rule == "expected_sarsa":
        rest = config.epsilon / (len(row) - 1)
        value = sum((1 - config.epsilon if a == greedy(row) else rest) * q for a, q in enumerate(row))
    else:
        value = other[after][greedy(row)]
    return reward + config.discount * value


@pytest.mark.parametrize("environments, rate_offset", [(1, None), (1, 3.0), (3, None), (3, 3.0)])
@pytest.mark.parametrize("rule", RULES)
def test_every_step_is_the_textbooks(rule, environments, rate_offset):
    """Problem with a terminal state; the actions that came next are read off the record."""
    mdp, runs = with_an_end(4), 2
    config = Config(rule=rule, total_steps=60 * environments, report_every=1, learning_rate=0.4, discount=0.9,
                    rate_offset=rate_offset, epsilon=0.3)
    source = Recorder(mdp, runs, environments, time_limit=None)
    start = random_tables(rule, mdp, runs)
    tables, updates = start.tolist(), [defaultdict(int) for _ in range(runs)]
    found = [snapshot.tables for snapshot in q_learning.train(source, 3, config, seed=0, initial_tables=start)]
    assert len(found) == 60 and sum(int(step[2].terminated.sum()) for step in source.past) > 5
    coins = generator(0, "q-learning coins")  # the learner's own: which table learns is not on record
    for time in range(59):  # the action after the last step is not on record
        obs, action, result = source.past[time]
        following = source.past[time + 1][1]
        learns = (uniforms((runs, environments), coins) < 0.5).long() if rule == "double_q" else torch.zeros_like(obs)
        for run in range(runs):
            targets = defaultdict(list)
            for n in range(environments):
                k, s, a, after = (int(index[run, n]) for index in (learns, obs, action, result.next_obs))
                step = float(result.reward[run, n]), bool(result.terminated[run, n])
                targets[k, s, a].append(target_by_hand(rule, step, tables[run][k], tables[run][(k + 1) % len(start[0])],
                                                       after, int(following[run, n]), config))
            for (k, s, a), of_pair in targets.items():  # after all targets: they are made of the tables before the step
                rate = 0.4 if rate_offset is None else 3 / (3 + updates[run][k, s, a])
                updates[run][k, s, a] += 1
                tables[run][k][s][a] += rate * (sum(of_pair) / len(of_pair) - tables[run][k][s][a])
        torch.testing.assert_close(found[time], torch.tensor(tables, dtype=double), **EXACT)
    if rule == "double_q":
        assert all((found[-1][:, k] != start[:, k]).any() for k in range(2))


def test_actions_are_epsilon_greedy_and_epsilon_falls():
    # 8 runs × 4 environments, 300 steps of a table that does not move: a share within five standard errors.
    mdp = with_an_end(2)
    for rule in ("q", "sarsa", "double_q"):  # after an end too, where SARSA forgets the action of its target
        start, source = random_tables(rule, mdp, 8), Recorder(mdp, 8, 4)
        config = Config(rule=rule, total_steps=1200, report_every=4, learning_rate=1e-12, epsilon=0.4,
                        final_epsilon=0.0, epsilon_steps=1000)
        snapshots = list(q_learning.train(source, 3, config, seed=0, initial_tables=start))
        assert snapshots[0].epsilon == pytest.approx(0.4 * 0.996) and snapshots[124].epsilon == pytest.approx(0.2)
        assert snapshots[-1].epsilon == 0.0 and [s.step for s in snapshots[:3]] == [4, 8, 12]
        run = torch.arange(8)[:, None]
        best = start.mean(1).argmax(-1)  # of two tables the mean decides
        other = torch.stack([action != best[run, obs] for obs, action, _ in source.past]).double().mean((1, 2))
        assert float(other[251:].max()) == 0.0
        assert float(other[:50].mean()) == pytest.approx(0.36, abs=5 * (0.24 / 1600) ** 0.5)
        assert float(other[200:250].mean()) == pytest.approx(0.04, abs=5 * (0.04 / 1600) ** 0.5)


# Where they converge.

def loop_with_an_exit():
    """Deterministic: a ring of three with an exit (state 3) from state 2; staying in the ring pays."""
    probs = torch.zeros(4, 2, 4, dtype=double)
    for state in range(3):
        probs[state, 0, (state + 1) % 3] = 1.0
        probs[state, 1, 3 if state == 2 else 0] = 1.0
    probs[3, :, 3] = 1.0
    reward = torch.tensor([[0.5, -1.0], [1.0, 0.2], [-0.5, 4.0], [0.0, 0.0]], dtype=double)
    return TabularMDP(probs, reward, torch.tensor([1.0, 0, 0, 0], dtype=double),
                      terminal=torch.tensor([False, False, False, True]))


@pytest.mark.parametrize("rule", ["q", "double_q"])
@pytest.mark.parametrize("time_limit", [None, 3])
def test_without_chance_full_steps_reach_the_optimum_exactly(rule, time_limit):
    # Off-policy from uniform actions. The row of the exit holds 3, which a forgotten mask would let in; the time
    # limit of 3 cuts most episodes, and values that are never bootstrapped there would miss half of the future.
    mdp, discount = loop_with_an_exit(), 0.7
    config = Config(rule=rule, total_steps=3200, report_every=3200, learning_rate=1.0, discount=discount,
                    initial_value=3.0)
    source = Recorder(mdp, 2, 4, time_limit)
    snapshot = last(q_learning.train(source, 4, config, seed=1, behaviour=uniform(mdp)))
    for found in snapshot.tables.flatten(0, 1):
        torch.testing.assert_close(found[:3], best_q(mdp, discount)[:3], rtol=0, atol=1e-9)
        assert bool((found[3] == 3.0).all())
    cut = torch.stack([result.truncated for *_, result in source.past])
    assert bool(cut.any()) == (time_limit is not None)


def best_exploring_q(mdp, discount, epsilon):
    """The fixed point of r + γ P Σₐ π(a|s') Q(s', a) with π ε-greedy in Q itself, and that policy."""
    q_values = torch.zeros(mdp.num_states, mdp.num_actions, dtype=double)
    spread = epsilon / (mdp.num_actions - 1)
    for _ in range(200):
        policy = greedy_policy(q_values) * (1 - epsilon - spread) + spread
        q_values = q_from_value(mdp, (policy * q_values).sum(-1), discount)
    torch.testing.assert_close(q_values, q_from_value(mdp, policy_evaluation(mdp, policy, discount), discount),
                               rtol=0, atol=1e-10)
    return q_values, policy


def test_without_chance_expected_sarsa_learns_the_exploring_policy_exactly_whoever_acts():
    mdp = loop_with_an_exit()
    config = Config(rule="expected_sarsa", total_steps=2400, report_every=2400, learning_rate=1.0, discount=0.7,
                    epsilon=0.2, initial_value=3.0)
    snapshot = last(q_learning.train(Recorder(mdp, 2, 4, 3), 4, config, seed=1, behaviour=uniform(mdp)))
    right, _ = best_exploring_q(mdp, 0.7, 0.2)
    for found in snapshot.q_values:
        torch.testing.assert_close(found[:3], right[:3], rtol=0, atol=1e-9)
    assert float((right - best_q(mdp, 0.7))[:3].abs().max()) > 0.1


TOLERANCE = 0.06  # the largest error over all pairs and runs: at most 0.03 with each of five seeds


@pytest.mark.parametrize("rule", RULES)
def test_with_chance_and_falling_rates_they_converge_as_well(rule):
    mdp, discount, epsilon = random_mdp(192, 3, 2, zeros=0.0), 0.6, 0.4
    config = Config(rule=rule, total_steps=19_200, report_every=19_200, rate_offset=10.0, discount=discount,
                    epsilon=epsilon)
    snapshot = last(q_learning.train(Recorder(mdp, 4, 32, 10), 3, config, seed=0))
    exploring, _ = best_exploring_q(mdp, discount, epsilon)
    right = exploring if "sarsa" in rule else best_q(mdp, discount)
    error = (snapshot.tables - right).abs()
    assert float(error.max()) < TOLERANCE, error
    # What separates the two answers is far larger than the tolerance.
    assert float((exploring - best_q(mdp, discount)).abs().max()) > 5 * TOLERANCE


def test_sarsa_learns_the_q_of_whoever_acts_and_q_learning_does_not_care():
    mdp, discount = random_mdp(192, 3, 2, zeros=0.0), 0.6
    behaviour = torch.tensor([[0.8, 0.2], [0.5, 0.5], [0.3, 0.7]], dtype=double)
    of_behaviour = q_from_value(mdp, policy_evaluation(mdp, behaviour, discount), discount)
    for rule, right, wrong in (("sarsa", of_behaviour, best_q(mdp, discount)),
                               ("q", best_q(mdp, discount), of_behaviour)):
        config = Config(rule=rule, total_steps=19_200, report_every=19_200, rate_offset=10.0, discount=discount)
        snapshot = last(q_learning.train(Recorder(mdp, 4, 32, 10), 3, config, seed=0, behaviour=behaviour))
        assert float((snapshot.q_values - right).abs().max()) < TOLERANCE
        assert float((snapshot.q_values - wrong).abs().max()) > 5 * TOLERANCE


@pytest.mark.slow
def test_on_the_cliff_q_learning_knows_the_short_path_and_sarsa_the_safe_one():
    # With ε = 0.1 for ever. With each of four seeds: below −53 against above −42 in all runs, and 8 short paths
    # of 8 against none.
    walk = cliff()

    def is_shortest(q_values):
        state, total = int(walk.mdp.initial.argmax()), 0.0
        for _ in range(13):
            action = q_values[state].argmax()
            total += float(walk.mdp.reward_table[state, action])
            state = int(walk.mdp.transition_probs[state, action].argmax())
        return total == -13.0 and bool(walk.mdp.terminal[state])

    for rule, short in (("q", True), ("sarsa", False)):
        source = DynamicsSource(walk.mdp, 8, 8, random=generator(0, "cliff"), dtype=double)
        config = Config(rule=rule, total_steps=16_000, report_every=4000, discount=1.0)
        snapshot = last(q_learning.train(source, walk.mdp.num_states, config, seed=0))
        assert all(is_shortest(q_values) == short for q_values in snapshot.q_values)
        assert bool(((snapshot.episode_return < -48) == short).all()), snapshot.episode_return


def test_the_expected_error_of_the_exact_values_is_zero():
    """E[y | s, a] − Q(s, a), enumerated over s' (and a'), for the Q that each target belongs to."""
    mdp, discount, epsilon = with_an_end(3), 0.9, 0.3
    policy = torch.tensor([[0.2, 0.8], [0.6, 0.4], [0.5, 0.5]], dtype=double)
    optimal, of_policy = best_q(mdp, discount), q_from_value(mdp, policy_evaluation(mdp, policy, discount), discount)
    exploring, soft = best_exploring_q(mdp, discount, epsilon)
    for s in range(2):
        for a in range(2):
            reward, ended, chance = mdp.reward_table[s, a].expand(3), mdp.terminal, mdp.transition_probs[s, a]
            junk = torch.where(ended[:, None], 100.0, 0.0)  # behind a termination Q may be anything
            by_max = chance @ q_target(reward, optimal + junk, ended, discount=discount)
            by_mean = chance @ expected_sarsa_target(reward, exploring + junk, soft, ended, discount=discount)
            by_action = sum(chance @ (policy[:, b] * sarsa_target(reward, (of_policy + junk)[:, b], ended,
                                                                  discount=discount)) for b in range(2))
            assert float(by_max - optimal[s, a]) == pytest.approx(0.0, abs=1e-10)
            assert float(by_mean - exploring[s, a]) == pytest.approx(0.0, abs=1e-10)
            assert float(by_action - of_policy[s, a]) == pytest.approx(0.0, abs=1e-10)


# Runs, seeds, sockets, input.

@pytest.mark.parametrize("rule", RULES)
def test_the_same_seed_gives_the_same_and_runs_do_not_feel_each_other(rule):
    mdp = with_an_end(1)
    config = Config(rule=rule, total_steps=300, rate_offset=5.0, discount=0.9, epsilon=0.3)

    def trained(touch=None, seed=0):
        start, source = random_tables(rule, mdp, 4), Recorder(mdp, 4, 2, 5)
        if touch == "table":
            start[2] += torch.randn(start[2].shape, generator=generator(5, "touch"), dtype=double)
        if touch == "state":
            source.state[2] = 1 - source.state[2]
        return last(q_learning.train(source, 3, config, seed=seed, initial_tables=start))

    plain, again = trained(), trained()
    assert torch.equal(plain.tables, again.tables) and torch.equal(plain.episode_return, again.episode_return)
    for touch in ("table", "state"):
        touched = trained(touch)
        assert [torch.equal(plain.tables[run], touched.tables[run]) for run in range(4)] == [True, True, False, True]
        same = [torch.equal(plain.episode_return[run], touched.episode_return[run]) for run in range(4)]
        assert same[:2] + same[3:] == [True] * 3
    assert not torch.equal(plain.tables, trained(seed=1).tables)


def test_snapshots_keep_what_they_hold_and_the_start_is_not_touched():
    mdp = with_an_end(1)
    start = random_tables("q", mdp, 2)
    before = start.clone()
    source = Recorder(mdp, 2, 2, 5)
    snapshots = list(q_learning.train(source, 3, Config(total_steps=50, report_every=21), seed=0,
                                      initial_tables=start))
    assert torch.equal(start, before)
    assert [snapshot.step for snapshot in snapshots] == [22, 44, 50]
    assert not torch.equal(snapshots[0].tables, snapshots[1].tables)
    assert [step for step, _ in snapshots[0].curve] == [22, 44, 50] and snapshots[0].curve is snapshots[1].curve
    ended_with, running = [[], []], torch.zeros(2, 2, dtype=double)
    for _, _, result in source.past[:11]:
        running = running + result.reward
        for run, n in (result.terminated | result.truncated).nonzero().tolist():
            ended_with[run].append(float(running[run, n]))
            running[run, n] = 0.0
    assert snapshots[0].episode_return.tolist() == pytest.approx([sum(ends) / len(ends) for ends in ended_with])


@pytest.mark.parametrize("rule", RULES)
def test_a_students_target_sees_one_run_and_trains_the_same(rule):
    mdp, shapes = with_an_end(1), []
    library = getattr(q_learning.td, f"{rule}_target")

    def mine(reward, *values, discount):
        shapes.append([tuple(value.shape) for value in (reward, *values)])
        return library(reward, *values, discount=discount)

    config = Config(rule=rule, total_steps=60, discount=0.9)
    results = [last(q_learning.train(Recorder(mdp, 2, 3), 3, config, seed=0, **how)).tables
               for how in ({}, {f"{rule}_target": mine})]
    assert torch.equal(*results)
    rows = {"q": [(3, 2)], "sarsa": [(3,)], "expected_sarsa": [(3, 2)] * 2, "double_q": [(3, 2)] * 2}
    assert shapes[0] == [(3,), *rows[rule], (3,)]


@pytest.mark.parametrize("call, words", [
    (lambda s: Config(rule="Q"), r"rule: expected one of \['q', 'sarsa', 'expected_sarsa', 'double_q'\], got 'Q'"),
    (lambda s: Config(total_steps=0), "total_steps: expected a whole number of at least 1"),
    (lambda s: Config(learning_rate=0.0), "learning_rate: expected a positive number"),
    (lambda s: Config(learning_rate=1.5), "learning_rate: expected a number in"),
    (lambda s: Config(rate_offset=0.0), "rate_offset: expected a positive number or None"),
    (lambda s: Config(epsilon=-0.1), "epsilon: expected a number in"),
    (lambda s: Config(final_epsilon=2.0), "final_epsilon: expected a number in"),
    (lambda s: q_learning.train(DynamicsSource(Pendulum(), 2, 1, random=generator(0, "s")), 3, seed=0),
     r"source: expected a finite choice of actions \(Discrete\), got Box"),
    (lambda s: q_learning.train(DynamicsSource(CartPole(), 2, 1, random=generator(0, "s")), 3, seed=0),
     "source: expected observations that are states' indices, int64, got shape \\[4\\]"),
    (lambda s: q_learning.train(s, 0, seed=0), "num_states: expected a whole number of at least 1"),
    (lambda s: last(q_learning.train(s, 1, seed=0)), "source: expected observations from 0 to 0, got"),
    (lambda s: q_learning.train(s, 3, Config(rule="double_q"), seed=0, initial_tables=torch.zeros(2, 1, 3, 2)),
     r"initial_tables: expected shape \[2, 2, 3, 2\]"),
    (lambda s: q_learning.train(s, 3, seed=0, behaviour=torch.ones(3, 2)), "behaviour: expected probabilities"),
    (lambda s: q_learning.train(s, 3, seed=0, q_target=3), "q_target: expected a function"),
    (lambda s: last(q_learning.train(s, 3, seed=0, q_target=lambda r, q, t, discount: q)),
     r"q_target: expected a result of shape \[1\], got \[1, 2\]"),
])
def test_bad_input_is_one_line(call, words):
    with pytest.raises(ValueError, match=words):
        call(Recorder(with_an_end(0)))
