"""Pictures of the control problems, strips and short films of a trajectory: no display, no font to install.

Drawn with plain shapes, three times too large and then averaged down, which smooths the edges. The same state
gives the same bytes. (Lectures 03 to 08 show trained policies with these.)
"""

import base64
import math
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..core.check import require, require_count
from ..envs.acrobot import Acrobot
from ..envs.cartpole import CartPole
from ..envs.dynamics import Dynamics
from ..envs.mountain_car import MountainCar
from ..envs.pendulum import Pendulum
from .style import PALETTE

WIDTH, HEIGHT = 300, 200  # pixels of a picture
_OVERSIZE = 3  # drawn so many times larger, then averaged
_COLOURS = 48  # in a film; flat pictures need no more, and it keeps them small


def picture(dynamics: Dynamics, state: Tensor) -> np.ndarray:
    """One state (no batch axes) as uint8 [200, 300, 3]; problems without a drawing show their numbers.

    Errors: ValueError if `state` has not the shape of one state.
    """
    require(tuple(state.shape) == dynamics.state_shape, "state", f"one state, shape {list(dynamics.state_shape)}",
            list(state.shape))
    return np.asarray(_image(dynamics, state))


def strip(dynamics: Dynamics, states: Tensor, count: int = 5) -> "Film":
    """`count` pictures of a trajectory [T, …] side by side, evenly spaced, the first and the last included."""
    images = [_image(dynamics, states[t]) for t in _spread(dynamics, states, count)]
    whole = Image.new("RGB", (WIDTH * len(images), HEIGHT))
    for place, image in enumerate(images):
        whole.paste(image, (WIDTH * place, 0))
        if place:  # a thin line between two pictures
            whole.paste(PALETTE["light"], (WIDTH * place - 1, 0, WIDTH * place + 1, HEIGHT))
    stream = BytesIO()
    _with_few_colours([whole])[0].save(stream, format="png", compress_level=9)
    # Shown at half the size, so that five fit on a page.
    return Film(stream.getvalue(), whole.width // 2,
                f"{len(images)} pictures of {_name(dynamics)}, from the first to the last of {len(states)} states")


def film(dynamics: Dynamics, states: Tensor, *, most: int = 80, milliseconds: int = 60) -> "Film":
    """A short looping animation of a trajectory [T, …]: at most `most` pictures, evenly spaced over it.

    An animated PNG: it moves wherever a PNG is shown by a browser, and elsewhere shows its first picture.
    milliseconds: how long each picture stands; the last one stands a second
    """
    require_count("milliseconds", milliseconds)
    images = [_image(dynamics, states[t]) for t in _spread(dynamics, states, most)]
    first, *others = _with_few_colours(images)
    stream = BytesIO()
    first.save(stream, format="png", save_all=True, append_images=others, loop=0, compress_level=9,
               duration=[milliseconds] * len(others) + [1000])
    return Film(stream.getvalue(), WIDTH,
                f"Film of {_name(dynamics)}: {len(images)} pictures of {len(states)} states")


@dataclass(frozen=True, eq=False)
class Film:
    """A finished picture, moving or still: PNG bytes, its width on the page in pixels, and its caption."""

    png: bytes
    width: int
    caption: str

    def __repr__(self) -> str:
        return self.caption

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        data = {"text/plain": self.caption, "image/png": base64.b64encode(self.png).decode()}
        return data, {"image/png": {"width": self.width, "alt": self.caption}}


def _spread(dynamics: Dynamics, states: Tensor, count: int) -> list[int]:
    """`count` indices from 0 to T − 1, evenly spaced; all of them if T is less."""
    require_count("count", count)
    require(states.ndim == 1 + len(dynamics.state_shape) and len(states) > 0, "states",
            f"one trajectory, shape [T, {', '.join(map(str, dynamics.state_shape))}]", list(states.shape))
    return [round(t) for t in np.linspace(0, len(states) - 1, min(count, len(states)))]


