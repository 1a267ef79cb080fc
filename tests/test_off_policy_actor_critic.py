"""The off-policy actor-critic on two rooms: what the corrected and each naive version come to rest at, exactly."""

import pytest
import torch

from rlcourse.algorithms import off_policy_actor_critic as learner
from rlcourse.core.seeding import generator
from rlcourse.data.sources import DynamicsSource
from rlcourse.envs.cartpole import CartPole
from rlcourse.envs.pendulum import Pendulum
from rlcourse.envs.two_rooms import behaviour_logits, policy_logits, two_rooms
from rlcourse.exact.evaluation import policy_evaluation, q_from_value, value_iteration
from rlcourse.nets.heads_categorical import CategoricalHead
from rlcourse.nets.policies import Policy, one_hot
from rlcourse.nets.q_values import DiscreteQNet

ROOMS = two_rooms()
DISCOUNT = learner.Config.discount
BEHAVIOUR = torch.softmax(behaviour_logits(), -1)


def rooms(obs):
    return one_hot(obs, 2)


def source(runs=2, dynamics=ROOMS, environments=4):
    return DynamicsSource(dynamics, runs, environments, random=generator(0, "source"), dtype=torch.float64)


def table(logits, runs=2):
    """A policy with one row of logits for each room."""
    policy = Policy(CategoricalHead(2, 2, runs=runs, seed=0, hidden=()), ROOMS.action_space, rooms)
    with torch.no_grad():
        policy.head.net.weights[0][:] = logits
    return policy


def critic(runs=2):
    return DiscreteQNet(2, 2, runs=runs, seed=0, hidden=(), encode=rooms)


def trained(config, runs=2, behaviour=True, policy=None, values=None):
    """(π [R, S, A], Q [R, S, A]) after training from the replay of a policy that never changes, or of its own."""
    policy, values = policy or table(policy_logits(), runs), values or critic(runs)
    for _ in learner.train(source(runs), policy, values, config, seed=0,
                           behaviour=table(behaviour_logits(), runs) if behaviour else None):
        pass
    obs = torch.arange(2).expand(runs, 2)
    with torch.no_grad():
        return policy.distribution(obs).probs, values(obs)


def exact_q(policy):
    return q_from_value(ROOMS, policy_evaluation(ROOMS, policy, DISCOUNT), DISCOUNT)


def imitation(target_action):
    """Where π(a|s) ∝ β(a|s) Q(s, a) comes to rest, with the Q that `target_action` leads to."""
    policy = BEHAVIOUR
    for _ in range(200):
        weight = BEHAVIOUR * exact_q(BEHAVIOUR if target_action == "stored" else policy)
        policy = weight / weight.sum(-1, keepdim=True)
    return policy


SETTINGS = [(target, gradient) for target in learner.ACTIONS for gradient in learner.ACTIONS]


@pytest.mark.slow
@pytest.mark.parametrize("target_action, gradient_action", SETTINGS)
def test_each_version_comes_to_rest_where_the_algebra_says(target_action, gradient_action):
    probs, q = trained(learner.Config(target_action=target_action, gradient_action=gradient_action))
    best = q_from_value(ROOMS, value_iteration(ROOMS, DISCOUNT)[0], DISCOUNT)
    for run in range(2):
        # The critic: with stored next actions it learns the behaviour's values, whatever the policy is by now.
        right = exact_q(BEHAVIOUR if target_action == "stored" else probs[run])
        assert torch.allclose(q[run], right, atol=0.8), (q[run], right)
        if gradient_action == "policy":
            assert bool((probs[run, :, 1] > 0.98).all()), probs[run]
            assert torch.allclose(exact_q(probs[run]), best, atol=0.3)
        else:
            assert torch.allclose(probs[run], imitation(target_action), atol=0.08), probs[run]
            assert float((best - exact_q(probs[run])).min()) > 5  # of about 15: far from the best


def test_what_goes_wrong_is_far_larger_than_the_tolerances_above():
    best = q_from_value(ROOMS, value_iteration(ROOMS, DISCOUNT)[0], DISCOUNT)
    assert float((best - exact_q(BEHAVIOUR)).min()) > 7
    for target_action in learner.ACTIONS:
        rest = imitation(target_action)
        assert float(rest[:, 1].max()) < 0.75 and float((rest - BEHAVIOUR).abs().max()) < 0.07


