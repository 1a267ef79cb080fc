"""Fitted Q-iteration: on a batch that holds every transition in proportion it is value iteration, step by step."""

import pytest
import torch
from small_problems import with_an_end

from rlcourse.algorithms import fitted_q
from rlcourse.algorithms.fitted_q import Config, LinearQ, pair_features
from rlcourse.core.batch import Batch
from rlcourse.core.runs import samples_by_run
from rlcourse.core.seeding import generator, uniforms
from rlcourse.data.rollout import rollout
from rlcourse.data.sources import DynamicsSource
from rlcourse.envs.divergence import two_state
from rlcourse.envs.maps import cliff
from rlcourse.envs.tabular import TabularMDP
from rlcourse.exact.evaluation import q_from_value, value_iteration
from rlcourse.nets.policies import one_hot
from rlcourse.nets.q_values import DiscreteQNet

double = torch.float64
EXACT = dict(rtol=0, atol=1e-10)


def quarters(seed, states=4, actions=3):
    """A problem whose probabilities are quarters and whose last state is terminal."""
    random = generator(seed, "quarters")
    landing = torch.randint(states, (states, actions, 4), generator=random)
    probs = torch.nn.functional.one_hot(landing, states).double().mean(-2)
    reward = torch.randn(states, actions, generator=random, dtype=double)
    probs[-1], reward[-1] = torch.eye(states, dtype=double)[-1], 0.0
    return TabularMDP(probs, reward, torch.eye(states, dtype=double)[0],
                      terminal=torch.arange(states) == states - 1)


def whole_batch(mdp, seed=0):
    """Every transition from states that are not terminal, four times its probability, in any order: [1, B].

    The time limit's flag is thrown in at random: it must not matter.
    """
    rows = [(s, a, after) for s in range(mdp.num_states) for a in range(mdp.num_actions)
            for after in range(mdp.num_states)
            for _ in range(round(4 * float(mdp.transition_probs[s, a, after]))) if not bool(mdp.terminal[s])]
    state, action, after = torch.tensor(rows).T
    order = torch.randperm(len(rows), generator=generator(seed, "order"))
    state, action, after = (column[order][None] for column in (state, action, after))
    cut = torch.rand(state.shape, generator=generator(seed, "cut")) < 0.5
    return Batch(state, action, mdp.reward_table[state, action], after, mdp.terminal[after], cut)


def stacked(*batches):
    return Batch(**{name: torch.cat([getattr(batch, name) for batch in batches])
                    for name in ("obs", "action", "reward", "next_obs", "terminated", "truncated")})


def table(runs, states=4, actions=3, value=0.0):
    return LinearQ(pair_features(states, actions), torch.full((runs, states * actions), value, dtype=double))


def values(critic, states=4):
    with torch.no_grad():
        return critic(torch.arange(states).expand(critic.runs, states))


def backed_up(mdp, q_values, discount):
    """One backup in plain loops; what stands in the row of a terminal state is never asked for."""
    new = q_values.clone()
    for s in range(mdp.num_states):
        for a in range(mdp.num_actions):
            if not bool(mdp.terminal[s]):
                new[s, a] = mdp.reward_table[s, a]
                for after in range(mdp.num_states):
                    if not bool(mdp.terminal[after]):
                        best = max(float(q_values[after, b]) for b in range(mdp.num_actions))
                        new[s, a] += discount * float(mdp.transition_probs[s, a, after]) * best
    return new


def test_with_a_table_each_iteration_is_a_backup_and_the_limit_is_the_optimum():
    problems = [quarters(seed) for seed in (1, 2, 3)]
    batch = stacked(*(whole_batch(mdp, seed) for seed, mdp in enumerate(problems)))
    critic, expected = table(3, value=7.0), [torch.full((4, 3), 7.0, dtype=double) for _ in problems]
    for snapshot in fitted_q.train(batch, critic, Config(iterations=150, discount=0.8)):
        if snapshot.step <= 5:
            expected = [backed_up(mdp, q, 0.8) for mdp, q in zip(problems, expected)]
            torch.testing.assert_close(values(critic), torch.stack(expected), **EXACT)
    assert snapshot.step == 150 and snapshot.critic is critic
    for mdp, found in zip(problems, values(critic)):
        best = q_from_value(mdp, value_iteration(mdp, 0.8)[0], 0.8)
        torch.testing.assert_close(found[:3], best[:3], **EXACT)
        assert bool((found[3] == 7.0).all())  # no transition begins in the terminal state: its row is left alone


