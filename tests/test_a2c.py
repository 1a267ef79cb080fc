"""A2C and late gradients: they learn, runs do not feel each other, wrong equations and wrong input are noticed."""

from dataclasses import replace

import pytest
import torch

from rlcourse.algorithms import a2c, delayed_gradient
from rlcourse.core.seeding import generator
from rlcourse.data.episodes import episodes
from rlcourse.data.evaluate import mean_return
from rlcourse.data.rollout import rollout
from rlcourse.data.sources import DynamicsSource
from rlcourse.envs.cartpole import CartPole
from rlcourse.envs.corridor import blind_corridor
from rlcourse.envs.pendulum import Pendulum
from rlcourse.envs.probes import PROBES
from rlcourse.equations import actor_critic, policy_gradient, returns
from rlcourse.exact.policy_gradient import gradient_by_theorem
from rlcourse.nets.heads_categorical import CategoricalHead
from rlcourse.nets.heads_gaussian import GaussianHead
from rlcourse.nets.policies import Policy, one_hot
from rlcourse.nets.shared_trunk import SharedTrunk, TrunkValue
from rlcourse.nets.values import ValueNet

F32 = torch.float32
SHORT = a2c.Config(total_steps=192, horizon=16)  # three updates on 4 environments


def source(env, runs=2, environments=4, seed=0, dtype=F32):
    return DynamicsSource(env, runs, environments, random=generator(seed, "source"), dtype=dtype)


def separate(env, runs=2, seed=0, hidden=(16,), dtype=F32):
    size = env.obs_shape[0]
    head = (CategoricalHead(size, env.action_space.n, runs=runs, seed=seed, hidden=hidden, dtype=dtype)
            if hasattr(env.action_space, "n") else
            GaussianHead(size, env.action_space.size, runs=runs, seed=seed, hidden=hidden, dtype=dtype))
    return Policy(head, env.action_space, clamp=False), ValueNet(size, runs=runs, seed=seed, hidden=hidden, dtype=dtype)


def shared(env, runs=2, seed=0, hidden=(16,), dtype=F32):
    trunk = SharedTrunk(env.obs_shape[0], env.action_space.n, runs=runs, seed=seed, hidden=hidden, dtype=dtype)
    return Policy(trunk, env.action_space), TrunkValue(trunk, seed=seed)


def train_a2c(env, networks, runs=2, config=SHORT, **sockets):
    return a2c.train(source(env, runs), *networks, config, seed=0, **sockets)


def train_late(env, networks, runs=2, config=SHORT, staleness=2, **sockets):
    return delayed_gradient.train(source(env, runs), *networks, config, staleness=staleness, seed=0, **sockets)


def after(snapshots) -> list[torch.Tensor]:
    for snapshot in snapshots:
        last = snapshot
    return [parameter.detach().clone() for parameter in [*last.policy.parameters(), *last.critic.parameters()]]


def equal(first, second) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


learners = pytest.mark.parametrize("learn, networks", [
    (train_a2c, separate), (train_a2c, shared), (train_late, separate), (train_late, shared)])


@learners
def test_the_same_seed_gives_the_same_networks(learn, networks):
    env = CartPole()
    first, second = after(learn(env, networks(env))), after(learn(env, networks(env)))
    assert equal(first, second)
    untouched = [*networks(env)[0].parameters(), *networks(env)[1].parameters()]
    assert not any(torch.equal(a, b) for a, b in zip(first, untouched, strict=True))  # all of them were trained


@learners
def test_runs_do_not_feel_each_other(learn, networks):
    env, runs, touched = CartPole(), 4, 2
    plain, other = networks(env, runs), networks(env, runs)
    with torch.no_grad():
        for parameter in other[0].parameters():
            parameter[touched] += 0.1
    before, later = after(learn(env, plain, runs)), after(learn(env, other, runs))
    for a, b in zip(before, later, strict=True):
        for run in range(runs):
            assert torch.equal(a[run], b[run]) == (run != touched)


