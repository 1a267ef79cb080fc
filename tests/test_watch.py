"""Training that is watched, and the first line of every notebook, without a browser."""

import base64
import re
import subprocess
import sys
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from toy_training import Snapshot, draw, train

from rlcourse.plots.figures import new_figure, pixels, still_png
from rlcourse.plots.style import style
from rlcourse.widgets.app import watch as module
from rlcourse.widgets.app.watch import watch


@pytest.fixture
def shown(monkeypatch):
    """Everything displayed, as (object, keywords)."""
    displayed = []
    monkeypatch.setattr(module, "display", lambda thing, **keywords: displayed.append((thing, keywords)))
    return displayed


def loss(snapshot: Snapshot) -> str:
    return f"loss {snapshot.curves['loss'][-1]:.3f}"


def test_it_shows_one_live_picture_and_one_still_one_and_returns_the_end(shown):
    last = watch(train(30, 0.0), total=30, draw=draw, describe=loss, every=0.0, name="toy")
    assert last.step == 30
    (live, _), (still, keywords) = shown
    assert live.bar.value == live.bar.max == 30 and live.bar.bar_style == "success"
    assert all(part in live.text.value for part in ("step 30 of 30", "loss 0.033", "done", "steps/s"))
    assert live.image.layout.display == "none" and keywords["raw"] is True
    assert base64.b64decode(still["image/png"]) == still_png(live.image.value)
    assert keywords["metadata"]["image/png"]["alt"] == "toy: the last picture"


def test_the_rate_says_how_many_runs_it_counts(shown):
    watch(train(30, 0.0), total=30, draw=draw, runs=8)
    assert re.search(r"step 30 of 30 · 8 runs × [\d,]+ steps/s · done", shown[0][0].text.value)
    shown.clear()
    watch(train(30, 0.0), total=30, draw=draw)
    assert "runs" not in shown[0][0].text.value
    with pytest.raises(ValueError, match="runs: expected a whole number of at least 1, got 0"):
        watch(train(3, 0.0), draw=draw, runs=0)


def test_its_reprs_are_the_same_in_every_run(shown):
    texts = []
    for seconds in (0.0, 0.01):
        shown.clear()
        watch(train(5, seconds), draw=draw, every=0.0, name="toy")
        (live, _), (still, _) = shown
        texts.append((repr(live), live._repr_mimebundle_()["text/plain"], still["text/plain"]))
    assert texts[0] == texts[1]
    assert texts[0] == ("Watching toy: run the cell to see it live",) * 2 + ("Last picture of toy",)


def test_the_last_picture_is_that_of_the_last_snapshot(shown):
    last = watch(train(12, 0.0), draw=draw, every=1000.0)        # only the first and the last are drawn
    setup, update = draw
    figure = new_figure((8, 3.2))
    with style():
        update(setup(figure, last), last)
    still = Image.open(BytesIO(base64.b64decode(shown[1][0]["image/png"]))).convert("RGB")
    assert np.abs(np.asarray(still).astype(int) - pixels(figure)).max() <= 16    # its palette has 256 colours


def test_slow_pictures_are_drawn_less_often(shown):
    setup, update = draw
    drawn = []

    def counted(artists, snapshot):
        drawn.append(snapshot.step)
        return update(artists, snapshot)

    watch(train(200, 0.0), draw=(setup, counted), every=1000.0)
    assert drawn == [1, 200]


def test_stopping_keeps_what_was_learned(shown):
    def stopped():
        yield from train(3, 0.0)
        raise KeyboardInterrupt

    assert watch(stopped(), total=30, draw=draw).step == 3
    live = shown[0][0]
    assert "stopped: what was learned is kept" in live.text.value and live.bar.value == 3
    assert live.bar.bar_style == "warning" and "image/png" in shown[1][0]


def test_stopping_before_anything_was_learned_stops(shown):
    def at_once():
        raise KeyboardInterrupt
        yield

    with pytest.raises(KeyboardInterrupt):
        watch(at_once(), draw=draw)


def test_an_error_of_the_training_is_raised(shown):
    def diverging():
        yield from train(3, 0.0)
        raise FloatingPointError("loss: expected finite numbers, got NaN at step 4")

    with pytest.raises(FloatingPointError, match="at step 4"):
        watch(diverging(), draw=draw)
    assert shown[0][0].bar.bar_style == "danger" and len(shown) == 1


def test_a_training_without_snapshots_is_refused(shown):
    with pytest.raises(ValueError, match="snapshots: expected at least one snapshot, got none"):
        watch(iter(()), draw=draw)


def run(code: str) -> list[str]:
    """Lines printed by a fresh interpreter."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
def test_importing_changes_nothing_and_start_changes_this_process_only():
    state = ("import torch, numpy, matplotlib\n"
             "def state():\n"
             "    return (torch.get_num_threads(), matplotlib.rcParams['font.size'],\n"
             "            numpy.get_printoptions()['precision'], torch.initial_seed())\n"
             "torch.set_num_threads(2)\nbefore = state()\n")
    lines = run(state + "import rlcourse.notebook\nprint(state() == before)\nrlcourse.notebook.start()\n"
                "threads, _, precision, seed = state()\nprint(threads, precision, seed == before[3])\n"
                "print(torch.tensor([1/3, 1e-9]))")
    assert lines[0] == "True" and lines[-2:] == ["1 4 True", "tensor([0.3333, 0.0000])"]
    assert lines[1] == "Device for training: auto, cpu, cuda or mps"
