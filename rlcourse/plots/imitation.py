"""Still pictures of lecture 02: the cambered lane in cross-section, and the two tightropes."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, Rectangle

from .figures import new_figure
from .style import PALETTE, style


def lane_picture(expert_action: np.ndarray, visits: np.ndarray) -> Figure:
    """The lane seen from behind the car: camber, ditches, the expert's arrows, the data.

    `expert_action` [2W + 1] holds 0, 1, 2 for left, straight, right; `visits` [2W + 1] how often
    the demonstrations are in each cell.
    """
    half_width = len(visits) // 2
    offset = np.arange(-half_width, half_width + 1)
    fine = np.linspace(-half_width - 0.5, half_width + 0.5, 300)
    crown = 1.0 - 0.95 * (np.abs(fine) / (half_width + 0.5)) ** 2.2
    with style():
        figure = new_figure((8, 2.9))
        axes = figure.subplots()
        axes.fill_between(fine, -0.35, crown, color=PALETTE["light"])
        axes.plot(fine, crown, color=PALETTE["black"])
        for x, action, count in zip(offset, expert_action, visits):
            height = np.interp(x, fine, crown)
            arrow = {0: "←", 1: "•", 2: "→"}[int(action)]
            seen = count > 0
            axes.text(x, height + 0.1, arrow, ha="center", fontsize=15,
                      color=PALETTE["blue"] if seen else PALETTE["grey"])
            axes.text(x, -0.27, f"{count:.0f}", ha="center", color=PALETTE["blue"] if seen else PALETTE["grey"])
        axes.set(title="The lane in cross-section: what the expert would do, and how often the data show it",
                 xlabel="offset from the crown [cells]", ylim=(-0.35, 1.45), xticks=offset)
        axes.set_yticks([-0.22], ["visits"])
        axes.grid(False)
        for side in (-half_width, half_width):
            axes.axvspan(side - 0.5, side + 0.5, color=PALETTE["vermilion"], alpha=0.15, linewidth=0)
            axes.text(side, 1.3, "ditch", ha="center", color=PALETTE["vermilion"])
    figure.set_label("Cross-section of the lane: the expert's action in every cell, and how often the data visit it")
    return figure


def tightropes_picture() -> Figure:
    """The two tightropes as graphs: states as circles; blue is what the expert does, vermilion a mistake."""
    with style():
        figure = new_figure((8, 2.5))
        for axes, recoverable in zip(figure.subplots(1, 2), (False, True)):
            axes.set_axis_off()
            axes.set(xlim=(-1, 4), ylim=(-0.95, 1.3), aspect="equal",
                     title="Climbing back is possible" if recoverable else "A fall is final")
            for x, name in ((0, "rope"), (3, "fallen")):
                axes.add_patch(Circle((x, 0), 0.5, facecolor="white", edgecolor=PALETTE["black"], linewidth=1.4))
                axes.text(x, 0, name, ha="center", va="center")
            _loop(axes, 0, "blue")
            axes.text(0, 1.12, "forward", ha="center", color=PALETTE["blue"])
            _arrow(axes, 0.55, 2.45, 0.1, "vermilion", "-0.25")
            axes.text(1.5, 0.55, "any mistake", ha="center", color=PALETTE["vermilion"])
            _loop(axes, 3, "vermilion")
            axes.text(3, 1.12, "forward" if recoverable else "anything", ha="center",
                      color=PALETTE["vermilion"])
            if recoverable:
                _arrow(axes, 2.45, 0.55, -0.1, "blue", "-0.25")
                axes.text(1.5, -0.75, "climb", ha="center", color=PALETTE["blue"])
    figure.set_label("Two tightropes as graphs: on the left a fall is final, on the right climbing leads back")
    return figure


def _arrow(axes, start, end, height, colour, bend):
    axes.add_patch(FancyArrowPatch((start, height), (end, height), arrowstyle="-|>", mutation_scale=14,
                                   connectionstyle=f"arc3,rad={bend}", color=PALETTE[colour]))


def _loop(axes, x, colour):
    axes.add_patch(FancyArrowPatch((x - 0.25, 0.46), (x + 0.25, 0.46), arrowstyle="-|>", mutation_scale=14,
                                   connectionstyle="arc3,rad=-1.4", color=PALETTE[colour]))


def fork_picture(drives: dict[str, np.ndarray], tree_at: float, tree_radius: float) -> Figure:
    """One panel for each policy: its drives [n, T + 1, 2] (distance, offset) from above; the tree lies across the road.

    The drives must keep their last point at the tree. Those that hit it are vermilion and dashed.
    """
    columns = 4
    rows = -(-len(drives) // columns)
    with style():
        figure = new_figure((10, 2.3 * rows))
        grid = np.atleast_1d(figure.subplots(rows, columns, sharex=True, sharey=True)).ravel()
        for axes in grid[len(drives):]:
            axes.set_axis_off()
        for axes, (name, paths) in zip(grid, drives.items()):
            axes.add_patch(Rectangle((tree_at, -tree_radius), 0.25, 2 * tree_radius, color=PALETTE["green"]))
            for path in paths:
                hits = abs(path[-1, 1]) < tree_radius
                axes.plot(*path.T, color=PALETTE["vermilion" if hits else "blue"],
                          linestyle="--" if hits else "-", linewidth=0.9, alpha=0.6)
            axes.set(title=name, xlim=(0, tree_at + 0.5), ylim=(-2.2, 2.2))
        figure.supxlabel("distance [m]", fontsize=10)
        figure.supylabel("offset [m]", fontsize=10)
    figure.set_label(f"Drives seen from above, and the tree, for {', '.join(drives)}")
    return figure


def room_picture(probabilities: dict[str, np.ndarray]) -> Figure:
    """Maps [rows, columns] of probabilities side by side on one scale, with the numbers; NaN is wall."""
    with style():
        figure = new_figure((3.3 * len(probabilities), 2.9))
        grid = np.atleast_1d(figure.subplots(1, len(probabilities)))
        for axes, (name, values) in zip(grid, probabilities.items()):
            image = axes.imshow(values, vmin=0.0, vmax=1.0)
            for (row, column), value in np.ndenumerate(values):
                if np.isfinite(value):
                    axes.text(column, row, f"{100 * value:.0f}", ha="center", va="center", fontsize=7.5,
                              color="white" if value < 0.6 else PALETTE["black"])
            axes.set(title=name, xticks=[], yticks=[])
            axes.grid(False)
        figure.colorbar(image, ax=list(grid), label="probability of\nreaching the cell", shrink=0.8)
    figure.set_label(f"Probability of reaching every cell of the room for {', '.join(probabilities)}")
    return figure
