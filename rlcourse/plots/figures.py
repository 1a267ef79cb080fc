"""Figures without pyplot: made, and turned into PNG bytes."""

from io import BytesIO

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from .style import style

# Dots per inch of the page (800 × 320 for a figure of 8 × 3.2 inches) and of the PNG:
# more dots than the page shows keep text sharp on today's screens.
PAGE_DPI = 100
PIXEL_RATIO = 1.5


def new_figure(size: tuple[float, float] = (8, 3.2)) -> Figure:
    """An empty figure in the course's style, `size` in inches (100 page pixels each).

    Not registered with pyplot, so nothing has to be closed. Axes are added with
    `figure.subplots(...)`, inside `style()` where it matters.
    """
    with style():
        figure = Figure(figsize=size, dpi=PAGE_DPI * PIXEL_RATIO, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def freeze_layout(figure: Figure) -> None:
    """Place the axes once, by the layout engine, and keep them there."""
    if figure.get_layout_engine() is not None:
        figure.get_layout_engine().execute(figure)
        figure.set_layout_engine("none")


def pixels(figure: Figure) -> np.ndarray:
    """The whole figure drawn from nothing: uint8 [height, width, 3]."""
    with style():                                # matplotlib chooses tick steps while it draws
        figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()


def encode_png(picture: np.ndarray) -> bytes:
    """PNG bytes of uint8 [height, width, 3]; lightly compressed, which is four times faster."""
    stream = BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(stream, format="png", compress_level=1)
    return stream.getvalue()


def page_size(figure: Figure) -> tuple[int, int]:
    """Width and height in page pixels."""
    width, height = figure.get_size_inches()
    return round(width * PAGE_DPI), round(height * PAGE_DPI)


def figure_png(figure: Figure) -> bytes:
    """PNG bytes of a whole figure, whoever made it."""
    if not isinstance(figure.canvas, FigureCanvasAgg):
        FigureCanvasAgg(figure)
    return encode_png(pixels(figure))