def test_the_loss_is_the_spread_of_the_targets():
    # After an exact fit what remains is the variance of y given (s, a), averaged over the batch.
    mdp = quarters(1)
    batch, critic = whole_batch(mdp), table(1)
    snapshots = fitted_q.train(batch, critic, Config(iterations=2, discount=0.9))
    assert float(next(snapshots).loss) == pytest.approx(0.0, abs=1e-20)  # y = r, which is certain
    before = values(critic)[0]
    best = torch.where(mdp.terminal, 0.0, before.max(-1).values)
    mean = mdp.transition_probs @ best
    spread = (mdp.transition_probs @ best.square() - mean.square())[:3]
    assert float(next(snapshots).loss) == pytest.approx(0.81 * float(spread.mean()), rel=1e-10)


def drives(mdp, runs, steps, environments, time_limit, seed=0):
    source = DynamicsSource(mdp, runs, environments, random=generator(seed, "drives"), time_limit=time_limit,
                            dtype=double)
    random = generator(seed, "drives' actions")
    return rollout(source, lambda state: (uniforms(state.shape, random) * mdp.num_actions).long(), steps)


def test_a_batch_of_drives_is_solved_as_the_model_that_its_counts_make():
    mdp, discount = with_an_end(3), 0.8
    batch = drives(mdp, 2, 60, 3, time_limit=4)
    assert bool(batch.truncated.any()) and bool(batch.terminated.any())
    samples = batch.map(samples_by_run)
    critic = table(2, 3, 2)
    for _ in fitted_q.train(samples, critic, Config(iterations=200, discount=discount)):
        pass
    for run in range(2):
        counts = torch.zeros(3, 2, 3, dtype=double)
        for s, a, after in zip(*(getattr(batch, name)[:, run].flatten() for name in ("obs", "action", "next_obs"))):
            counts[s, a, after] += 1
        assert bool((counts.sum(-1)[:2] > 0).all())
        counts[2, :, 2] += 1
        model = TabularMDP(counts / counts.sum(-1, keepdim=True), mdp.reward_table, mdp.initial, terminal=mdp.terminal)
        best = q_from_value(model, value_iteration(model, discount)[0], discount)
        torch.testing.assert_close(values(critic, 3)[run, :2], best[:2], **EXACT)


def test_the_cliff_is_solved_from_one_of_each_transition():
    walk = cliff()
    state, action = torch.arange(walk.mdp.num_states * 4)[None] // 4, torch.arange(walk.mdp.num_states * 4)[None] % 4
    state, action = (index[~walk.mdp.terminal[state]][None] for index in (state, action))
    after = walk.mdp.transition_probs[state, action].argmax(-1)
    batch = Batch(state, action, walk.mdp.reward_table[state, action], after, walk.mdp.terminal[after],
                  torch.zeros_like(state, dtype=torch.bool))
    critic = table(1, walk.mdp.num_states, 4, value=5.0)
    for _ in fitted_q.train(batch, critic, Config(iterations=40, discount=1.0)):
        pass
    start = int(walk.mdp.initial.argmax())
    assert float(critic.q_values[0, start].max()) == pytest.approx(-13.0)


def test_a_pair_that_is_not_in_the_batch_keeps_its_value_and_is_chosen_if_that_is_too_large():
    # One state, two actions, only the first of which was tried: it pays 0.
    zero, flag = torch.zeros(1, 1, dtype=double), torch.zeros(1, 1, dtype=torch.bool)
    batch = Batch(zero.long(), zero.long(), zero, zero.long(), flag, flag)
    for start, learned in ((1.0, 0.5), (-1.0, 0.0)):
        critic = table(1, 1, 2, value=start)
        for _ in fitted_q.train(batch, critic, Config(iterations=60, discount=0.5)):
            pass
        torch.testing.assert_close(values(critic, 1)[0, 0], torch.tensor([learned, start], dtype=double), **EXACT)