def _with_few_colours(images: list[Image.Image]) -> list[Image.Image]:
    """The same pictures with one palette for all, so that of each only what moved has to be stored.

    The palette holds the most frequent colours as they are (a method that averages would turn white grey),
    but none that is hardly different from one it has: Pillow tells such neighbours apart only roughly.
    """
    counts: dict[tuple, int] = {}
    for image in images[::max(1, len(images) // 8)]:
        for count, colour in image.getcolors(image.width * image.height):
            counts[colour] = counts.get(colour, 0) + count
    chosen: list[tuple] = []
    for colour in sorted(counts, key=lambda colour: (-counts[colour], colour)):
        nearest = min((max(abs(a - b) for a, b in zip(colour, other)) for other in chosen), default=255)
        if len(chosen) < _COLOURS and nearest >= 12:
            chosen.append(colour)
    palette = Image.new("P", (1, 1))
    palette.putpalette([part for colour in chosen for part in colour])
    return [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]


def _name(dynamics: Dynamics) -> str:
    return type(dynamics).__name__


class _Canvas:
    """A white sheet on which metres are drawn: `centre` in the middle, `across` metres from left to right."""

    def __init__(self, across: float, centre: tuple[float, float] = (0.0, 0.0)):
        self.image = Image.new("RGB", (WIDTH * _OVERSIZE, HEIGHT * _OVERSIZE), "white")
        self._draw, self._scale, self._centre = ImageDraw.Draw(self.image), WIDTH * _OVERSIZE / across, centre

    def _pixel(self, x: float, y: float) -> tuple[float, float]:
        return (WIDTH * _OVERSIZE / 2 + (x - self._centre[0]) * self._scale,
                HEIGHT * _OVERSIZE / 2 - (y - self._centre[1]) * self._scale)

    def line(self, points: list[tuple[float, float]], colour: str, width: float) -> None:
        """Through `points` (m), `width` page pixels wide, with round ends."""
        thick = width * _OVERSIZE
        pixels = [self._pixel(*point) for point in points]
        self._draw.line(pixels, PALETTE[colour], round(thick), joint="curve")
        for x, y in (pixels[0], pixels[-1]):
            self._draw.ellipse((x - thick / 2, y - thick / 2, x + thick / 2, y + thick / 2), PALETTE[colour])

    def circle(self, x: float, y: float, radius: float, colour: str) -> None:
        """Filled, `radius` in page pixels."""
        (x, y), r = self._pixel(x, y), radius * _OVERSIZE
        self._draw.ellipse((x - r, y - r, x + r, y + r), PALETTE[colour])

    def polygon(self, points: list[tuple[float, float]], colour: str) -> None:
        """Filled."""
        self._draw.polygon([self._pixel(*point) for point in points], PALETTE[colour])

    def text(self, lines: list[str]) -> None:
        """Lines from the upper left corner."""
        font = ImageFont.load_default(13 * _OVERSIZE)
        for row, line in enumerate(lines):
            self._draw.text((12 * _OVERSIZE, (10 + 18 * row) * _OVERSIZE), line, PALETTE["black"], font)


def _image(dynamics: Dynamics, state: Tensor) -> Image.Image:
    scenes = [scene for kind, scene in _SCENES.items() if isinstance(dynamics, kind)]
    canvas = (scenes[0] if scenes else _numbers)(dynamics, state.detach().cpu())
    return canvas.image.reduce(_OVERSIZE)


def _cart_pole(problem: CartPole, state: Tensor) -> _Canvas:
    x, _, angle, _ = state.tolist()
    canvas = _Canvas(2.5 * problem.position_limit, (0.0, 0.5))
    limit, pole = problem.position_limit, 2 * problem.half_length
    canvas.line([(-9.0, 0.0), (9.0, 0.0)], "grey", 2)
    for end in (-limit, limit):
        canvas.line([(end, -0.12), (end, 0.12)], "vermilion", 3)
    canvas.polygon([(x - 0.3, 0.05), (x + 0.3, 0.05), (x + 0.3, 0.32), (x - 0.3, 0.32)], "blue")
    canvas.line([(x, 0.3), (x + pole * math.sin(angle), 0.3 + pole * math.cos(angle))], "orange", 7)
    canvas.circle(x, 0.3, 3, "black")
    return canvas


def _pendulum(problem: Pendulum, state: Tensor) -> _Canvas:
    angle, _ = state.tolist()
    canvas = _Canvas(3.6 * problem.length)
    # Gymnasium counts the angle anticlockwise.
    tip = (-problem.length * math.sin(angle), problem.length * math.cos(angle))
    canvas.line([(0.0, problem.length * 1.02), (0.0, problem.length * 1.15)], "light", 3)
    canvas.line([(0.0, 0.0), tip], "vermilion", 14)
    canvas.circle(0.0, 0.0, 4, "black")
    return canvas


def _mountain_car(problem: MountainCar, state: Tensor) -> _Canvas:
    x, _ = state.tolist()
    canvas = _Canvas(2.0, (-0.3, 0.55))

    def height(at: float) -> float:  # the slope of which is the car's gravity
        return 0.45 * math.sin(3 * at) + 0.55

    wide = problem.right_wall - problem.left_wall
    ground = [(at, height(at)) for at in (problem.left_wall + wide * k / 90 for k in range(91))]
    canvas.line(ground, "grey", 3)
    goal = problem.goal
    canvas.line([(goal, height(goal)), (goal, height(goal) + 0.22)], "black", 2)
    canvas.polygon([(goal, height(goal) + 0.22), (goal, height(goal) + 0.12), (goal + 0.09, height(goal) + 0.17)],
                   "green")
    slope = math.atan(1.35 * math.cos(3 * x))
    canvas.circle(x - 0.055 * math.sin(slope), height(x) + 0.055 * math.cos(slope), 8, "blue")
    return canvas


def _acrobot(problem: Acrobot, state: Tensor) -> _Canvas:
    first, second, _, _ = state.tolist()
    length = problem.link_length
    canvas = _Canvas(6.6 * length)
    elbow = (length * math.sin(first), -length * math.cos(first))
    tip = (elbow[0] + length * math.sin(first + second), elbow[1] - length * math.cos(first + second))
    canvas.line([(-9.0, length), (9.0, length)], "green", 2)  # where the tip has to get to
    canvas.line([(0.0, 0.0), elbow], "blue", 8)
    canvas.line([elbow, tip], "orange", 8)
    for joint in ((0.0, 0.0), elbow):
        canvas.circle(*joint, 4, "black")
    return canvas


def _numbers(dynamics: Dynamics, state: Tensor) -> _Canvas:
    """What has no drawing is written: a state's name, or its first coordinates."""
    canvas, names = _Canvas(1.0), getattr(dynamics, "state_names", ())
    if state.ndim == 0:
        lines = [f"state {state.item():g}" + (f": {names[int(state)]}" if names else "")]
    else:
        lines = [f"state {k}:  {number:.4g}" for k, number in enumerate(state.flatten()[:8].tolist())]
    canvas.text([_name(dynamics), *lines])
    return canvas


_SCENES: dict[type, Callable] = {CartPole: _cart_pole, Pendulum: _pendulum, MountainCar: _mountain_car,
                                 Acrobot: _acrobot}
