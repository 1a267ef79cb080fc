"""Training that can be watched: one live picture, a progress bar, the current numbers."""

import base64
import time
from collections.abc import Callable, Iterable
from html import escape

import ipywidgets as W
from IPython.display import display

from rlcourse.core.check import require, require_count
from rlcourse.plots.figures import figure_png, new_figure, page_size, still_png
from rlcourse.plots.style import style

from . import look


def watch(snapshots: Iterable, total: int | None = None, *, draw: tuple[Callable, Callable],
          describe: Callable[[object], str] = lambda snapshot: "", runs: int = 1, every: float = 0.4,
          size: tuple[float, float] = (8, 3.2), name: str = "training"):
    """Run a training generator to its end while showing it; returns its last snapshot.

    snapshots: what a `train(...)` returns; each has `.step`, the steps done so far
    total: steps at the end, for the progress bar (None: not known)
    draw: `(setup, update)`: `setup(figure, snapshot) -> artists`, `update(artists, snapshot)`. The
        whole picture is redrawn, so that `update` may move limits
    describe: the current numbers in words, shown beside the bar
    runs: how many train at once, where `.step` counts the steps of each: 8 show the rate as
        "8 runs × 1,500 steps/s", 1 as "1,500 steps/s"
    every: seconds of training between two pictures; a slow picture is shown less often

    Stopping the kernel ends the training and keeps what was learned. When it ends, the live picture
    gives place to a still one, which stays in the stored notebook. The reprs hold no times.
    """
    require(every >= 0, "every", "seconds of at least 0", every)
    require_count("runs", runs)
    live, snapshot = None, None
    try:
        for snapshot in snapshots:
            if live is None:
                live = _Live(snapshot, total, draw, describe, runs, every, size, name)
            live.offer(snapshot)
        ending = "done"
    except KeyboardInterrupt:
        if live is None:                             # nothing learned yet: nothing to keep
            raise
        ending = "stopped: what was learned is kept"
    except Exception:
        if live is not None:
            live.bar.bar_style = "danger"
        raise
    finally:
        if hasattr(snapshots, "close"):  # a stopped training lets go at once, of worker processes for instance
            snapshots.close()
    require(live is not None, "snapshots", "at least one snapshot", "none")
    live.finish(snapshot, ending)
    return snapshot


class _Live(W.VBox):
    """The widget of one watched training."""

    def __init__(self, snapshot, total, draw, describe, runs, every, size, name):
        self._total, self._describe, self._runs, self._every, self._name = total, describe, runs, every, name
        setup, self._update = draw
        with style():
            self._figure = new_figure(size)
            self._artists = setup(self._figure, snapshot)
        width, _ = page_size(self._figure)
        self.bar = W.IntProgress(min=0, max=total or 1, layout={"width": "220px", "flex": "0 0 auto"})
        self.text = W.HTML()
        self.image = look.DescribedImage(format="png", width=str(width), tooltip=f"{name}: live picture")
        line = W.HBox([self.bar, self.text], layout={"align_items": "center"})
        super().__init__([W.HTML(look.style_sheet(), layout={"display": "none"}), line, self.image])
        self._first_step, self._begin, self._due = snapshot.step, time.perf_counter(), 0.0
        display(self)

    def offer(self, snapshot) -> None:
        """Show `snapshot` if it is time for a new picture."""
        now = time.perf_counter()
        if now >= self._due:
            self.show(snapshot)
            done = time.perf_counter()
            # at most a sixth of the time goes into pictures
            self._due = done + max(self._every, 5 * (done - now))

    def show(self, snapshot, ending: str = "") -> bytes:
        """Draw `snapshot` and say its numbers; returns the picture."""
        with style():
            self._update(self._artists, snapshot)
            png = figure_png(self._figure)
        self.image.value = png
        self.bar.value = min(snapshot.step, self._total) if self._total else int(bool(ending))
        steps, seconds = snapshot.step - self._first_step, time.perf_counter() - self._begin
        goal = f" of {self._total:,}" if self._total else ""
        each = f"{self._runs} runs × " if self._runs > 1 else ""
        rate = f"{each}{steps / seconds:,.0f} steps/s" if steps else ""
        parts = [f"step {snapshot.step:,}{goal}", self._describe(snapshot), rate, ending]
        self.text.value = escape(" · ".join(part for part in parts if part))
        return png

    def finish(self, snapshot, ending: str) -> None:
        """Put a still picture of the last snapshot in the place of the live one."""
        png = self.show(snapshot, ending)
        self.bar.bar_style = "success" if ending == "done" else "warning"
        self.image.layout.display = "none"
        width, height = page_size(self._figure)
        alt = f"{self._name}: the last picture"
        data = {"text/plain": f"Last picture of {self._name}",
                "image/png": base64.b64encode(still_png(png)).decode()}
        display(data, raw=True, metadata={"image/png": {"width": width, "height": height, "alt": alt}})

    def __repr__(self) -> str:
        return f"Watching {self._name}: run the cell to see it live"

    def _repr_mimebundle_(self, **kwargs) -> dict:
        data = dict(super()._repr_mimebundle_(**kwargs) or {})
        return {**data, "text/plain": repr(self)}