def test_gaussian_actions_are_learned_as_they_were_drawn():
    env = Pendulum()
    policy, critic = separate(env)
    with pytest.raises(ValueError, match="keeps its actions as drawn"):
        train_a2c(env, (Policy(policy.head, env.action_space), critic))
    assert all(bool(torch.isfinite(part).all()) for part in after(train_a2c(env, (policy, critic))))


def by_hand(batch, ages, policy, critic, config):
    """The loss of run 0, transition by transition in plain Python: Âₜ as a double sum over TD errors."""
    steps, _, environments = batch.reward.shape
    with torch.no_grad():
        seen = batch.obs.reshape(1, -1, 4)
        value, following, logits = (answer.reshape(steps, environments, -1) for answer in (
            critic.net(seen), critic.net(batch.next_obs.reshape(1, -1, 4)), policy.head.net(seen)))
    total = 0.0
    for i in range(environments):
        for t in range(steps):
            advantage, decay = 0.0, 1.0
            for later in range(t, steps):
                over = bool(batch.terminated[later, 0, i])
                after_it = 0.0 if over else config.discount * float(following[later, i, 0])
                advantage += decay * (float(batch.reward[later, 0, i]) + after_it - float(value[later, i, 0]))
                decay *= config.discount * (config.gae_lambda if config.advantage == "gae" else 0.0)
                if over or bool(batch.truncated[later, 0, i]):
                    break
            own = logits[t, i].tolist()
            top = torch.tensor(own, dtype=torch.float64).exp()
            log_prob = float((top[int(batch.action[t, 0, i])] / top.sum()).log())
            weight = config.discount ** ages[t][i] if config.discount_option == 2 else 1.0
            total += -log_prob * weight * advantage + config.value_weight * advantage ** 2
    return total / (steps * environments)


@pytest.mark.parametrize("config", [
    a2c.Config(), a2c.Config(advantage="td"), a2c.Config(discount_option=2, gae_lambda=1.0, value_weight=0.1)])
def test_the_loss_is_the_one_written_out_by_hand(config):
    env = CartPole()
    policy, critic = separate(env, 1, dtype=torch.float64)
    here = DynamicsSource(env, 1, 3, random=generator(3, "loss"), time_limit=13, dtype=torch.float64)
    clock, actions = a2c.EpisodeClock(here), generator(0, "loss actions")
    clock.add(rollout(here, policy, 7, random=actions))  # so that the next rollout begins within episodes
    ages, counting = [], here.steps_taken.clone()
    batch = rollout(here, policy, 24, random=actions)
    for ended in batch.terminated | batch.truncated:
        ages.append(counting[0].tolist())
        counting = torch.where(ended, 0, counting + 1)
    assert bool(batch.terminated.any()) and bool((batch.truncated & ~batch.terminated).any())
    equations = a2c.sockets(actor_critic.td_target, returns.gae, policy_gradient.surrogate_loss)
    step = clock.add(batch)
    assert step[:, 0].tolist() == ages
    loss = a2c.losses(batch, step, policy, critic, config, equations)
    assert loss.item() == pytest.approx(by_hand(batch, ages, policy, critic, config), rel=1e-9)


def test_the_trunk_gets_both_gradients_and_each_head_its_own():
    env = CartPole()
    policy, critic = shared(env, dtype=torch.float64)
    here = source(env, dtype=torch.float64)
    batch = rollout(here, policy, 8, random=generator(0, "trunk"))
    step = a2c.EpisodeClock(here).add(batch)
    equations = a2c.sockets(actor_critic.td_target, returns.gae, policy_gradient.surrogate_loss)
    parameters = [policy.head.trunk.weights[0], policy.head.logits.weights[0], critic.net.weights[0]]

    def gradients(weight):
        loss = a2c.losses(batch, step, policy, critic, a2c.Config(value_weight=weight), equations)
        found = torch.autograd.grad(loss.sum(), parameters, allow_unused=True)
        return [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, found)]

    actor, both, double = gradients(0.0), gradients(1.0), gradients(2.0)
    for none, one, two in zip(actor, both, double):
        torch.testing.assert_close(two - one, one - none, rtol=1e-9, atol=1e-9)
    trunk, logits, value = ((one - none).abs().max() for none, one in zip(actor, both))  # the critic's part
    assert trunk > 1e-3 and logits < 1e-12 and value > 1e-3
    assert actor[0].abs().max() > 1e-4 and actor[1].abs().max() > 1e-4 and actor[2].abs().max() == 0
    counted = sum(p.numel() for o in a2c.make_optimisers(policy, critic, SHORT) for p in o.parameters)
    assert counted == 2 * (4 * 16 + 16 + 16 * 2 + 2 + 16 + 1)  # every number of the two runs once


