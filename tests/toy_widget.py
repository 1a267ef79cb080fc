"""A small widget with every kind of part, for the tests of the shell."""

from dataclasses import dataclass

import numpy as np

from rlcourse.plots.style import PALETTE
from rlcourse.widgets.app.explorer import Explorer
from rlcourse.widgets.app.prediction import Prediction
from rlcourse.widgets.models.controls import Choice, Slider

SIZE = (8, 3.2)
CONTROLS = (
    Slider("height", "height of the wave", tuple(round(0.1 * k, 1) for k in range(21)), 0.5),
    Slider("periods", "number of periods", tuple(range(1, 9)), 2, "{:d}"),
    Choice("shape", "shape", ("sine", "square"), "sine"),
    Choice("ground", "ground", ("a calm sea", "a sea with a swell", "a river in a flat land"), "a calm sea"),
)


@dataclass(frozen=True, eq=False)
class Frame:
    place: np.ndarray      # [200]
    wave: np.ndarray       # [200]
    energy: np.ndarray     # [5]
    note: str


def compute(height: float, periods: int, shape: str, ground: str) -> Frame:
    """A wave, and five numbers; height 2 with 8 periods raises, to see what the shell does then."""
    if height == 2.0 and periods == 8:
        raise ValueError("height: expected a wave that does not break, got 2 with 8 periods")
    place = np.linspace(0, 10, 200)
    wave = np.sin(2 * np.pi * periods * place / 10)
    wave = height * (np.sign(wave) if shape == "square" else wave)
    swell = 0.3 * np.sin(place) if ground == "a sea with a swell" else 0.0 * place
    return Frame(place, wave + swell, height**2 / np.arange(1, 6), f"mean square {np.mean(wave**2):.3f}")


def setup(figure, frame: Frame) -> dict:
    """Two axes: a line under a legend and over still points; bars with a text over them."""
    left, right = figure.subplots(1, 2, width_ratios=(2, 1))
    left.set(xlim=(0, 10), ylim=(-2.6, 2.6), title="The wave", xlabel="place", ylabel="height")
    left.plot(np.arange(11), np.zeros(11), "o", color=PALETTE["light"], label="buoys")
    line, = left.plot([], [], color=PALETTE["blue"], label="water")
    left.legend(loc="upper right")
    right.set(ylim=(0, 4.2), title="Energy", xlabel="harmonic")
    bars = right.bar(np.arange(1, 6), np.zeros(5), color=PALETTE["orange"])
    note = right.text(0.97, 0.95, "", transform=right.transAxes, ha="right", va="top")
    return {"line": line, "bars": bars, "note": note}


def update(artists: dict, frame: Frame) -> list:
    """Move the line, the bars and the text."""
    artists["line"].set_data(frame.place, frame.wave)
    for bar, height in zip(artists["bars"], frame.energy):
        bar.set_height(height)
    artists["note"].set_text(frame.note)
    return [artists["line"], *artists["bars"], artists["note"]]


def toy(*, ask: bool = False, **changes) -> Explorer:
    """The widget, with a prediction if `ask`; `changes` replace parts of it."""
    prediction = Prediction("the height doubles. By what factor does the mean square grow?",
                            ("2", "4", "8"), "4", "The mean square goes with the square of the height.")
    parts = dict(name="toy", controls=CONTROLS, compute=compute, setup=setup, update=update, size=SIZE,
                 describe=lambda frame: f"A wave with {frame.note}.",
                 try_this=("Double the height and read the mean square.",
                           "Change sine into square: the mean square of a sine is $h^2/2$."),
                 prediction=prediction if ask else None)
    return Explorer(**{**parts, **changes})
