"""Figures without pyplot: made, and turned into PNG bytes."""

import struct
import zlib
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
    """PNG bytes of uint8 [height, width, 3].

    Written out because speed matters here: trying a filter for every row, as image libraries do,
    takes three times as long and makes these flat pictures hardly smaller.
    """
    height, width, _ = picture.shape
    rows = np.zeros((height, 1 + 3 * width), np.uint8)         # each row begins with 0: no filter
    rows[:, 1:] = picture.reshape(height, 3 * width)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)      # 8 bits a channel, RGB
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
            + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b""))


def page_size(figure: Figure) -> tuple[int, int]:
    """Width and height in page pixels."""
    width, height = figure.get_size_inches()
    return round(width * PAGE_DPI), round(height * PAGE_DPI)


def still_png(png: bytes) -> bytes:
    """The same picture with a palette of 256 colours: a third of the bytes, for what a notebook stores."""
    stream = BytesIO()
    picture = Image.open(BytesIO(png)).convert("RGB")
    # "maximum coverage" keeps rare colours (a colour bar); the default, median cut, loses them
    method, dither = Image.Quantize.MAXCOVERAGE, Image.Dither.NONE
    picture.quantize(256, method=method, dither=dither).save(stream, format="png", compress_level=9)
    return stream.getvalue()


def figure_png(figure: Figure) -> bytes:
    """PNG bytes of a whole figure, whoever made it."""
    if not isinstance(figure.canvas, FigureCanvasAgg):
        FigureCanvasAgg(figure)
    return encode_png(pixels(figure))