def test_the_shared_trunk_is_the_network_that_it_says():
    policy, critic = shared(CartPole(), 2, dtype=torch.float64)
    obs = torch.randn(2, 5, 4, generator=generator(0, "obs"), dtype=torch.float64)
    for run in range(2):
        trunk, logits, value = policy.head.trunk, policy.head.logits, critic.net
        hidden = (obs[run] @ trunk.weights[0][run] + trunk.biases[0][run]).tanh()
        raw = hidden @ logits.weights[0][run] + logits.biases[0][run]
        with torch.no_grad():
            torch.testing.assert_close(policy.distribution(obs).probs[run], raw.exp() / raw.exp().sum(-1, keepdim=True))
            torch.testing.assert_close(critic(obs)[run], (hidden @ value.weights[0][run] + value.biases[0][run])[:, 0])
            torch.testing.assert_close(critic.run(run)(obs[run:run + 1])[0], critic(obs)[run])
    assert policy.act(obs).tolist() == policy.distribution(obs).probs.argmax(-1).tolist()


def test_without_delay_it_is_a2c_bit_for_bit():
    env = CartPole()
    for networks in (separate, shared):
        assert equal(after(train_late(env, networks(env), staleness=0)), after(train_a2c(env, networks(env))))
    assert not equal(after(train_late(env, separate(env), staleness=1)), after(train_a2c(env, separate(env))))


@pytest.mark.parametrize("staleness", [1, 3])
def test_gradients_are_as_old_as_they_should_be(staleness):
    env = CartPole()
    policy, critic = separate(env)
    used, plain = [], policy.distribution

    def spy(obs):
        used.append([p.detach().clone() for p in policy.parameters()])
        return plain(obs)

    policy.distribution = spy  # the loop asks for it once an update, for the gradient
    present = [[p.detach().clone() for p in policy.parameters()]]
    config = a2c.Config(total_steps=6 * 32, horizon=8, clip_norm=None)
    mean = square = 0.0  # of Adam, for the first layer
    for update, _ in enumerate(train_late(env, (policy, critic), config=config, staleness=staleness)):
        present.append([p.detach().clone() for p in policy.parameters()])
        gradient = next(policy.parameters()).grad
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient ** 2
        root = (square / (1 - 0.999 ** (update + 1))).sqrt() + 1e-8
        move = config.learning_rate * (1 - update / 6) * mean / (1 - 0.9 ** (update + 1)) / root
        torch.testing.assert_close(present[update + 1][0], present[update][0] - move, rtol=1e-4, atol=1e-6)
    assert len(used) == 6
    for update, parameters in enumerate(used):
        assert equal(parameters, present[max(0, update - staleness)])
        assert not equal(present[update + 1], present[update])


def test_a_students_functions_take_the_place_of_the_librarys():
    env, seen = CartPole(), set()

    def td_target(reward, next_value, terminated, *, discount):
        seen.add(("td_target", tuple(reward.shape)))
        return reward + discount * next_value * ~terminated

    def gae(*args, **kwargs):
        seen.add(("gae", tuple(args[0].shape)))
        return returns.gae(*args, **kwargs)

    def surrogate(log_prob, weight):
        seen.add(("surrogate", tuple(log_prob.shape)))
        return -log_prob * weight

    td = replace(SHORT, advantage="td")
    assert equal(after(train_a2c(env, separate(env), config=td, td_target=td_target)),
                 after(train_a2c(env, separate(env), config=td)))
    for learn in (train_a2c, train_late):
        assert equal(after(learn(env, separate(env), gae=gae, surrogate=surrogate)), after(learn(env, separate(env))))
    assert seen == {("td_target", (16, 4)), ("gae", (16, 4)), ("surrogate", (64,))}