@pytest.mark.slow
def test_its_own_replay_misleads_the_naive_version_less_and_still_for_good():
    # The replay follows the policy, so both mistakes fade: slowly, while the corrected one is long done.
    config = learner.Config()
    corrected, _ = trained(config, behaviour=False)
    naive, _ = trained(learner.naive(config), behaviour=False)
    assert bool((corrected[..., 1] > 0.98).all()), corrected
    assert bool((naive[..., 1] < 0.97).all()), naive


def test_the_same_seed_gives_the_same_and_runs_do_not_feel_each_other():
    config = learner.Config(total_steps=200)
    plain, again = trained(config, 4), trained(config, 4)
    assert all(torch.equal(a, b) for a, b in zip(plain, again))
    policy = table(policy_logits(), 4)
    values = critic(4)
    with torch.no_grad():
        policy.head.net.weights[0][2] += 0.1
        values.net.weights[0][2] += 0.1
    touched = trained(config, 4, policy=policy, values=values)
    for a, b in zip(plain, touched):
        assert [torch.equal(a[run], b[run]) for run in range(4)] == [True, True, False, True]
    assert not torch.equal(plain[0], torch.softmax(policy_logits(), -1).expand(4, 2, 2))  # and it has learned


def test_the_two_places_are_two_switches():
    config = learner.naive(learner.Config(discount=0.5))
    assert (config.target_action, config.gradient_action, config.discount) == ("stored", "stored", 0.5)
    short = {"total_steps": 200}
    found = [trained(learner.Config(target_action=t, gradient_action=g, **short)) for t, g in SETTINGS]
    for first in range(4):
        for second in range(first):
            assert not all(torch.equal(a, b) for a, b in zip(found[first], found[second]))


def test_episodes_with_ends_of_both_kinds_are_learned_from():
    env, runs = CartPole(), 2
    policy = Policy(CategoricalHead(4, 2, runs=runs, seed=0, hidden=(8,)), env.action_space)
    values = DiscreteQNet(4, 2, runs=runs, seed=0, hidden=(8,))
    ends = DynamicsSource(env, runs, 4, random=generator(0, "s"), time_limit=15, dtype=torch.float64)
    for snapshot in learner.train(ends, policy, values, learner.naive(learner.Config(total_steps=400)), seed=0):
        pass
    assert snapshot.step == 404 and bool((snapshot.episode_return <= 15).all())
    assert [step for step, _ in snapshot.curve][:3] == [68, 84, 100]



def test_where_the_time_limit_cuts_no_next_action_was_stored():
    # Every step is cut: the naive target has no next action to take, and must leave the critic where it is.
    for target_action, learns in (("policy", True), ("stored", False)):
        values, before = critic(), critic()
        cut = DynamicsSource(ROOMS, 2, 4, random=generator(0, "cut"), time_limit=1, dtype=torch.float64)
        config = learner.Config(target_action=target_action, total_steps=200)
        for _ in learner.train(cut, table(policy_logits()), values, config, seed=0):
            pass
        assert all(torch.equal(a, b) != learns for a, b in zip(values.parameters(), before.parameters()))


@pytest.mark.parametrize("call, words", [
    (lambda: learner.Config(target_action="old"), r"target_action: expected one of \['policy', 'stored'\], got 'old'"),
    (lambda: learner.Config(gradient_action=""), "gradient_action: expected one of"),
    (lambda: learner.Config(action_samples=0), "action_samples: expected a whole number of at least 1"),
    (lambda: learner.Config(actor_learning_rate=-1.0), "actor_learning_rate: expected a positive number"),
    (lambda: learner.train(source(dynamics=Pendulum()), table(policy_logits()), critic(), seed=0),
     r"source: expected a finite choice of actions \(Discrete\), got Box"),
    (lambda: learner.train(source(3), table(policy_logits()), critic(), seed=0), "policy: expected 3 runs"),
    (lambda: learner.train(source(), table(policy_logits()), critic(3), seed=0), "critic: expected 2 runs"),
    (lambda: learner.train(source(), table(policy_logits()), DiscreteQNet(2, 3, runs=2, seed=0), seed=0),
     "critic: expected values of 2 actions, got 3"),
    (lambda: learner.train(source(), table(policy_logits()), critic(), learner.Config(capacity=16), seed=0),
     "capacity: expected room for a batch, at least 17 steps, got 16"),
])
def test_bad_input_is_one_line_before_training_starts(call, words):
    with pytest.raises(ValueError, match=words):
        call()
