"""The promises widget on records whose every number is known."""

import numpy as np
import pytest
import torch
from test_widgets import stale_pixels

from rlcourse.plots import promises as plot
from rlcourse.widgets.app.promises import describe, promises
from rlcourse.widgets.models.promises import checked, compute_from, controls

RECORDS = {name: [(step, torch.tensor([scale * step, 0.5]), torch.tensor([step / 2.0, 3.0])) for step in (10, 20, 40)]
           for name, scale in (("single", 2.0), ("double", 1.0))}


def test_a_frame_holds_the_look_that_was_asked_for():
    frame = compute_from(RECORDS, 50.0)("double", 20)
    assert frame.at == 1 and frame.steps.tolist() == [10, 20, 40]
    assert frame.said[frame.at].tolist() == [20.0, 0.5] and frame.earned[frame.at].tolist() == [10.0, 3.0]
    assert frame.limits == (1.0, 120.0)  # the largest of all trainings is single's 80
    training, step = controls(RECORDS)
    assert training.options == ("single", "double") and step.values == (10, 20, 40)


def test_the_picture_shows_earned_to_the_right_and_said_upwards():
    from rlcourse.plots.figures import new_figure
    compute = compute_from(RECORDS, 50.0)
    figure = new_figure((9, 4))
    artists = plot.setup(figure, compute("single", 10))
    plot.update(artists, compute("single", 40))
    earned, said = artists["dots"].get_data()
    assert list(earned) == [20.0, 3.0] and list(said) == [80.0, 1.0]  # 0.5 runs along the edge
    assert [list(line.get_ydata()) for line in artists["said"]] == [[20, 40, 80], [1, 1, 1]]
    assert list(artists["now"].get_xdata()) == [40, 40]


def test_a_blitted_picture_is_as_good_as_a_fresh_one():
    compute = compute_from(RECORDS, 50.0)
    frames = [compute(name, step) for name in RECORDS for step in (10, 40)]
    assert stale_pixels((9, 4), plot.setup, plot.update, frames) <= 20


def test_the_widget_moves_and_says_what_it_shows():
    explorer = promises(RECORDS, most=50.0)
    before = explorer.image.value
    explorer.drive(training="double", step=40)
    assert explorer.image.value != before
    assert "double, after 40 environment steps" in repr(explorer)
    assert "(50)" in describe(compute_from(RECORDS, 50)("single", 10))


@pytest.mark.parametrize("change, message", [
    (lambda r: {"single": r["single"]}, "at least two trainings"),
    (lambda r: {**r, "double": r["double"][:2]}, "looks at the steps"),
    (lambda r: {**r, "double": [(s, a[:1], b[:1]) for s, a, b in r["double"]]}, "2 runs"),
    (lambda r: {**r, "double": [(s, a * np.nan, b) for s, a, b in r["double"]]}, "finite numbers")])
def test_records_that_do_not_fit_get_one_clear_line(change, message):
    with pytest.raises(ValueError, match=message):
        checked(change(RECORDS))