@pytest.mark.parametrize("call, words", [
    (lambda: a2c.Config(horizon=0), "horizon: expected a whole number of at least 1, got 0"),
    (lambda: a2c.Config(total_steps=2.5), "total_steps: expected a whole number"),
    (lambda: a2c.Config(gae_lambda=1.5), "gae_lambda: expected a number in"),
    (lambda: a2c.Config(advantage="mc"), "advantage: expected one of"),
    (lambda: a2c.Config(discount_option=3), "discount_option: expected 1 or 2, got 3"),
    (lambda: a2c.Config(critic_learning_rate=0.0), "critic_learning_rate: expected a positive number"),
    (lambda: a2c.Config(value_weight=-1.0), "value_weight: expected a number of at least 0"),
    (lambda: a2c.Config(clip_norm=0.0), "clip_norm: expected a positive number or None"),
    (lambda: train_a2c(CartPole(), separate(CartPole(), runs=3)), "policy: expected 2 runs"),
    (lambda: train_a2c(CartPole(), (separate(CartPole())[0], separate(CartPole(), 3)[1])), "critic: expected 2 runs"),
    (lambda: train_a2c(CartPole(), (shared(CartPole())[0], shared(CartPole(), 3)[1])), "critic: expected 2 runs"),
    (lambda: train_a2c(CartPole(), separate(Pendulum())), "policy: expected actions in Discrete"),
    (lambda: train_a2c(CartPole(), separate(CartPole()), gae=3), "gae: expected a function, got int"),
    (lambda: train_a2c(CartPole(), separate(CartPole()), td_target=None), "td_target: expected a function"),
    (lambda: train_late(CartPole(), separate(CartPole()), staleness=-1), "staleness: expected a whole number"),
    (lambda: train_late(CartPole(), separate(CartPole(), runs=3)), "policy: expected 2 runs"),
    (lambda: SharedTrunk(4, 2, runs=1, seed=0, hidden=()), "hidden: expected at least one layer"),
])
def test_bad_input_is_one_line_before_training_starts(call, words):
    with pytest.raises(ValueError, match=words) as error:
        call()
    assert "\n" not in str(error.value)


def test_a_loss_that_is_not_finite_stops_the_run_that_has_it():
    env = CartPole()
    for learn in (train_a2c, train_late):
        policy, critic = separate(env)
        with torch.no_grad():
            critic.net.biases[-1][1] = torch.inf
        with pytest.raises(FloatingPointError, match=r"loss: not finite at step 64 in runs \[1\]"):
            list(learn(env, (policy, critic), surrogate=policy_gradient.surrogate_loss))


@pytest.mark.slow
@pytest.mark.parametrize("kind, number", [  # the last probe has all difficulties but the delay of the third
    *(("batch", number) for number in range(5)), ("trunk", 2), ("trunk", 4), ("online", 2), ("online", 4)])
def test_a2c_passes_the_probes(kind, number):
    horizon, advantage, networks = {"batch": (8, "gae", separate), "trunk": (8, "gae", shared),
                                    "online": (1, "td", separate)}[kind]
    probe, runs = PROBES[number], 2
    policy, critic = networks(probe.dynamics, runs)
    config = a2c.Config(total_steps=400 * 8 * horizon, horizon=horizon, advantage=advantage, learning_rate=0.01,
                        critic_learning_rate=0.02, discount=probe.discount)
    for _ in a2c.train(source(probe.dynamics, runs, 8), policy, critic, config, seed=0):
        pass
    obs = probe.obs.to(F32).expand(runs, -1, 1)
    with torch.no_grad():
        value, probs = critic(obs), policy.distribution(obs).probs
    for run in range(runs):
        assert probe.check(value=value[run], action_probs=probs[run]) is None


