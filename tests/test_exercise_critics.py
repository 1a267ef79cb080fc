"""The numbers that the text of exercise 04 tells about targets, advantages and wrong critics."""

import contextlib
import io
from functools import cache
from pathlib import Path

import pytest
import torch

import rlcourse.grading
import rlcourse.notebook
from rlcourse.envs.cartpole import CartPole
from rlcourse.envs.two_rooms import two_rooms
from rlcourse.exact.evaluation import policy_evaluation
from rlcourse.grading.checks.actor_critic_closed_form import bias
from rlcourse.grading.master import code_sources, read_master
from rlcourse.widgets.app import watch as live

MASTER = read_master(Path(__file__).resolve().parents[1] / "solutions" / "04_actor_critic.py")
ROOMS = two_rooms()
POLICY = torch.full((2, 2), 0.5, dtype=torch.float64)


def the_cell(words):
    return next(cell.source for cell in MASTER.cells if words in cell.source)


class Kept:
    """An exercise that keeps its demonstrations for later."""

    def __init__(self):
        self.demos = {}

    def check(self, id):
        pass

    def score(self):
        pass

    def demo(self, id, function):
        self.demos[id] = function


@cache
def demos() -> dict:
    """The demonstrations of q1 to q5, with the solution's answers."""
    kept, namespace = Kept(), {"__name__": "__main__"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rlcourse.grading, "exercise", lambda name: kept)
        patch.setattr(rlcourse.notebook, "start", lambda: None)
        for source in code_sources(MASTER.solution_cells()):
            exec(source, namespace)
            if 'ex.demo("q5"' in source:
                break
    return kept.demos


def told(id) -> str:
    """What the demonstration of a question prints."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        demos()[id]()
    return out.getvalue()


def test_a_time_limit_taken_for_an_end_takes_three_tenths_of_the_value():
    assert told("q1").splitlines() == ["the time limit as truncation: after 100 rounds V = 10.00",
                                       "the time limit as termination: after 100 rounds V = 6.90"]
    assert 1 / (1 - 0.9 * 19 / 20) == pytest.approx(6.90, abs=0.005)
    assert "valued at 6.90" in the_cell("One step in twenty")


def test_the_better_the_critic_the_fewer_rewards_one_should_take():
    """The errors that are printed, and exactly: E[(y − V)²] = g² (noise of n rewards and of V) + (bias)²."""
    lines = told("q2").splitlines()
    found = [tuple(float(words.split(" ")[0]) for words in line.split("error ")[1].split(", ")) for line in lines]
    assert found == [(2.65, 1.59), (1.46, 1.58), (0.88, 1.57)]
    for knows, (first, last) in zip((0.0, 0.5, 1.0), found):
        # 300 streams: the standard error of these roots is below 0.07.
        assert first == pytest.approx(exact_error(knows, 1), abs=0.2)
        assert last == pytest.approx(exact_error(knows, 12), abs=0.2)
    falling, rising = ([exact_error(knows, n) for n in (1, 2, 3, 4, 6, 8, 12)] for knows in (0.0, 1.0))
    assert falling == sorted(falling, reverse=True) and rising == sorted(rising)


def exact_error(knows, steps, discount=0.8):
    """The root of E[(yⁿ − V(s₀))²] from the distribution over states, by the moments of yⁿ given the state."""
    value = policy_evaluation(ROOMS, POLICY, discount)
    mean, square = knows * value, (knows * value) ** 2
    for _ in range(steps):
        after = torch.einsum("sat,t->sa", ROOMS.transition_probs, mean)
        after_square = torch.einsum("sat,t->sa", ROOMS.transition_probs, square)
        reward = ROOMS.reward_table
        mean = (POLICY * (reward + discount * after)).sum(1)
        square = (POLICY * (reward**2 + 2 * discount * reward * after + discount**2 * after_square)).sum(1)
    error = square - 2 * mean * value + value**2
    return float((ROOMS.initial @ error).sqrt())


@pytest.mark.slow
def test_the_advantages_balance_the_pole_as_the_text_promises(monkeypatch):
    def silently(snapshots, *args, **more):
        *_, last = snapshots
        return last

    monkeypatch.setitem(demos()["q3"].__globals__, "watch", silently)
    assert live.watch is not silently
    assert [line.rsplit(" ", 1)[1] for line in told("q3").splitlines()] == ["True", "True"]


def test_what_the_longest_estimate_weighs_where_32_steps_are_left():
    lines = told("q4").splitlines()
    assert [line.split(", ")[1].split("%")[0] for line in lines] == ["4", "20", "73"]
    for line, gae_lambda in zip(lines, (0.9, 0.95, 0.99)):
        assert f"{gae_lambda**31:.0%}" in line
        # Σ n wₙ is Σ P(at least n) = 1 + λ + … + λ³¹.
        assert f"{sum(gae_lambda**k for k in range(32)):.1f} rewards" in line
    text = the_cell("The jump at the right edge")
    assert "a fifth of the whole weight" in text and "0.99 nearly three quarters" in text.replace("\n", " ")


@pytest.mark.parametrize("gae_lambda", [0.0, 0.5, 0.95, 1.0])
@pytest.mark.parametrize("offset", [2.0, -0.7])
def test_the_bias_is_that_of_the_exact_mean_in_the_two_rooms_for_every_state_and_action(offset, gae_lambda):
    discount = 0.9
    value = policy_evaluation(ROOMS, POLICY, discount)
    advantage = ROOMS.reward_table + discount * ROOMS.transition_probs @ value - value[:, None]
    wrong = value + offset
    error = ROOMS.reward_table + discount * ROOMS.transition_probs @ wrong - wrong[:, None]  # E[δ | s, a]
    chain = (POLICY[..., None] * ROOMS.transition_probs).sum(1)
    decay = discount * gae_lambda
    later = torch.linalg.solve(torch.eye(2, dtype=torch.float64) - decay * chain, (POLICY * error).sum(1))
    mean = error + decay * ROOMS.transition_probs @ later
    torch.testing.assert_close(mean - advantage, torch.full_like(mean, bias(offset, discount, gae_lambda)))


def test_the_bias_before_an_end_is_what_the_demonstration_and_its_text_say():
    lines = told("q5").splitlines()
    numbers = [[float(word.strip(",;")) for word in line.replace("λ = ", "").replace(":", "").split()
                if word.strip(",;").lstrip("-").replace(".", "").isdigit()] for line in lines]
    for gae_lambda, endless, _, far, last in numbers:
        decay = 0.99 * gae_lambda
        assert endless == pytest.approx(-0.01 / (1 - decay), abs=6e-4)
        # 99 δ that are off by γ − 1, and the last by −1.
        assert far == pytest.approx(-0.01 * sum(decay**k for k in range(99)) - decay**99, abs=6e-4)
        assert last == -1.0
    assert [row[0] for row in numbers] == [0.0, 0.9, 0.95, 1.0]
    assert numbers[0][1] == -0.01 and numbers[-1][1] == numbers[-1][3] == -1.0
    assert "from a hundredth of $c$ at λ = 0 to all of it at λ = 1" in the_cell("The larger λ").replace("\n", " ")


def test_every_step_on_the_pole_pays_one_also_that_of_the_fall():
    pole, state = CartPole(), torch.tensor([[0.0, 0.0, 0.2, 3.0], [0.0, 0.0, 0.0, 0.0]])
    result = pole.step(state, torch.tensor([1, 1]), None)
    assert result.terminated.tolist() == [True, False] and result.reward.tolist() == [1.0, 1.0]
