"""Every widget's computation over its whole range, and the shell driven without a browser."""

import base64
import dataclasses
import importlib
import itertools
import json
import numbers
import pkgutil
import threading
from functools import cache
from io import BytesIO

import numpy as np
import pytest
import toy_widget
import torch
from matplotlib.text import Text
from PIL import Image
from toy_widget import toy

import rlcourse.widgets.models
from rlcourse.core.seeding import generator
from rlcourse.plots.blit import Picture, fresh_pixels
from rlcourse.plots.figures import encode_png, still_png
from rlcourse.widgets.app.prediction import Prediction
from rlcourse.widgets.models.controls import Choice, Slider, starting_values

MODELS = {info.name: importlib.import_module(f"rlcourse.widgets.models.{info.name}")
          for info in pkgutil.iter_modules(rlcourse.widgets.models.__path__)}
WIDGETS = sorted(name for name, module in MODELS.items() if hasattr(module, "CONTROLS"))
DIFFERING_PIXELS = 20        # of several hundred thousand: rounding at the edges of a line


def corners(controls) -> list[dict]:
    """Every combination of the ends of the ranges and of all options."""
    names = [control.name for control in controls]
    return [dict(zip(names, some)) for some in itertools.product(*(c.corners for c in controls))]


def inside(controls, count: int) -> list[dict]:
    """`count` combinations drawn from the allowed values (seed 0)."""
    random = generator(0, "widget values")

    def pick(values):
        return values[int(torch.randint(len(values), (1,), generator=random))]

    return [{c.name: pick(c.values) for c in controls} for _ in range(count)]


def not_finite(frame, where: str = "frame") -> list[str]:
    """The places in a frame that hold NaN or infinity."""
    if dataclasses.is_dataclass(frame):
        return [bad for f in dataclasses.fields(frame)
                for bad in not_finite(getattr(frame, f.name), f"{where}.{f.name}")]
    if isinstance(frame, (tuple, list)):
        return [bad for k, part in enumerate(frame) for bad in not_finite(part, f"{where}[{k}]")]
    if isinstance(frame, dict):
        return [bad for k, part in frame.items() for bad in not_finite(part, f"{where}[{k!r}]")]
    if isinstance(frame, (np.ndarray, torch.Tensor, numbers.Number)):
        return [] if bool(np.isfinite(np.asarray(frame)).all()) else [where]
    return []


def arrays(frame) -> list[np.ndarray]:
    """Every array of a frame, in order."""
    return [np.asarray(getattr(frame, f.name)) for f in dataclasses.fields(frame)]


def differing_pixels(one: np.ndarray, two: np.ndarray) -> int:
    """Pixels that differ by more than rounding: blending in another order changes a level or two."""
    assert one.shape == two.shape
    return int((np.abs(one.astype(int) - two) > 4).any(-1).sum())


def stale_pixels(size, setup, update, frames) -> int:
    """Most pixels by which a blitted picture, moved through `frames`, differs from a fresh one."""
    picture = Picture(size, setup, update, frames[0])
    return max(differing_pixels(picture.draw(frame), fresh_pixels(size, setup, update, frame, picture.figure))
               for frame in frames[1:] + frames[:1])


# The widgets of the course ------------------------------------------------------------------

@cache
def built(name: str):
    """The widget `name`, made once; a test that uses it resets it first."""
    return getattr(importlib.import_module(f"rlcourse.widgets.app.{name}"), name)()


def test_there_are_widgets():
    assert WIDGETS


@pytest.mark.parametrize("name", WIDGETS)
def test_frames_are_finite_at_every_corner_and_inside(name):
    model = MODELS[name]
    for values in corners(model.CONTROLS) + inside(model.CONTROLS, 12):
        assert not_finite(model.compute(**values)) == [], values


@pytest.mark.parametrize("name", WIDGETS)
def test_a_frame_depends_on_its_values_alone(name):
    model = MODELS[name]
    (values, other) = inside(model.CONTROLS, 2)
    first = [array.copy() for array in arrays(model.compute(**values))]
    model.compute(**other)
    again = arrays(model.compute(**values))
    assert all(np.array_equal(one, two) for one, two in zip(first, again, strict=True))


