"""The numbers that the bug hunt of exercise 04 prints are those of the code that stands beside them."""

import re
from functools import cache
from pathlib import Path

import pytest
import torch

from rlcourse.envs.probes import PROBES
from rlcourse.grading.checks.actor_critic_hunt import advantages_and_targets as library
from rlcourse.grading.master import read_master

MASTER = read_master(Path(__file__).resolve().parents[1] / "solutions" / "04_actor_critic.py")


def cell_with(words: str) -> str:
    """The one cell in which these words stand."""
    found = [cell.source for cell in MASTER.cells if words in cell.source]
    assert len(found) == 1
    return found[0]


@cache
def space() -> dict:
    """The cells of the hunt, with their pictures kept as {title: series}."""
    pictures = {}
    namespace = {"torch": torch, "pictures": pictures}
    torch.set_num_threads(1)

    def run(source: str) -> None:
        exec(source.replace("from rlcourse.plots.curves import curves\n", ""), namespace)

    namespace["curves"] = lambda series, *, title, **more: pictures.setdefault(title, series)
    second_picture = 'title="Eight runs: what the policy would catch in 100 days"'
    for words in ("def friends_advantages", "def actor_critic(", second_picture, "def what_the_probes_say"):
        sources = [cell.source for cell in MASTER.cells
                   if cell.kind == "code" and words in cell.source and "def mended" not in cell.source]
        assert len(sources) == 1
        run(sources[0])
    last = cell_with("def the_sixth_probe")
    run(last[:last.index("\ndef mended")])
    return namespace


@cache
def fished(name: str) -> tuple[list, torch.Tensor, torch.Tensor]:
    """What `fishing` gives for one of the advantages."""
    return space()["fishing"](ADVANTAGES[name])


def row_below(value, next_value):
    return torch.cat([value[1:], next_value[-1:]])


def fresh_start_left(reward, value, next_value, terminated, truncated, discount):
    """After the first repair that comes to mind: nothing behind an end of the problem."""
    target = reward + discount * ~terminated * row_below(value, next_value)
    return target - value, target


def both_ends_cut(reward, value, next_value, terminated, truncated, discount):
    """Another repair: nothing behind any end."""
    target = reward + discount * ~(terminated | truncated) * row_below(value, next_value)
    return target - value, target


def no_mask(reward, value, next_value, terminated, truncated, discount):
    """Only the other bug mended."""
    target = reward + discount * next_value
    return target - value, target


def friends(*args):
    return space()["friends_advantages"](*args)


ADVANTAGES = {"friend's": friends, "library's": library, "first repair": fresh_start_left,
              "both ends cut": both_ends_cut, "no mask": no_mask}


def curve(name: str) -> dict[int, tuple[float, float]]:
    """{update: (catch of a training day, catch in 100 days)}, means of the runs."""
    when, daily, catch = fished(name)
    return {update: (float(day.mean()), float(total.mean())) for update, day, total in zip(when, daily, catch)}


def test_the_table_holds_what_the_two_learners_give():
    text = cell_with("catch of a training day         expected catch in 100 days")
    rows = re.findall(r"^ +(\d+) +(\d\.\d\d) +(\d\.\d\d) +(\d+\.\d) +(\d+\.\d)$", text, re.MULTILINE)
    assert [int(row[0]) for row in rows] == [1, 20, 40, 60, 80]
    for update, friends_day, librarys_day, friends_total, librarys_total in rows:
        friend, sound = curve("friend's")[int(update)], curve("library's")[int(update)]
        assert friend[0] == pytest.approx(float(friends_day), abs=0.0051)
        assert sound[0] == pytest.approx(float(librarys_day), abs=0.0051)
        assert friend[1] == pytest.approx(float(friends_total), abs=0.051)
        assert sound[1] == pytest.approx(float(librarys_total), abs=0.051)


def test_the_pictures_show_the_library_as_it_learns():
    shown = space()["of_the_library"]
    assert list(shown) == [1, *range(10, 81, 10)]
    for update, (daily, catch) in shown.items():
        assert curve("library's")[update] == (pytest.approx(daily, abs=0.0051), pytest.approx(catch, abs=0.051))
    assert len(space()["pictures"]) == 2 and all(len(series) == 2 for series in space()["pictures"].values())


