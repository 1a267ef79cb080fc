"""Learning curves, live and still: what is drawn is what was reported, whichever snapshots were shown."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats

from rlcourse.algorithms import ppo
from rlcourse.core.seeding import generator
from rlcourse.data.sources import DynamicsSource
from rlcourse.envs.cartpole import CartPole
from rlcourse.nets.heads_categorical import CategoricalHead
from rlcourse.nets.policies import Policy
from rlcourse.nets.values import ValueNet
from rlcourse.plots.control import picture
from rlcourse.plots.figures import figure_png, new_figure
from rlcourse.plots.learning import compare, describe, learning_and_picture, learning_curve
from rlcourse.plots.style import style
from rlcourse.results.curves import steps_and_returns
from rlcourse.widgets.app import watch as watch_module

TABLE = np.random.default_rng(0).uniform(0, 500, (8, 30))  # returns [runs, checkpoints]
DRAW = {"total": 3000, "top": 500}


def cartpoles(runs, environments):
    return DynamicsSource(CartPole(), runs, environments, random=generator(0, "source"))


def curve_of(table, every=100):
    return [(every * (k + 1), torch.tensor(column, dtype=torch.float32)) for k, column in enumerate(table.T)]


def snapshot_of(table, count=None, every=100):
    curve = curve_of(table, every)[:count]
    return SimpleNamespace(step=curve[-1][0], episode_return=curve[-1][1], curve=curve)


def drawn(draw, *snapshots):
    """The figure and the artists after showing these snapshots one after the other."""
    setup, update = draw
    figure = new_figure((8, 3.2))
    with style():
        artists = setup(figure, snapshots[0])
        for snapshot in snapshots:
            update(artists, snapshot)
    return figure, artists


def corners(artists):
    """(low, high) of the band at each checkpoint, read off its outline."""
    outline = artists["band"].get_paths()[0].vertices[:-1]  # the last one closes it
    count = len(outline) // 2
    return outline[:count, 1], outline[count:2 * count, 1][::-1]


def test_the_lines_are_the_runs_and_the_thick_one_is_their_interquartile_mean():
    _, artists = drawn(learning_curve("PPO", **DRAW), snapshot_of(TABLE))
    steps = 100 * np.arange(1, 31)
    for line, row in zip(artists["runs"], TABLE, strict=True):
        assert np.array_equal(line.get_xdata(), steps) and np.allclose(line.get_ydata(), row, rtol=1e-6)
    assert np.array_equal(artists["centre"].get_xdata(), steps)
    assert np.allclose(artists["centre"].get_ydata(), stats.trim_mean(TABLE, 0.25, axis=0), rtol=1e-6)
    low, high = corners(artists)
    other = stats.bootstrap((TABLE[:, 0],), lambda x, axis: stats.trim_mean(x, 0.25, axis=axis), n_resamples=4000,
                            method="percentile", rng=np.random.default_rng(1)).confidence_interval
    # two Monte Carlo quantiles: an eighth of the interval's width apart at most (seeds fixed)
    assert np.allclose((low[0], high[0]), other, atol=(other.high - other.low) / 8)


def test_the_other_estimator_is_the_mean_with_students_interval():
    figure, artists = drawn(learning_curve("PPO", **DRAW, estimator="mean"), snapshot_of(TABLE))
    low, high = stats.t.interval(0.95, 7, loc=TABLE.mean(0), scale=stats.sem(TABLE, axis=0))
    assert np.allclose(artists["centre"].get_ydata(), TABLE.mean(0), rtol=1e-6)
    assert np.allclose(corners(artists), (low, high), rtol=1e-5)
    assert "mean of 8 runs, 95% Student interval" in legend(figure)


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_the_legend_names_the_estimator():
    figure, _ = drawn(learning_curve("PPO", **DRAW), snapshot_of(TABLE))
    assert legend(figure) == ["475, the threshold", "one run",
                              "interquartile mean of 8 runs, 95% bootstrap interval"]
    assert len(legend(drawn(learning_curve("PPO", **DRAW, threshold=None), snapshot_of(TABLE))[0])) == 2


@pytest.mark.parametrize("estimator", ["interquartile mean", "mean"])
def test_the_picture_does_not_depend_on_which_snapshots_were_shown(estimator):
    # How many are shown depends on the machine's speed; the stored picture must not.
    draw = learning_curve("PPO", **DRAW, estimator=estimator)
    once = figure_png(drawn(draw, snapshot_of(TABLE, 1), snapshot_of(TABLE))[0])
    often = figure_png(drawn(draw, *(snapshot_of(TABLE, count) for count in (1, 2, 7, 7, 19, 30)))[0])
    assert once == often
    assert once != figure_png(drawn(draw, snapshot_of(TABLE, 1), snapshot_of(TABLE, 29))[0])


def test_the_axes_stand_still_until_training_goes_on_beyond_the_total():
    draw = learning_curve("PPO", total=3000, top=500, bottom=-100)
    places = []
    for count in (1, 10, 30):
        _, artists = drawn(draw, snapshot_of(TABLE, 1), snapshot_of(TABLE, count))
        axes = artists["axes"]
        places.append((axes.get_xlim(), axes.get_ylim(), axes.get_position().bounds))
    assert places[0] == places[1] == places[2] and places[0][0][1] == pytest.approx(3060)
    assert places[0][1][0] < -100 and places[0][1][1] > 500
    _, artists = drawn(learning_curve("PPO", total=2000, top=500), snapshot_of(TABLE, 1), snapshot_of(TABLE))
    assert artists["axes"].get_xlim()[1] > 3000


def test_before_the_first_episode_has_ended_there_is_no_band():
    table = TABLE.copy()
    table[:, 0], table[3, 1] = np.nan, np.nan
    draw = learning_curve("PPO", **DRAW)
    figure, artists = drawn(draw, snapshot_of(table, 1))
    assert len(artists["centre"].get_xdata()) == 0 and len(artists["band"].get_paths()) == 0 and figure_png(figure)
    _, artists = drawn(draw, *(snapshot_of(table, count) for count in (1, 2, 3, 30)))
    assert artists["centre"].get_xdata()[0] == 300
    assert np.allclose(artists["centre"].get_ydata(), stats.trim_mean(TABLE[:, 2:], 0.25, axis=0), rtol=1e-6)
    assert np.isnan(artists["runs"][3].get_ydata()[:2]).all() and not np.isnan(artists["runs"][2].get_ydata()[1])


def test_a_single_run_is_a_line_without_an_interval():
    figure, artists = drawn(learning_curve("PPO", **DRAW), snapshot_of(TABLE[:1]))
    assert legend(figure) == ["475, the threshold", "one run"] and len(artists["centre"].get_xdata()) == 0
    assert np.allclose(artists["runs"][0].get_ydata(), TABLE[0], rtol=1e-6)


def test_the_picture_beside_the_curve_is_the_sources_present_state():
    source = cartpoles(3, 2)
    draw = learning_and_picture(source, "PPO", run=1, **DRAW)
    _, artists = drawn(draw, snapshot_of(TABLE, 1))
    before = np.asarray(artists["picture"].get_array())
    assert np.array_equal(before, picture(CartPole(), source.state[1, 0]))
    for _ in range(6):
        source.step(torch.ones(3, 2, dtype=torch.int64))
    draw[1](artists, snapshot_of(TABLE, 2))
    after = np.asarray(artists["picture"].get_array())
    assert np.array_equal(after, picture(CartPole(), source.state[1, 0])) and not np.array_equal(after, before)


@pytest.mark.parametrize("returns, words", [
    ([300.0, 324.0], "mean return 312 (worst run 300)"),
    ([-1200.4], "return -1,200"),
    ([np.nan, np.nan], "no episode has ended yet"),
    ([100.0, np.nan, 50.0], "mean return 75 (worst run 50, no episode yet in 1 of 3)")])
def test_the_numbers_in_words(returns, words):
    assert describe(SimpleNamespace(episode_return=torch.tensor(returns))) == words


def test_variants_are_compared_each_at_its_own_steps():
    other = TABLE[:, ::3] / 2
    figure = compare({"PPO": curve_of(TABLE), "REINFORCE": curve_of(other, 250)}, "CartPole")
    axes, = figure.axes
    lines = {line.get_label(): line for line in axes.lines}
    for label, table, every in (("PPO", TABLE, 100), ("REINFORCE", other, 250)):
        assert np.array_equal(lines[label].get_xdata(), every * np.arange(1, table.shape[1] + 1))
        assert np.allclose(lines[label].get_ydata(), stats.trim_mean(table, 0.25, axis=0), rtol=1e-6)
    assert len(axes.collections) == 2 and lines["PPO"].get_linestyle() != lines["REINFORCE"].get_linestyle()
    assert axes.get_title(loc="left") == "CartPole\ninterquartile mean of 8 runs, 95% bootstrap interval"
    assert figure.get_label() == "CartPole: return against environment steps of each run for PPO, REINFORCE"


def test_variants_with_different_numbers_of_runs_say_so():
    labels = [text.get_text() for text in compare({"a": curve_of(TABLE), "b": curve_of(TABLE[:5])}, "CartPole",
                                                  estimator="mean").axes[0].get_legend().get_texts()]
    assert labels == ["a: mean of 8 runs, 95% Student interval", "b: mean of 5 runs, 95% Student interval"]


def test_checkpoints_that_some_run_does_not_know_are_left_out():
    table = TABLE[:2, :3].copy()
    table[1, 0] = np.nan
    steps, values = steps_and_returns(curve_of(table))
    assert steps.tolist() == [200, 300] and np.allclose(values, TABLE[:2, 1:3], rtol=1e-6)


@pytest.mark.parametrize("wrong, message", [
    (lambda: learning_curve("PPO", **DRAW, estimator="median"),
     r"estimator: expected one of \['interquartile mean', 'mean'\], got 'median'"),
    (lambda: learning_curve("PPO", total=3000, top=0), "top: expected a return above 0.0, the bottom, got 0"),
    (lambda: learning_and_picture(cartpoles(2, 1), "PPO", run=2, **DRAW),
     "run: expected a run from 0 to 1, got 2"),
    (lambda: learning_and_picture("CartPole", "PPO", **DRAW), r"source: expected one with states .* got str"),
    (lambda: compare({}, "nothing"), "variants: expected at least one curve, got none"),
    (lambda: compare({"PPO": []}, "nothing"), r"curve: expected at least one \(step, return\), got none"),
    (lambda: compare({"PPO": curve_of(TABLE[:1])}, "one run"), r"variants\['PPO'\]: expected at least two runs"),
    (lambda: compare({"PPO": curve_of(np.full((8, 3), np.nan))}, "no episode"),
     r"variants\['PPO'\]: expected at least two runs that all ended an episode, got 8 runs, 0 such checkpoints")])
def test_wrong_input_is_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        wrong()


def test_ppo_watched_says_return_and_rate_and_leaves_the_same_still_picture(monkeypatch):
    shown = []
    monkeypatch.setattr(watch_module, "display", lambda thing, **keywords: shown.append(thing))
    env, config, stills = CartPole(), ppo.Config(total_steps=512, horizon=32, minibatch_size=64), []
    for every in (0.0, 1000.0):  # every picture, or the first and the last
        shown.clear()
        source = cartpoles(2, 4)
        policy = Policy(CategoricalHead(4, 2, runs=2, seed=0, dtype=torch.float32), env.action_space)
        critic = ValueNet(4, runs=2, seed=0, dtype=torch.float32)
        last = watch_module.watch(
            ppo.train(source, policy, critic, config, seed=0), config.total_steps, runs=2, describe=describe,
            draw=learning_and_picture(source, "PPO", total=config.total_steps, top=500), every=every, name="PPO")
        live, still = shown
        stills.append(still)
        text = live.text.value
        assert f"step 512 of 512 · {describe(last)} · 2 runs × " in text and "steps/s · done" in text
    assert stills[0] == stills[1]