@pytest.mark.parametrize("discount, diverges", [(0.99, True), (0.84, True), (0.83, False), (0.5, False)])
def test_two_weighted_features_grow_by_six_fifths_of_the_discount(discount, diverges):
    # Q(s, a) is the value of where a leads: features 1 and 2. Both targets are γ·2w for w > 0.
    problem = two_state(discount)
    where = problem.features.expand(2, 2, 1)
    state, action = torch.tensor([[0, 0, 1, 1]]), torch.tensor([[0, 1, 0, 1]])
    no = torch.zeros(1, 4, dtype=torch.bool)
    batch = Batch(state, action, problem.mdp.reward_table[state, action], action, no, no)  # action a leads to state a
    critic = LinearQ(where, problem.initial_parameters[None])
    for snapshot in fitted_q.train(batch, critic, Config(iterations=30, discount=discount)):
        assert float(critic.weights) == pytest.approx((6 * discount / 5) ** snapshot.step, rel=1e-12)
    assert (float(critic.weights) > 1) == diverges
    with pytest.raises(FloatingPointError, match="loss: not finite at iteration .* in runs \\[0\\]"):
        for _ in fitted_q.train(batch, LinearQ(where, torch.tensor([[1e200]], dtype=double))):
            pass


def network(runs, seed=0, hidden=(32,)):
    return DiscreteQNet(4, 3, runs=runs, seed=seed, hidden=hidden, encode=lambda obs: one_hot(obs, 4))


def test_a_network_reaches_the_optimum_as_well():
    problems = [quarters(seed) for seed in (1, 2)]
    batch = stacked(*(whole_batch(mdp, seed) for seed, mdp in enumerate(problems)))
    critic = network(2)
    config = Config(iterations=20, discount=0.6, updates=60)
    for _ in fitted_q.train(batch, critic, config, seed=1):
        pass
    for mdp, found in zip(problems, values(critic)):
        best = q_from_value(mdp, value_iteration(mdp, 0.6)[0], 0.6)
        torch.testing.assert_close(found[:3], best[:3], rtol=0, atol=0.25)  # 0.11 at most with each of four seeds
        assert float(best.abs().max()) > 1.5


def test_the_targets_stand_still_within_an_iteration():
    batch, seen = stacked(*(whole_batch(quarters(seed)) for seed in (1, 1))), []

    def watched(reward, next_q_values, terminated, *, discount):
        seen.append(next_q_values.clone())
        assert reward.ndim == 1 and next_q_values.ndim == 2 and not next_q_values.requires_grad
        return reward + discount * torch.where(terminated, 0.0, next_q_values.max(-1).values)

    config = Config(iterations=4, updates=5, batch_size=8, discount=0.9)
    mine, library = network(2), network(2)
    for critic, how in ((mine, {"q_target": watched}), (library, {})):
        for _ in fitted_q.train(batch, critic, config, seed=3, **how):
            pass
    assert len(seen) == 4 * 2  # once an iteration for each of two runs, not once an update
    assert all(torch.equal(a, b) for a, b in zip(mine.parameters(), library.parameters()))


def test_one_iteration_of_a_linear_network_is_a_regression_on_the_first_targets():
    # Without hidden layers and with many steps Adam finds the least-squares fit of r + γ max Q₀.
    mdp = quarters(2)
    batch, critic = whole_batch(mdp), network(1, hidden=())
    expected = backed_up(mdp, values(critic)[0], 0.9)
    config = Config(iterations=1, updates=600, learning_rate=0.01, discount=0.9)
    for _ in fitted_q.train(batch, critic, config, seed=0):
        torch.testing.assert_close(values(critic)[0, :3], expected[:3], rtol=0, atol=0.12)