@pytest.mark.slow
def test_the_training_curve_prefers_the_friend_and_the_pond_does_not():
    """Catches of a training day rise for the friend and fall for the library; the test says the opposite."""
    friend, sound = curve("friend's"), curve("library's")
    assert friend[80][0] > friend[1][0] + 0.1 and sound[80][0] < sound[1][0] - 0.1
    assert all(friend[update][0] > sound[update][0] for update in range(10, 81, 5))
    assert friend[80][1] < friend[1][1] < sound[80][1] / 5
    runs = {name: fished(name)[2][-1] for name in ADVANTAGES}
    assert runs["friend's"].max() < runs["first repair"].min()
    assert runs["first repair"].max() < runs["library's"].min()  # in each of the eight runs


@pytest.mark.slow
def test_after_two_weeks_nearly_all_of_the_friends_ponds_are_empty():
    said = int(re.search(r"After two weeks (\d+) of 100 of her ponds are empty", cell_with("After two weeks"))[1])
    here, mdp = space(), space()["pond"]()
    source = here["DynamicsSource"](mdp, 8, 16, random=here["generator"](0, "ponds"), time_limit=4,
                                    dtype=torch.float64)
    actor = here["Actor"](8, 7, 2, lambda obs: obs)
    assert len(list(here["actor_critic"](friends, source, actor, 0.95, 80))) == 80
    walk = torch.einsum("rsa,san->rsn", actor.logits.softmax(-1), mdp.transition_probs)
    empty = torch.linalg.matrix_power(walk, 14)[:, -1, 0]
    assert round(100 * float(empty.mean())) == said


def test_nothing_beats_the_rod_in_a_full_pond_in_the_long_run_and_nets_do_in_a_season():
    mdp = space()["pond"]()
    value, season = torch.zeros(7, dtype=torch.float64), []
    for days in range(1, 2001):
        worth = mdp.reward_table + 0.95 * torch.einsum("san,n->sa", mdp.transition_probs, value)
        value = worth.max(1).values
    assert worth[6].argmax() == 0 and value[6] == pytest.approx(2 / 0.05)
    for action in (0, 1):
        stock, catch = mdp.initial, 0.0
        for _ in range(4):
            catch += float(stock @ mdp.reward_table[:, action])
            stock = stock @ mdp.transition_probs[:, action]
        season.append(catch)
    assert season[1] > 1.15 * season[0]


def test_the_first_probe_says_of_the_friend_what_the_text_quotes():
    said = space()["what_the_probes_say"](friends)
    assert len(said) == len(PROBES) == 5
    quoted = [cell.source for cell in MASTER.cells if f" {said[0]}" in cell.source.replace("\n> ", " ")]
    assert len(quoted) == 1 and "passed" not in said[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["first repair", "both ends cut", "library's"])
def test_after_either_repair_all_five_probes_pass(name):
    assert all(line.endswith(": passed") for line in space()["what_the_probes_say"](ADVANTAGES[name]))


@pytest.mark.slow
def test_after_the_first_repair_the_pond_is_still_fished_down():
    text = cell_with("the very first probe says")
    repaired, sound = re.search(r"fished down: (\d+) in 100 days after 80 updates, where the library's (\d+)",
                                " ".join(text.split())).groups()
    assert curve("first repair")[80][1] == pytest.approx(int(repaired), abs=0.51)
    assert curve("library's")[80][1] == pytest.approx(int(sound), abs=0.51)
    assert curve("both ends cut")[80][1] < curve("first repair")[80][1]


def test_no_probe_is_ever_truncated_and_the_sixth_is_nothing_but_that():
    assert all(probe.dynamics.max_episode_steps > probe.dynamics.steps for probe in PROBES)
    sixth = space()["the_sixth_probe"]
    assert sixth(library) == pytest.approx([-2, 2], abs=0.05)
    for name in ("friend's", "first repair", "both ends cut"):
        assert sixth(ADVANTAGES[name]) == pytest.approx([-1, 1], abs=0.2)


@pytest.mark.slow
def test_a_value_behind_the_end_alone_does_no_harm_in_this_pond():
    """V(empty) is never trained; the first probe, which takes its one state for what follows, does complain."""
    assert torch.equal(fished("no mask")[2], fished("library's")[2])
    assert not space()["what_the_probes_say"](no_mask)[0].endswith("passed")