@pytest.mark.slow
def test_a2c_balances_the_pole_in_every_run():
    # Eight runs of 80,000 steps each; a run that has not reached 475 at some checkpoint fails the test.
    env, runs = CartPole(), 8
    reached = torch.zeros(runs, dtype=torch.bool)
    networks = separate(env, runs, seed=1, hidden=(32, 32))
    for number, snapshot in enumerate(a2c.train(source(env, runs, 8), *networks, seed=1)):
        if number % 16 == 15:
            reached |= mean_return(episodes(source(env, runs, 20, seed=2), snapshot.policy)) >= 475
            if bool(reached.all()):
                break
    assert bool(reached.all()), reached


def unstopped(reward, value, next_value, terminated, truncated, *, discount, gae_lambda):
    """A value beyond the termination: the pole that fell goes on being worth something."""
    never = torch.zeros_like(terminated)
    return returns.gae(reward, value, next_value, never, terminated | truncated, discount=discount,
                       gae_lambda=gae_lambda)


def upside_down(log_prob, weight):
    """The loss of the wrong sign."""
    return log_prob * weight


@pytest.mark.slow
def test_wrong_equations_do_not_learn():
    env, runs, scores = CartPole(), 4, {}
    for name, wrong in (("right", {}), ("unstopped", {"gae": unstopped}), ("upside down", {"surrogate": upside_down})):
        networks = separate(env, runs, hidden=(32, 32))
        for snapshot in a2c.train(source(env, runs, 8), *networks, a2c.Config(total_steps=12_000), seed=0, **wrong):
            pass
        scores[name] = snapshot.episode_return.tolist()
    mean = {name: sum(score) / runs for name, score in scores.items()}
    assert mean["right"] > 150 and mean["unstopped"] < 100 and mean["upside down"] < 15, scores


def test_in_the_blind_corridor_the_options_of_the_discount_disagree():
    env = blind_corridor(10)
    assert env.transition_probs.argmax(-1).tolist() == [[after, after] for after in (*range(1, 12), 11)]
    assert env.reward_table.nonzero().tolist() == [[0, 0], [10, 1]] and env.terminal.nonzero().tolist() == [[11]]
    # One p = ½ for all steps: dp/dlogit = ¼. The first step is worth −1 per unit of p, the last one 2, γ¹⁰ away.
    for option, expected in ((1, (2 - 1) / 4), (2, (2 * 0.9**10 - 1) / 4)):
        by_cell = gradient_by_theorem(env, torch.zeros(12, 2, dtype=torch.float64), 11, 0.9, option)
        assert by_cell.sum(0).tolist() == pytest.approx([-expected, expected], abs=1e-14)


@pytest.mark.slow
@pytest.mark.parametrize("option, right", [(1, 1), (2, 0)])
def test_the_options_of_the_discount_go_opposite_ways_where_they_should(option, right):
    # A policy that cannot see where it is has one p = π(1) for all steps. With γ = 0.8 and 5 steps between them the
    # late reward is worth 2 · 0.8⁵ = 0.66 < 1 at the start, which is what option 2 counts; option 1 counts 2 > 1.
    env, runs, environments = blind_corridor(5), 2, 16
    head = CategoricalHead(1, 2, runs=runs, seed=0, hidden=(8,), dtype=F32)
    policy = Policy(head, env.action_space, encode=lambda obs: torch.ones(*obs.shape, 1))
    critic = ValueNet(7, runs=runs, seed=0, hidden=(16,), dtype=F32, encode=lambda obs: one_hot(obs, 7, F32))
    config = a2c.Config(total_steps=400 * 6 * environments, horizon=6, discount=0.8, discount_option=option)
    for _ in a2c.train(source(env, runs, environments), policy, critic, config, seed=0):
        pass
    probs = policy.distribution(torch.zeros(runs, 1, dtype=torch.int64)).probs.detach()
    assert float(probs[:, 0, right].min()) > 0.9, probs


@pytest.mark.slow
def test_online_actor_critic_learns():
    env, runs = CartPole(), 4
    networks = separate(env, runs, hidden=(32, 32))
    for snapshot in a2c.train(source(env, runs, 16), *networks, a2c.online(a2c.Config(total_steps=40_000)), seed=0):
        pass
    greedy = mean_return(episodes(source(env, runs, 20, seed=2), snapshot.policy))
    assert float(greedy.min()) > 200, greedy
