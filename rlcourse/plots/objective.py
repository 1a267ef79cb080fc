"""The picture of the objective widget: where the policy is, and what it earns by then.

Titles lie below the moving artists, so that they are drawn once and not every time; legends stand
beside the titles, where no curve crosses them.
"""

import numpy as np
from matplotlib.colors import PowerNorm

from .style import LINE_STYLES, PALETTE

STEP_LIMITS, SUM_LIMITS, AVERAGE_LIMITS = (-0.3, 1.08), (-6.8, 4.6), (-0.27, 0.12)


def setup(figure, frame) -> dict:
    """Build the four panels with limits that fit every setting; returns the artists."""
    grid = figure.add_gridspec(3, 2, width_ratios=(1.2, 1))
    step, total, average = (figure.add_subplot(grid[row, 1]) for row in range(3))
    longest = len(frame.step_reward)
    artists = _map_panel(figure, figure.add_subplot(grid[:, 0]), frame)
    for name, axes, limits in (("step", step, STEP_LIMITS), ("total", total, SUM_LIMITS),
                               ("average", average, AVERAGE_LIMITS)):
        axes.set(xlim=(-0.5, longest + 1), ylim=limits)
        axes.axhline(0, color=PALETTE["grey"], linewidth=0.8, zorder=1)
        artists[f"{name} now"], = axes.plot([], [], color=PALETTE["grey"], linestyle=LINE_STYLES["dashed"],
                                            linewidth=1)
    step.set_title("Expected reward of each step", zorder=0)
    artists["step"], = step.plot([], [], color=PALETTE["blue"], drawstyle="steps-post", linewidth=1.4)
    artists.update(_sum_curves(total), **_average_curves(average))
    for axes in (step, total):
        axes.tick_params(labelbottom=False)
    average.set(xlabel="time t")
    return artists


def _map_panel(figure, axes, frame):
    side = len(frame.floor)
    axes.set_title("Where the agent is at time t", zorder=0)
    axes.set(xlim=(-0.5, side - 0.5), ylim=(side - 0.5, -0.5), aspect="equal",
             facecolor=PALETTE["light"])
    axes.set_xticks(())
    axes.set_yticks(())
    axes.grid(False)
    axes.spines[:].set_visible(False)
    image = axes.imshow(np.zeros((side, side)), norm=PowerNorm(0.4, 0.0, 1.0), interpolation="nearest",
                        zorder=1)
    bar = figure.colorbar(image, ax=axes, ticks=(0, 0.01, 0.1, 0.5, 1), shrink=0.6, pad=0.02)
    bar.set_ticklabels(("0", ".01", ".1", ".5", "1"))
    bar.set_label("probability p(sₜ)")
    column, row = np.meshgrid(np.arange(side), np.arange(side))
    arrows = axes.quiver(column, row, np.zeros((side, side)), np.zeros((side, side)), pivot="middle",
                         scale=1.4, scale_units="x", width=0.006, color="white", alpha=0.6)
    edge, = axes.plot([], [], "x", color=PALETTE["vermilion"], markersize=7)
    start, = axes.plot([], [], "s", color="white", markerfacecolor="none", markersize=13)
    goal, = axes.plot([], [], "*", color=PALETTE["orange"], markersize=14)
    return {"image": image, "arrows": arrows, "edge": edge, "start": start, "goal": goal}


def _sum_curves(axes):
    axes.set_title("Reward before t", zorder=0)
    total, = axes.plot([], [], color=PALETTE["vermilion"], label="sum")
    discounted, = axes.plot([], [], color=PALETTE["green"], linestyle=LINE_STYLES["dashed"],
                            label="discounted")
    here, = axes.plot([], [], "o", color=PALETTE["vermilion"])
    _legend_beside_title(axes, (total, discounted))
    return {"total": total, "discounted": discounted, "here": here}


def _average_curves(axes):
    axes.set_title("Average before t", zorder=0)
    running, = axes.plot([], [], color=PALETTE["purple"], label="so far")
    average, = axes.plot([], [], color=PALETTE["black"], linestyle=LINE_STYLES["dotted"],
                         label="stationary")
    _legend_beside_title(axes, (running, average))
    return {"running": running, "average": average}


def _legend_beside_title(axes, handles):
    axes.legend(handles=handles, loc="lower right", bbox_to_anchor=(1.02, 1.01), ncols=len(handles), frameon=False,
                borderaxespad=0, columnspacing=1.2).set_zorder(0)


def update(artists: dict, frame) -> list:
    """Move every artist to a new frame; returns those that moved."""
    steps = np.arange(len(frame.step_reward))
    walls = ~frame.floor
    artists["image"].set_data(np.ma.array(frame.marginal, mask=walls))
    artists["arrows"].set_UVC(*(np.ma.array(frame.arrows[..., part], mask=walls) for part in (0, 1)))
    artists["edge"].set_data(frame.edge[:, 1], frame.edge[:, 0])
    for name in ("start", "goal"):
        row, column = getattr(frame, name)
        artists[name].set_data([column], [row])
    for name, limits in (("step", STEP_LIMITS), ("total", SUM_LIMITS), ("average", AVERAGE_LIMITS)):
        artists[f"{name} now"].set_data([frame.time] * 2, limits)
    artists["step"].set_data(steps, frame.step_reward)
    # What has been collected *before* time t: nothing at t = 0, the first reward at t = 1.
    artists["total"].set_data(np.append(0, steps + 1), np.append(0.0, frame.total))
    artists["discounted"].set_data(np.append(0, steps + 1), np.append(0.0, frame.discounted))
    artists["here"].set_data([frame.time], [frame.total[frame.time - 1] if frame.time else 0.0])
    artists["running"].set_data(steps + 1, frame.running_average)
    artists["average"].set_data([-0.5, len(steps) + 1], [frame.average] * 2)
    return list(artists.values())
