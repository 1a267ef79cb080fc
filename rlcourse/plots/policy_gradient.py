"""Still pictures of lecture 03: the objective as a landscape over two preferences."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

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
