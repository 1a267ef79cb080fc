"""Pictures that change quickly: what stands still is drawn once, what moves every time.

Ticks, labels and still points are nearly all the cost of a matplotlib picture. Keeping them as a
finished background makes a new picture about ten times cheaper. Limits and ticks can therefore
not change: fix them for the whole range of the controls (a still axis also teaches better).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure

from .figures import encode_png, freeze_layout, new_figure, page_size, pixels
from .style import style

__all__ = ["Picture", "fresh_pixels", "new_figure"]


class Picture:
    """A figure whose moving artists are redrawn over a kept background.

    `setup(figure, frame)` builds axes and artists and returns the artists (a dict or dataclass);
    `update(artists, frame)` sets their data and returns the list of those that moved. What stands
    still above the moving artists of its axes (a legend) is kept as a finished stamp, so that the
    picture is the same as one drawn from nothing. The grid and the ticks stay in the background.
    """

    def __init__(self, size: tuple[float, float], setup: Callable, update: Callable, frame):
        self._update = update
        with style():
            self.figure = new_figure(size)
            self._artists = setup(self.figure, frame)
            self._moving = list(update(self._artists, frame))
            freeze_layout(self.figure)
            self._keep_background()

    @property
    def page_size(self) -> tuple[int, int]:
        """Width and height in page pixels."""
        return page_size(self.figure)

    def draw(self, frame) -> np.ndarray:
        """Show `frame`: uint8 [height, width, 3]."""
        with style():
            moved = self._update(self._artists, frame)
            late = [artist for artist in moved if artist not in self._moving]
            if late:                                 # first moved now: it is part of the background
                self._moving += late
                self._keep_background()
            canvas = self.figure.canvas
            canvas.restore_region(self._background)
            renderer = canvas.get_renderer()
            for part in self._foreground:
                part.draw(renderer)
            return np.asarray(canvas.buffer_rgba())[..., :3].copy()

    def png_bytes(self, frame) -> bytes:
        """Show `frame`: the bytes of a PNG."""
        return encode_png(self.draw(frame))

    def _keep_background(self) -> None:
        layers, canvas = _layers(self.figure, self._moving), self.figure.canvas
        for artist in sum(layers, []):
            artist.set_animated(True)                # leave it out of the canvas's own drawing
        canvas.draw()
        self._background = canvas.copy_from_bbox(self.figure.bbox)
        self._foreground = []
        for layer in layers:
            last = max(k for k, artist in enumerate(layer) if artist in self._moving)
            stamps = [_Stamp.of(artist, canvas) for artist in layer[last + 1:]]
            self._foreground += layer[:last + 1] + stamps


@dataclass(frozen=True, eq=False)
class _Stamp:
    """A finished artist: its pixels and where they belong."""

    rgba: np.ndarray      # uint8 [height, width, 4], lowest row first
    left: int
    bottom: int

    @classmethod
    def of(cls, artist: Artist, canvas) -> "_Stamp":
        renderer = canvas.get_renderer()
        renderer.clear()
        artist.draw(renderer)
        picture = np.asarray(renderer.buffer_rgba())
        rows, columns = np.nonzero(picture[..., 3])
        if len(rows) == 0:                           # nothing to see, for example an empty title
            return cls(np.zeros((0, 0, 4), np.uint8), 0, 0)
        top, bottom, left, right = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
        return cls(picture[top:bottom, left:right][::-1].copy(), int(left), len(picture) - int(bottom))

    def draw(self, renderer) -> None:
        if self.rgba.size:
            renderer.draw_image(renderer.new_gc(), self.left, self.bottom, self.rgba)


def fresh_pixels(size: tuple[float, float], setup: Callable, update: Callable, frame,
                 placed_like: Figure | None = None) -> np.ndarray:
    """The same frame drawn from nothing, without a background: what `Picture.draw` must equal.

    The axes stand where the layout engine puts them for this frame or, if given, where they stand
    in the figure `placed_like`: a picture's axes stay where its first frame put them.
    """
    with style():
        figure = new_figure(size)
        update(setup(figure, frame), frame)
        if placed_like is None:
            freeze_layout(figure)
        else:
            figure.set_layout_engine("none")
            for axes, like in zip(figure.axes, placed_like.axes, strict=True):
                axes.set_position(like.get_position(original=True))
        return pixels(figure)


def _layers(figure, moving: list[Artist]) -> list[list[Artist]]:
    """For each axes with moving artists, and the figure: the lowest of them and all above, in order."""
    layers = []
    for owner in sorted(figure.axes, key=lambda axes: axes.zorder) + [figure]:
        hidden = _never_drawn(owner)
        own = [child for child in owner.get_children() if child not in hidden]
        lowest = min((child.zorder for child in own if child in moving), default=None)
        if lowest is not None:
            layers.append(sorted((child for child in own if child.zorder >= lowest),
                                 key=lambda child: child.zorder))
    return layers


def _never_drawn(owner) -> list[Artist]:
    """Children that stay in the background, or that their owner does not draw itself."""
    if not isinstance(owner, Axes):
        return [owner.patch, *owner.axes]
    still = [owner.patch] + [child for child in owner.get_children() if isinstance(child, Axis)]
    if not (owner.axison and owner.get_frame_on()):
        still += list(owner.spines.values())
    return still
