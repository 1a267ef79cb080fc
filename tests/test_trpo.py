"""TRPO's step against a Fisher matrix solved in full, and the learner on CartPole, also with a wrong sign."""

import math

import pytest
import torch

from rlcourse.algorithms import trpo
from rlcourse.core.runs import samples_by_run
from rlcourse.core.seeding import generator
from rlcourse.data.episodes import episodes
from rlcourse.data.evaluate import mean_return
from rlcourse.data.rollout import rollout
from rlcourse.data.sources import DynamicsSource
from rlcourse.envs.cartpole import CartPole
from rlcourse.equations.importance import importance_ratio
from rlcourse.nets.flat import flatten
from rlcourse.nets.heads_categorical import CategoricalHead
from rlcourse.nets.policies import Policy
from rlcourse.nets.values import ValueNet

double = torch.float64
RUNS, STEPS, ENVIRONMENTS = 3, 16, 8


def source(runs, environments, seed=0, dtype=torch.float32):
    return DynamicsSource(CartPole(), runs, environments, random=generator(seed, "source"), dtype=dtype)


def one_step(**changes):
    """(policy before, policy after, the rollout) of one step of linear softmax policies, all in float64."""
    before = Policy(CategoricalHead(4, 2, runs=RUNS, seed=0, hidden=()), CartPole().action_space)
    batch = rollout(source(RUNS, ENVIRONMENTS, dtype=double), before, STEPS, random=generator(0, "trpo actions"))
    policy = before.copy()
    config = trpo.Config(total_steps=1, horizon=STEPS, **{"max_kl": 1e-3, "solver_steps": 40, **changes})
    (_,) = trpo.train(source(RUNS, ENVIRONMENTS, dtype=double), policy,
                      ValueNet(4, runs=RUNS, seed=0, hidden=(4,)), config, seed=0,
                      gae=lambda reward, *rest, discount, gae_lambda: reward.cumsum(0))
    return before, policy, batch


def step_of(before, after):
    return (flatten(list(after.parameters())) - flatten(list(before.parameters()))).detach()


def solved_in_full(before, batch, run, damping):
    """(F + damping)⁻¹g of one run: scores by hand, F = E_s[x xᵀ ⊗ (diag π − π πᵀ)] with x = (s, 1)."""
    obs, action = samples_by_run(batch.obs)[run], samples_by_run(batch.action)[run]
    gain = samples_by_run(batch.reward.cumsum(0))[run]
    gain = (gain - gain.mean()) / gain.std(correction=0)
    with torch.no_grad():
        probs = before.distribution(samples_by_run(batch.obs)).probs[run]
    x = torch.cat([obs, torch.ones_like(obs[:, :1])], 1)
    missed = torch.nn.functional.one_hot(action, 2) - probs
    gradient = (gain[:, None, None] * x[:, :, None] * missed[:, None, :]).mean(0).flatten()
    spread = torch.diag_embed(probs) - probs[:, :, None] * probs[:, None, :]
    fisher = torch.einsum("nx,ny,nab->xayb", x, x, spread).reshape(10, 10) / len(x)
    return torch.linalg.solve(fisher + damping * torch.eye(10, dtype=double), gradient), gradient


@pytest.mark.parametrize("damping", [0.1, 1e-3])
def test_the_step_is_the_damped_natural_gradient_at_the_length_of_the_trust_region(damping):
    before, after, batch = one_step(damping=damping)
    for run, step in enumerate(step_of(before, after)):
        natural, gradient = solved_in_full(before, batch, run, damping)
        expected = natural * torch.sqrt(2e-3 / (gradient @ natural))
        halvings = math.log2(float(expected.norm() / step.norm()))
        assert round(halvings) in (0, 1, 2) and halvings == pytest.approx(round(halvings), abs=1e-5)
        torch.testing.assert_close(step, expected / 2 ** round(halvings), rtol=1e-5, atol=1e-8)
        assert float(gradient @ step / (gradient.norm() * step.norm())) < 0.98  # and not the gradient itself


def test_no_step_goes_beyond_the_trust_region():
    """With a Fisher matrix of two states every step promises too little KL: unchecked all three go too far."""
    kl = {}
    for backtracks in (0, 10):
        before, after, batch = one_step(max_kl=0.05, damping=0.01, fisher_samples=2, backtracks=backtracks)
        obs = samples_by_run(batch.obs)
        with torch.no_grad():
            old, new = (torch.distributions.Categorical(probs=policy.distribution(obs).probs)
                        for policy in (before, after))
        kl[backtracks] = torch.distributions.kl_divergence(old, new).mean(1)
    assert bool((kl[0] > 0.06).all()) and bool(((0.005 < kl[10]) & (kl[10] < 0.05)).all())


def test_a_part_of_the_states_gives_nearly_the_same_direction():
    full, part = (step_of(*one_step(fisher_samples=samples)[:2]) for samples in (128, 32))
    more = step_of(*one_step(fisher_samples=100_000)[:2])
    cosine = torch.nn.functional.cosine_similarity(full, part, dim=1)
    assert torch.equal(full, more) and bool((cosine > 0.9).all()) and bool((cosine < 1 - 1e-9).all())


def test_fewer_than_one_state_is_refused():
    with pytest.raises(ValueError, match="fisher_samples: expected a whole number of at least 1"):
        trpo.Config(fisher_samples=0)


def learned(runs, total_steps, ratio=importance_ratio):
    """The best mean length of 20 greedy episodes [runs], looked at after every fifth rollout."""
    policy = Policy(CategoricalHead(4, 2, runs=runs, seed=1, dtype=torch.float32), CartPole().action_space)
    critic, best = ValueNet(4, runs=runs, seed=1, dtype=torch.float32), torch.zeros(runs)
    training = trpo.train(source(runs, 16, seed=1), policy, critic, trpo.Config(total_steps=total_steps), seed=1,
                          ratio=ratio)
    for number, snapshot in enumerate(training, 1):
        if number % 5 == 0:
            best = best.maximum(mean_return(episodes(source(runs, 20, seed=2), snapshot.policy)))
    return best, snapshot.episode_return


@pytest.mark.slow
def test_trpo_balances_the_pole_in_every_run():
    # Eight runs of 25,600 steps; with seeds 1, 2 and 3 the worst run ended at 450, 474 and 484.
    best, _ = learned(8, 25_600)
    assert bool((best >= 400).all()), best


@pytest.mark.slow
def test_a_ratio_of_the_wrong_sign_unlearns():
    def upside_down(log_prob, behaviour_log_prob):
        return 2 - importance_ratio(log_prob, behaviour_log_prob)

    _, right = learned(4, 6 * 1024)
    _, wrong = learned(4, 6 * 1024, upside_down)
    assert bool((right > 45).all()) and bool((wrong < 15).all()), (right, wrong)