@pytest.mark.parametrize("name", WIDGETS)
def test_every_control_changes_the_picture(name):
    explorer = built(name)
    for control in explorer.controls:
        pictures = set()
        for values in [starting_values(explorer.controls)] + inside(explorer.controls, 3):
            for value in control.corners:
                pictures.add(explorer.drive(**{**values, control.name: value}).image.value)
            if len(pictures) > 1:
                break
        assert len(pictures) > 1, control.name


@pytest.mark.parametrize("name", WIDGETS)
def test_a_moved_picture_equals_a_fresh_one(name):
    model, plot = MODELS[name], importlib.import_module(f"rlcourse.plots.{name}")
    tried = [starting_values(model.CONTROLS), corners(model.CONTROLS)[-1], *inside(model.CONTROLS, 1)]
    frames = [model.compute(**values) for values in tried]
    assert stale_pixels(built(name).size, plot.setup, plot.update, frames) <= DIFFERING_PIXELS


def shown_texts(figure) -> list[Text]:
    """Titles, labels and texts in the axes; tick labels are the layout engine's business."""
    found = [child for axes in figure.axes for child in
             (*axes.get_children(), axes.xaxis.label, axes.yaxis.label) if isinstance(child, Text)]
    return [text for text in (*found, *figure.texts) if text.get_visible() and text.get_text().strip()]


@pytest.mark.parametrize("name", WIDGETS)
def test_no_text_runs_out_of_the_picture(name):
    explorer = built(name)
    figure = explorer._picture.figure
    for values in [*corners(explorer.controls)[::7], *inside(explorer.controls, 3)]:
        explorer.drive(**values)
        for text in shown_texts(figure):
            left, low, right, high = text.get_window_extent().extents
            fits = min(left, low) > -1 and right < figure.bbox.width + 1 and high < figure.bbox.height + 1
            assert fits, (text.get_text(), values)


@pytest.mark.parametrize("name", WIDGETS)
def test_the_shell_says_what_the_picture_shows(name):
    explorer = built(name)
    explorer.reset_button.click()
    start = repr(explorer)
    for values in corners(explorer.controls)[:4]:
        explorer.drive(**values)
        words = explorer.image.tooltip
        assert words and words in repr(explorer) and "nan" not in words
    explorer.reset_button.click()
    assert repr(explorer) == start


# The shell, on a widget of its own -----------------------------------------------------------

def decoded(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(png)).convert("RGB"))


def test_a_control_moved_by_hand_changes_picture_caption_and_repr():
    explorer = toy()
    before, text = explorer.image.value, repr(explorer)
    explorer._inputs["height"].value = 1.5              # what a message from the browser does
    assert explorer.values["height"] == 1.5
    expected = fresh_pixels(toy_widget.SIZE, toy_widget.setup, toy_widget.update,
                            toy_widget.compute(**explorer.values))
    assert differing_pixels(decoded(explorer.image.value), expected) <= DIFFERING_PIXELS
    assert explorer.image.value != before and repr(explorer) != text
    assert "mean square 1.119" in explorer.caption.value    # 1.5² · 199/400: an end counts twice
    assert explorer.image.tooltip in explorer.caption.value
    explorer.reset_button.click()
    assert explorer.image.value == before and repr(explorer) == text


def test_a_picture_that_forgets_a_moved_artist_is_caught():
    def forgetful(artists, frame):
        return [artist for artist in toy_widget.update(artists, frame) if artist not in artists["bars"]]

    frames = [toy_widget.compute(height, 3, "sine", "a calm sea") for height in (0.2, 1.0, 1.9)]
    assert stale_pixels(toy_widget.SIZE, toy_widget.setup, toy_widget.update, frames) <= DIFFERING_PIXELS
    assert stale_pixels(toy_widget.SIZE, toy_widget.setup, forgetful, frames) > 10 * DIFFERING_PIXELS


