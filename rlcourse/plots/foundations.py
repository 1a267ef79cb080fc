"""Still pictures of lecture 01: maps with a number in every cell, and a belief over time."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from .figures import new_figure
from .style import PALETTE, style


def maps_figure(pictures: Mapping[str, np.ndarray], *, label: str, start: tuple[int, int], goal: tuple[int, int],
                arrows: Sequence[np.ndarray | None] = (), size: tuple[float, float] = (8, 3.4)) -> Figure:
    """Maps side by side on one colour scale: {title: numbers [rows, columns]}, NaN for walls.

    `start` and `goal` are (row, column). `arrows` holds, for each map, directions
    [rows, columns, 2] (right, up) to draw over it, or None.
    """
    low = min(np.nanmin(numbers) for numbers in pictures.values())
    high = max(np.nanmax(numbers) for numbers in pictures.values())
    with style():
        figure = new_figure(size)
        panels = np.atleast_1d(figure.subplots(1, len(pictures)))
        for number, (axes, (title, numbers)) in enumerate(zip(panels, pictures.items())):
            image = axes.imshow(numbers, vmin=low, vmax=high, interpolation="nearest")
            axes.set(title=title, facecolor=PALETTE["light"], xticks=(), yticks=())
            axes.grid(False)
            axes.spines[:].set_visible(False)
            axes.plot(*start[::-1], "s", color="white", markerfacecolor="none", markersize=10)
            axes.plot(*goal[::-1], "*", color=PALETTE["orange"], markersize=12)
            if number < len(arrows) and arrows[number] is not None:
                _arrows(axes, arrows[number])
        figure.colorbar(image, ax=panels, label=label, shrink=0.8)
    return figure


def _arrows(axes, directions):
    column, row = np.meshgrid(np.arange(directions.shape[1]), np.arange(directions.shape[0]))
    axes.quiver(column, row, directions[..., 0], directions[..., 1], pivot="middle", scale=1.5,
                scale_units="x", width=0.006, color="white", alpha=0.7)


def belief_figure(beliefs: np.ndarray, states: np.ndarray, seen: Sequence[str], cells: Sequence[str],
                  size: tuple[float, float] = (8, 2.9)) -> Figure:
    """A belief over time: `beliefs` [T + 1, S] as shades, the true state [T + 1] as dots.

    `seen` holds what was observed at each time, `cells` the name of each state.
    """
    times = np.arange(len(beliefs))
    with style():
        figure = new_figure(size)
        axes = figure.subplots()
        image = axes.imshow(beliefs.T, vmin=0, vmax=1, aspect="auto", interpolation="nearest", origin="lower")
        axes.plot(times, states, "o", color=PALETTE["vermilion"], markeredgecolor="white", markersize=9,
                  label="true cell")
        axes.set(title="The belief: where the agent thinks it is", ylabel="cell",
                 xlabel="time, and what was seen")
        axes.set_xticks(times, [f"{t}\n{letter}" for t, letter in zip(times, seen)])
        axes.set_yticks(np.arange(len(cells)), cells)
        axes.grid(False)
        axes.legend(loc="lower right", frameon=True, framealpha=0.85, edgecolor="none")
        figure.colorbar(image, ax=axes, label="probability", pad=0.02)
    return figure
