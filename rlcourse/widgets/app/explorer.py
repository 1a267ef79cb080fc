"""The shell of every widget: controls, one quick picture, and the texts around it."""

import base64
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence

import ipywidgets as W

from rlcourse.core.check import require
from rlcourse.plots.blit import Picture
from rlcourse.plots.figures import still_png
from rlcourse.widgets.models.controls import Choice, Slider, starting_values

from . import look
from .inputs import frozen_input, make_inputs
from .prediction import Asked, Prediction

_REMEMBERED = 400      # finished pictures kept, about 50 kB each


class Explorer(W.VBox):
    """A widget made of a pure `compute(**values) -> frame` and two drawing functions.

    `setup(figure, frame) -> artists` and `update(artists, frame) -> moved artists` draw;
    `describe(frame) -> str` says in words which numbers the picture shows: the caption, the
    alternative text and the end of the repr. `try_this` holds sentences; with a `prediction` the
    picture is hidden until the student has answered. Shown in a notebook it carries the live widget
    and a static picture at the starting values for readers without a kernel.
    """

    def __init__(self, *, name: str, controls: tuple[Slider | Choice, ...], compute: Callable,
                 setup: Callable, update: Callable, describe: Callable[[object], str],
                 size: tuple[float, float] = (8, 3.2), try_this: tuple[str, ...] = (),
                 prediction: Prediction | None = None):
        self.name, self.controls, self.size = name, controls, size
        self.error: Exception | None = None          # what the last change of a control raised
        self._compute, self._describe = compute, describe
        self._finished: dict[tuple, tuple[bytes, str]] = {}
        self._quiet = False
        # Callbacks of different controls may run in different threads: JupyterLab 4.4 and later send
        # them to a thread beside the one that runs cells. The last to come must draw last.
        self._turn = threading.RLock()
        start = starting_values(controls)
        self._picture = Picture(size, setup, update, compute(**start))
        self._inputs, input_box = make_inputs(controls)
        png, self._words = self._show(start)

        width, _ = self._picture.page_size
        self.image = look.DescribedImage(value=png, format="png", width=str(width), tooltip=self._words)
        self.caption = W.HTML(look.caption(self._words))
        self.message = W.HTML(layout={"display": "none"})
        self.reset_button = W.Button(description="Reset", icon="undo", tooltip="Back to the starting values",
                                     layout={"width": "auto", "flex": "none"})
        suggestions = [W.HTMLMath(look.try_this(try_this))] if try_this else []
        foot = W.HBox([self.caption, self.reset_button], layout={"justify_content": "space-between"})
        self.body = W.VBox([input_box, self.image, foot, self.message, *suggestions])
        super().__init__([W.HTML(look.style_sheet(), layout={"display": "none"}), self.body])
        self.add_class("rlc-card").layout.max_width = f"{width + 32}px"
        for control in self._inputs.values():
            control.observe(self._changed, "value")
        self.reset_button.on_click(lambda button: self._set(start))
        self.question: Asked | None = None
        if prediction is not None:
            self.body.layout.display = "none"
            self.question = Asked(name, prediction, self._reveal)
            self.children = (self.children[0], self.question, self.body)

    @property
    def values(self) -> dict:
        """What the controls say now: the keywords of `compute`."""
        return {name: control.value for name, control in self._inputs.items()}

    def drive(self, **values) -> "Explorer":
        """Set controls from code, as a student would by hand; raises what the widget then shows."""
        unknown = sorted(set(values) - set(self._inputs))
        require(not unknown, "values", f"names among {sorted(self._inputs)}", unknown)
        self._set(values)
        if self.error is not None:
            raise self.error
        return self

    def freeze(self, values: Mapping[str, Sequence] | None = None) -> W.VBox:
        """A copy for pages without Python: every picture made beforehand, chosen by sliders alone.

        `values` names the controls that stay movable and their values (default: all controls, all
        values); the others keep what they show now. The pictures multiply: keep the grid small.
        """
        values = {control.name: control.values for control in self.controls} if values is None else values
        by_name = {control.name: control for control in self.controls}
        unknown = sorted(set(values) - set(by_name))
        require(bool(values) and not unknown, "values", f"names among {sorted(by_name)}", unknown or "none")
        sliders = {name: frozen_input(by_name[name], tuple(some)) for name, some in values.items()}
        stack = self._stack(sliders, dict(self.values))
        page = W.VBox([W.HTML(look.style_sheet(), layout={"display": "none"}), *sliders.values(), stack])
        page.add_class("rlc-card").layout.max_width = self.layout.max_width
        return page

    def _stack(self, sliders: Mapping[str, W.SelectionSlider], fixed: dict) -> W.Widget:
        if not sliders:
            png, words = self._show(fixed)
            picture = look.DescribedImage(value=png, format="png", width=self.image.width, tooltip=words)
            return W.VBox([picture, W.HTML(look.caption(words))])
        name, *others = sliders
        inner = {other: sliders[other] for other in others}
        pages = [self._stack(inner, {**fixed, name: value}) for _, value in sliders[name].options]
        stack = W.Stack(pages, selected_index=0)
        W.jslink((sliders[name], "index"), (stack, "selected_index"))
        return stack

    def _set(self, values: Mapping) -> None:
        with self._turn:
            self._quiet = True                       # several controls, one new picture
            try:
                for name, value in values.items():
                    self._inputs[name].value = value
            finally:
                self._quiet = False
            self._changed()

    def _changed(self, change=None) -> None:
        with self._turn:
            if self._quiet:
                return
            try:
                png, words = self._show(self.values)
            except Exception as error:               # shown to the reader: a callback has no caller
                self.error = error
                self.message.value = look.error_line(error, traceback.format_exc())
                self.message.layout.display = ""
                return
            if self.error is not None:
                self.error = None
                self.message.layout.display = "none"
            self._words = words
            with self.image.hold_sync():             # one message: picture and text never disagree
                self.image.value = png
                self.image.tooltip = words
            self.caption.value = look.caption(words)

    def _show(self, values: dict) -> tuple[bytes, str]:
        """PNG bytes and the words for `values`, remembered."""
        key = tuple(values.items())
        if key not in self._finished:
            frame = self._compute(**values)
            finished = self._picture.png_bytes(frame), self._describe(frame)
            if len(self._finished) >= _REMEMBERED:
                self._finished.pop(next(iter(self._finished)))
            self._finished[key] = finished
        return self._finished[key]

    def _reveal(self) -> None:
        self.body.layout.display = ""

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value}" for name, value in self.values.items())
        return f"Explorer {self.name} ({shown}): {self._words}"

    def _repr_mimebundle_(self, **kwargs) -> tuple[dict, dict]:
        """The live widget, a still picture for readers without one, and the whole repr."""
        data = dict(super()._repr_mimebundle_(**kwargs) or {})
        data["text/plain"] = repr(self)              # uncut, so that a check compares every number
        data["image/png"] = base64.b64encode(still_png(self.image.value)).decode()
        width, height = self._picture.page_size
        return data, {"image/png": {"width": width, "height": height, "alt": self._words}}