def test_an_artist_that_moves_late_joins_the_moving_ones():
    def lazy(artists, frame):
        moved = toy_widget.update(artists, frame)
        return moved if frame.energy[0] > 0.5 else [artists["line"]]

    frames = [toy_widget.compute(height, 3, "sine", "a calm sea") for height in (0.2, 1.0, 1.9)]
    assert stale_pixels(toy_widget.SIZE, toy_widget.setup, lazy, frames[:2]) <= DIFFERING_PIXELS


def test_the_notebook_gets_widget_picture_and_whole_repr():
    explorer = toy(describe=lambda frame: "words " * 40 + frame.note)
    data, metadata = explorer._repr_mimebundle_()
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == explorer.model_id
    assert data["text/plain"] == repr(explorer) and repr(explorer).endswith("mean square 0.124")
    assert decoded(base64.b64decode(data["image/png"])).shape == (480, 1200, 3)
    assert metadata["image/png"]["width"] == 800 and metadata["image/png"]["height"] == 320
    assert metadata["image/png"]["alt"] == explorer.image.tooltip


def test_png_bytes_are_the_picture_to_the_pixel():
    picture = torch.randint(256, (7, 5, 3), generator=generator(0, "picture"), dtype=torch.uint8).numpy()
    assert np.array_equal(decoded(encode_png(picture)), picture)


def test_the_stored_picture_is_small_and_hardly_differs():
    explorer = toy()
    small = still_png(explorer.image.value)
    assert len(small) < len(explorer.image.value) / 2
    assert np.abs(decoded(small).astype(int) - decoded(explorer.image.value)).max() <= 16


def test_an_exception_is_shown_and_goes_when_the_next_picture_works():
    explorer = toy()
    explorer.drive(height=2.0)
    good = explorer.image.value
    explorer._inputs["periods"].value = 8
    assert explorer.message.layout.display == "" and explorer.image.value == good
    assert "ValueError" in explorer.message.value and "does not break" in explorer.message.value
    assert "toy_widget.py" in explorer.message.value            # the trace, behind its fold
    with pytest.raises(ValueError, match="does not break"):
        explorer.drive(height=2.0)
    explorer.drive(periods=3)
    assert explorer.message.layout.display == "none" and explorer.error is None


def test_the_last_change_wins_although_callbacks_run_in_several_threads():
    drawing, overtaken = threading.Event(), threading.Event()

    def slow_once(**values):
        if values["periods"] == 8:
            overtaken.set()
        elif values["height"] == 2.0:
            drawing.set()
            overtaken.wait(0.3)          # time enough for the other callback to finish first
        return toy_widget.compute(**values)

    explorer = toy(compute=slow_once)
    threads = [threading.Thread(target=setattr, args=(explorer._inputs[name], "value", value))
               for name, value in (("height", 2.0), ("periods", 8))]
    threads[0].start()
    assert drawing.wait(10)
    threads[1].start()
    for thread in threads:
        thread.join()
    assert explorer.values["height"] == 2.0 and explorer.values["periods"] == 8
    assert explorer.error is not None and explorer.message.layout.display == ""


def test_errors_of_the_first_picture_are_raised_at_once():
    with pytest.raises(ZeroDivisionError):
        toy(compute=lambda **values: 1 / 0)


def test_texts_are_escaped():
    def breaks(**values):
        if values["height"] > 1:
            raise ValueError("<script>alert(1)</script>")
        return toy_widget.compute(**values)

    explorer = toy(compute=breaks, describe=lambda frame: "a < b", try_this=("is a < b?",))
    assert "a &lt; b" in explorer.caption.value and "a &lt; b" in explorer.body.children[-1].value
    explorer._inputs["height"].value = 1.5
    assert "<script>" not in explorer.message.value and "&lt;script&gt;" in explorer.message.value


def test_drive_names_what_it_does_not_know():
    with pytest.raises(ValueError, match=r"values: expected names among .*'height'.*got \['hight'\]"):
        toy().drive(hight=1.0)