@pytest.mark.parametrize("make", [table, network], ids=["table", "network"])
def test_runs_do_not_feel_each_other_and_the_seed_suffices(make):
    batch = stacked(*(whole_batch(quarters(1), seed) for seed in range(4)))
    config = Config(iterations=3, updates=4, batch_size=8)

    def trained(batch, touch=False, seed=0):
        critic = make(4)
        if touch:
            parameters = [critic.weights] if make is table else list(critic.parameters())
            with torch.no_grad():
                parameters[0][2] += 0.1
        for _ in fitted_q.train(batch, critic, config, seed=seed):
            pass
        return values(critic)

    plain, again, touched = trained(batch), trained(batch), trained(batch, touch=True)
    assert torch.equal(plain, again)
    assert [torch.equal(plain[run], touched[run]) for run in range(4)] == [True, True, False, True]
    reward = batch.reward.clone()
    reward[3] += 1
    other = trained(Batch(batch.obs, batch.action, reward, batch.next_obs, batch.terminated, batch.truncated))
    assert [torch.equal(plain[run], other[run]) for run in range(4)] == [True, True, True, False]
    if make is network:
        assert not torch.equal(plain, trained(batch, seed=1))
        # Equal networks on equal batches part, because each run draws its own minibatches.
        twins, same = network(2), stacked(*[whole_batch(quarters(1))] * 2)
        with torch.no_grad():
            for parameter in twins.parameters():
                parameter[1] = parameter[0]
        for _ in fitted_q.train(same, twins, config, seed=0):
            pass
        assert not torch.equal(*values(twins))


def test_float32_rewards_meet_a_float64_critic():
    batch = whole_batch(quarters(1))
    half = Batch(batch.obs, batch.action, batch.reward.float(), batch.next_obs, batch.terminated, batch.truncated)
    critic = table(1)
    for _ in fitted_q.train(half, critic, Config(iterations=2)):
        pass
    assert critic.weights.dtype == double


@pytest.mark.parametrize("call, words", [
    (lambda b: Config(iterations=0), "iterations: expected a whole number of at least 1"),
    (lambda b: Config(updates=0), "updates: expected a whole number of at least 1"),
    (lambda b: Config(discount=1.5), "discount: expected a number in"),
    (lambda b: Config(learning_rate=0.0), "learning_rate: expected a positive number"),
    (lambda b: fitted_q.train(b, table(2)), r"batch: expected shape \[2, B\]"),
    (lambda b: fitted_q.train(b, table(1, 4, 2)), "batch: expected actions from 0 to 1, got 0 to 2"),
    (lambda b: fitted_q.train(b, network(2)), r"batch: expected shape \[2, B\]"),
    (lambda b: fitted_q.train(Batch(b.obs, b.action, b.reward, b.next_obs, b.terminated, b.truncated,
                                    valid=torch.zeros_like(b.terminated)), table(1)), "batch: expected transitions"),
    (lambda b: fitted_q.train(Batch(b.obs, b.action.double(), b.reward, b.next_obs, b.terminated, b.truncated),
                              table(1)), "batch: expected actions as int64"),
    (lambda b: LinearQ(pair_features(2, 2), torch.zeros(4)), r"weights: expected shape \[R, 4\]"),
    (lambda b: fitted_q.train(b, table(1, 3)), "batch.next_obs: expected states' indices from 0 to 2"),
    (lambda b: fitted_q.train(Batch(b.obs.double(), b.action, b.reward, b.next_obs, b.terminated, b.truncated),
                              table(1)), "batch.obs: expected states' indices from 0 to 3, int64"),
    (lambda b: LinearQ(torch.zeros(4, 4), torch.zeros(1, 4)), r"features: expected shape \[S, A, K\]"),
    (lambda b: next(fitted_q.train(b, table(1), q_target=lambda r, q, t, discount: q)),
     r"q_target: expected a result of shape \[36\], got \[36, 3\]"),
])
def test_bad_input_is_one_line(call, words):
    with pytest.raises(ValueError, match=words):
        call(whole_batch(quarters(1)))
