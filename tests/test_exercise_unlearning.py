"""The numbers that the bug hunt of exercise 03 prints are those of the code that stands beside them."""

import re
from functools import cache
from pathlib import Path

import pytest
import torch

from rlcourse.algorithms import reinforce
from rlcourse.core.seeding import generator
from rlcourse.data.sources import DynamicsSource
from rlcourse.envs.cartpole import CartPole
from rlcourse.envs.probes import PROBES
from rlcourse.grading.master import read_master
from rlcourse.nets.heads_categorical import CategoricalHead
from rlcourse.nets.policies import Policy

MASTER = read_master(Path(__file__).resolve().parents[1] / "solutions" / "03_policy_gradients.py")
IMPORTS = """
import torch
from rlcourse.core.seeding import generator
from rlcourse.data.sources import DynamicsSource
from rlcourse.envs.cartpole import CartPole
from rlcourse.nets.heads_categorical import CategoricalHead
from rlcourse.nets.policies import Policy
"""


@cache
def space() -> dict:
    """The cells of the hunt, without the picture."""
    namespace = {"curves": lambda *args, **more: None}
    exec(IMPORTS, namespace)
    torch.set_num_threads(1)
    for start in ("def friends_weights", "from rlcourse.algorithms import reinforce\n\n\ndef trained",
                  "from rlcourse.envs.probes import PROBES"):
        exec(next(cell.source for cell in MASTER.cells if cell.source.startswith(start)), namespace)
    return namespace


def printed() -> dict[int, tuple[float, float]]:
    """{update: (friend's, library's)}, from the table in the text."""
    text = next(cell.source for cell in MASTER.cells if "friend's    library's" in cell.source)
    rows = re.findall(r"^ +(\d+) +(\d+\.\d) +(\d+\.\d)$", text, re.MULTILINE)
    return {int(update): (float(friend), float(library)) for update, friend, library in rows}


def only_forward(reward, valid, discount):
    """The friend's weights after the first repair: the baseline compares episodes, the sums still run forward."""
    weight, total = torch.zeros_like(reward), torch.zeros_like(reward[0])
    for t in range(len(reward)):
        total = reward[t] + discount * total
        weight[t] = total
    baseline = (weight * valid).sum(1, keepdim=True) / valid.sum(1, keepdim=True)
    return torch.where(valid, weight - baseline, 0.0)


def test_the_friends_column_is_what_the_friends_weights_give():
    friend = space()["balancing"](space()["friends_weights"]).mean(1)
    assert len(printed()) == 4 and list(printed())[-1] == len(friend) == 20
    for update, (said, _) in printed().items():
        assert float(friend[update - 1]) == pytest.approx(said, abs=0.051)
    assert friend[-1] < friend[0] / 2  # it unlearns


@pytest.mark.slow
def test_the_librarys_column_is_what_the_learner_gives_with_its_own_weights():
    env = CartPole()
    source = DynamicsSource(env, 8, 8, random=generator(0, "hunt"), time_limit=100, dtype=torch.float64)
    policy = Policy(CategoricalHead(4, 2, runs=8, seed=0), env.action_space)
    config = reinforce.Config(updates=20, learning_rate=0.01, discount=0.99, baseline="batch_mean")
    *_, last = reinforce.train(source, policy, config, seed=0)
    library = [float(value.mean()) for _, value in last.curve]
    for update, (_, said) in printed().items():
        assert library[update - 1] == pytest.approx(said, abs=0.051)
    assert min(library[11:]) > 95  # "almost to the end after a dozen updates"
    for update, shown in space()["of_the_library"].items():
        assert library[update - 1] == pytest.approx(shown, abs=0.051)


def test_the_probe_says_of_the_friends_weights_what_the_text_quotes():
    said = space()["what_the_probes_say"](space()["friends_weights"])
    quoted = [cell.source for cell in MASTER.cells if f" {said[0]}" in cell.source.replace("\n> ", " ")]
    assert len(quoted) == 1 and "passed" not in said[1]
    assert sum(probe.action is not None for probe in PROBES) == len(said) == 2


def test_after_the_first_repair_both_probes_pass_and_cartpole_does_not_learn():
    assert all(line.endswith(": passed") for line in space()["what_the_probes_say"](only_forward))
    valid = torch.arange(5)[:, None] < torch.tensor([5, 3, 2, 5])
    torch.testing.assert_close(only_forward(valid.double(), valid, 0.99), torch.zeros(5, 4, dtype=torch.float64))
    # What is left are rounding errors, which Adam blows up to steps in any direction: neither up nor down.
    assert 12 < float(space()["balancing"](only_forward, updates=10).mean(1)[-1]) < 40