def test_finished_pictures_are_remembered():
    calls = []

    def counted(**values):
        calls.append(values)
        return toy_widget.compute(**values)

    explorer = toy(compute=counted)
    first = explorer.drive(height=1.0).image.value
    explorer.drive(height=0.3)
    before = len(calls)
    assert explorer.drive(height=1.0).image.value == first and len(calls) == before


def test_the_prediction_comes_first_and_is_not_kept_outside_the_students_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("RLCOURSE_WORK", raising=False)
    monkeypatch.chdir(tmp_path)
    explorer = toy(ask=True)
    assert explorer.body.layout.display == "none" and explorer.question.radio.value is None
    assert "goes with the square" not in explorer.question.result.value
    explorer.question.radio.value = "2"                         # wrong
    assert explorer.body.layout.display == ""
    assert "You predicted: 2. The answer: 4." in explorer.question.result.value
    assert "goes with the square" in explorer.question.result.value
    assert list(tmp_path.iterdir()) == []
    assert repr(explorer) == repr(toy())


def test_the_prediction_can_be_skipped():
    explorer = toy(ask=True)
    explorer.question.skip.click()
    assert explorer.body.layout.display == "" and "You did not guess" in explorer.question.result.value


@pytest.mark.parametrize("by_variable", [True, False])
def test_the_students_folder_keeps_the_prediction(tmp_path, monkeypatch, by_variable):
    folder = tmp_path / "work"
    folder.mkdir()
    if by_variable:
        monkeypatch.setenv("RLCOURSE_WORK", str(folder))
    else:
        monkeypatch.delenv("RLCOURSE_WORK", raising=False)
        monkeypatch.chdir(folder)
    toy(ask=True).question.radio.value = "4"
    assert json.loads((folder / "predictions.json").read_text()) == {"toy": "4"}
    again = toy(ask=True)
    assert again.body.layout.display == "" and "✓ Right." in again.question.result.value
    (folder / "predictions.json").write_text("{damaged")
    assert toy(ask=True).body.layout.display == "none"


def test_the_frozen_form_holds_every_picture_and_needs_no_python():
    explorer = toy()
    frozen = explorer.freeze({"height": (0.0, 1.0), "shape": ("sine", "square")})
    _, height, shape, stack = frozen.children
    assert [len(stack.children), len(stack.children[0].children)] == [2, 2]
    for h, inner in zip((0.0, 1.0), stack.children):
        for kind, page in zip(("sine", "square"), inner.children):
            assert page.children[0].value == explorer.drive(height=h, shape=kind, periods=2).image.value
    links = [w for w in _all_widgets() if type(w).__name__ == "Link" and w.source[0] in (height, shape)]
    assert sorted(link.target[0].model_id for link in links) == sorted(
        [stack.model_id, *(inner.model_id for inner in stack.children)])
    with pytest.raises(ValueError, match="values: expected names among"):
        explorer.freeze({"size": (1, 2)})


def _all_widgets():
    from ipywidgets.widgets.widget import _instances
    return list(_instances.values())


@pytest.mark.parametrize("make, complaint", [
    (lambda: Slider("a", "a", (1, 3, 2), 1), "values of a: expected increasing numbers"),
    (lambda: Slider("a", "a", (1,), 1), "values of a: expected at least two values"),
    (lambda: Slider("a", "a", (1, 2), 3), "start of a: expected one of its values, got 3"),
    (lambda: Choice("a", "a", ("x", "x"), "x"), "options of a: expected each word once"),
    (lambda: Choice("a", "a", ("x", "y"), "z"), "start of a: expected one of its options, got 'z'"),
    (lambda: starting_values((Slider("a", "a", (1, 2), 1), Choice("a", "a", ("x", "y"), "x"))),
     "controls: expected each name once"),
    (lambda: Prediction("why?", ("x", "y"), "z", ""), "answer: expected one of the options, got 'z'"),
])
def test_wrong_controls_are_refused_in_one_line(make, complaint):
    with pytest.raises(ValueError, match=complaint):
        make()
