"""Still pictures of lecture 03: the objective as a landscape over two preferences."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch

from .figures import new_figure
from .style import LINE_STYLES, PALETTE, style

_COLOURS = ("vermilion", "blue", "green", "purple")


def landscape(grid: np.ndarray, heights: np.ndarray, point: tuple[float, float],
              arrows: Mapping[str, np.ndarray], *, title: str, labels: tuple[str, str]) -> Figure:
    """Level lines of `heights` [n, n] (row: second coordinate) over a square `grid` [n], with arrows at `point`.

    `arrows` = {label: (x, y)} in the units of the grid, drawn to scale.
    """
    with style():
        figure = new_figure((6.4, 4.2))
        axes = figure.subplots()
        lines = axes.contour(grid, grid, heights, levels=12, colors=PALETTE["grey"], linewidths=0.8)
        axes.clabel(lines, fmt="%.1f", fontsize=8)
        for number, (label, (x, y)) in enumerate(arrows.items()):
            colour, line = PALETTE[_COLOURS[number]], list(LINE_STYLES.values())[number]
            axes.add_patch(FancyArrowPatch(point, (point[0] + x, point[1] + y), arrowstyle="-|>",
                                           mutation_scale=14, linewidth=2, color=colour, linestyle=line,
                                           shrinkA=0, shrinkB=0, zorder=3))
            axes.plot([], [], color=colour, linewidth=2, linestyle=line, label=label)
        axes.plot(*point, "o", color=PALETTE["black"], markersize=6, zorder=4, label="the policy θ")
        axes.set(title=title, xlabel=labels[0], ylabel=labels[1], aspect="equal")
        axes.grid(False)
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.set_label(f"{title}: level lines with the arrows {', '.join(arrows)} at the policy")
    return figure


def rooms_picture(to_one: np.ndarray, reward: np.ndarray) -> Figure:
    """The two rooms as circles; every action as an arrow with its reward and its chance to lead to room 1.

    to_one, reward: [2, 2], state by action (rest, work)
    """
    with style():
        figure = new_figure((7.6, 2.5))
        axes = figure.subplots()
        axes.set_axis_off()
        axes.set(xlim=(-3.6, 7.0), ylim=(-1.5, 1.7), aspect="equal")
        for room, x in enumerate((0.0, 3.4)):
            axes.add_patch(Circle((x, 0), 0.62, facecolor="white", edgecolor=PALETTE["black"], linewidth=1.4))
            axes.text(x, 0, f"room {room}", ha="center", va="center")
        for action, (name, colour, line) in enumerate((("rest", "blue", "dashed"), ("work", "vermilion", "solid"))):
            height = (-0.28, 0.28)[action]
            for room, (start, end) in enumerate(((0.66, 2.74), (2.74, 0.66))):
                bend = -0.35 if (action == 1) == (room == 0) else 0.35
                here = height if room == 0 else 2.2 * height
                axes.add_patch(FancyArrowPatch((start, here), (end, here), arrowstyle="-|>", mutation_scale=12,
                                               connectionstyle=f"arc3,rad={bend}", color=PALETTE[colour],
                                               linestyle=LINE_STYLES[line], linewidth=1.4))
            for room, x in enumerate((-0.8, 4.2)):
                axes.text(x, (-0.55, 0.55)[action], f"{name}: reward {reward[room, action]:g}".replace("-", "−")
                          + f",\nto room 1 with {to_one[room, action]:g}", ha=("right", "left")[room], va="center",
                          color=PALETTE[colour])
    figure.set_label("Two rooms: what resting and working pay in each, and how likely they lead to room 1")
    return figure
