"""`Policy`: acting within the action space, copies, and files that cannot run code."""

import pytest
import torch

from rlcourse.core.seeding import generator, uniforms
from rlcourse.core.spaces import Box, Discrete
from rlcourse.nets.heads_categorical import CategoricalHead
from rlcourse.nets.heads_gaussian import GaussianHead
from rlcourse.nets.policies import Policy, one_hot


def gaussian_policy(runs=3, seed=0, hidden=(8,)):
    return Policy(GaussianHead(2, 1, runs=runs, seed=seed, hidden=hidden), Box(-0.5, 0.5, 1))


def draws(*shape, name="draws"):
    return uniforms(shape, generator(0, name))


def test_actions_are_the_heads_samples_clamped_into_the_box():
    policy, obs, noise = gaussian_policy(), draws(3, 200, 2), draws(3, 200, 1, name="noise")
    sample, action = policy.head.sample(obs, noise), policy.act(obs, noise)
    inside = sample.abs() <= 0.5
    assert torch.equal(action[inside], sample[inside]) and (action[~inside].abs() == 0.5).all()
    assert 0 < int(inside.sum()) < inside.numel()
    assert policy.action_space.contains(action) and not action.requires_grad
    assert torch.equal(policy.act(obs), policy.head.sample(obs).clamp(-0.5, 0.5))


def test_a_table_through_one_hot():
    """With no hidden layer the logits of state s are row s of the weights."""
    head = CategoricalHead(4, 3, runs=2, seed=0, hidden=())
    policy = Policy(head, Discrete(3), encode=lambda obs: one_hot(obs, 4))
    obs = torch.tensor([[0, 1, 2, 3], [3, 3, 0, 1]])
    expected = torch.stack([head.net.weights[0][r][obs[r]].argmax(-1) for r in range(2)])
    assert torch.equal(policy.act(obs), expected)
    assert policy.act(obs, draws(2, 4, 1)).shape == (2, 4)
    probs = torch.softmax(head.net.weights[0][0], -1)
    torch.testing.assert_close(policy.loss(obs, torch.ones(2, 4, dtype=torch.int64))[0], -probs[:, 1].log())


def test_copies_and_runs_are_independent():
    policy, obs = gaussian_policy(), draws(3, 5, 2)
    kept, alone, before = policy.copy(), policy.run(1), policy.act(obs)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.mul_(-2.0)
    assert torch.equal(kept.act(obs), before) and not torch.equal(policy.act(obs), before)
    assert alone.runs == 1 and policy.runs == 3
    torch.testing.assert_close(alone.act(obs[1:2]), before[1:2])


def test_saving_and_loading(tmp_path):
    policy, other, obs = gaussian_policy(seed=0), gaussian_policy(seed=1), draws(3, 5, 2)
    policy.save(tmp_path / "policy.pt")
    assert not torch.equal(other.act(obs), policy.act(obs))
    assert torch.equal(other.load(tmp_path / "policy.pt").act(obs), policy.act(obs))


def test_a_file_of_another_policy_is_refused(tmp_path):
    gaussian_policy(runs=2).save(tmp_path / "policy.pt")
    with pytest.raises(ValueError, match=r"path: expected head.net.weights.0 of shape \[3, 2, 8\], got \[2, 2, 8\]"):
        gaussian_policy(runs=3).load(tmp_path / "policy.pt")
    gaussian_policy(hidden=(8, 8)).save(tmp_path / "deep.pt")
    with pytest.raises(ValueError, match="path: expected the parameters of GaussianHead"):
        gaussian_policy().load(tmp_path / "deep.pt")


class Surprise:
    def __reduce__(self):
        return print, ("code from a file has run",)


def test_a_file_with_code_is_refused(tmp_path, capsys):
    torch.save({"head": Surprise()}, tmp_path / "bad.pt")
    with pytest.raises(Exception, match="(?i)weights.only"):
        gaussian_policy().load(tmp_path / "bad.pt")
    assert "has run" not in capsys.readouterr().out


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="head: expected one for actions of size 2, got 1"):
        Policy(GaussianHead(2, 1, runs=1, seed=0), Box(-1, 1, 2))
    with pytest.raises(ValueError, match="head: expected one for 3 discrete actions, got None"):
        Policy(GaussianHead(2, 1, runs=1, seed=0), Discrete(3))
    with pytest.raises(ValueError, match="index: expected 0 to 3, got 0 to 4"):
        one_hot(torch.tensor([0, 4]), 4)
    with pytest.raises(ValueError, match="index: expected dtype int64"):
        one_hot(torch.tensor([0.0]), 4)
