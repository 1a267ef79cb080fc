"""The picture of the promises widget: said against earned, run by run, and both over the training."""

import numpy as np

from .style import LINE_STYLES, PALETTE

TICKS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)


def setup(figure, frame) -> dict:
    """Build both panels with limits that fit every training; returns the artists."""
    pairs, course = figure.subplots(1, 2, width_ratios=(1, 1.35))
    low, high = frame.limits
    ticks = [tick for tick in TICKS if low <= tick <= high]
    pairs.set(title="Each run, now", xscale="log", yscale="log", xlim=(low, high), ylim=(low, high),
              xlabel="what the greedy policy earns", ylabel="what the critic says")
    course.set(title="The whole training", yscale="log", xlim=(frame.steps[0], frame.steps[-1]), ylim=(low, high),
               xlabel="environment steps of each run", ylabel="discounted return")
    for axes in (pairs, course):
        axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
        axes.axhline(frame.most, color=PALETTE["grey"], linestyle=LINE_STYLES["dotted"])
    pairs.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    pairs.plot([low, high], [low, high], color=PALETTE["black"], linewidth=1)
    pairs.text(0.03, 0.97, "says too much", transform=pairs.transAxes, va="top")
    pairs.text(0.97, 0.03, "earns more than it says", transform=pairs.transAxes, ha="right")
    dots, = pairs.plot([], [], "o", color=PALETTE["blue"], markersize=6, alpha=0.8)
    said, earned = ([course.plot([], [], color=PALETTE[colour], linestyle=LINE_STYLES[line_style], linewidth=1)[0]
                     for _ in range(frame.said.shape[1])]
                    for colour, line_style in (("blue", "solid"), ("orange", "dashed")))
    now = course.axvline(frame.step, color=PALETTE["grey"], linewidth=1)
    said[0].set_label("says")
    earned[0].set_label("earns")
    course.legend(handles=(said[0], earned[0]), loc="lower right", ncols=2)
    return {"dots": dots, "said": said, "earned": earned, "now": now}


def update(artists: dict, frame) -> list:
    """Move every artist to a new frame; returns those that moved. What is too small runs along the edge."""
    said, earned = (np.maximum(values, frame.limits[0]) for values in (frame.said, frame.earned))
    artists["dots"].set_data(earned[frame.at], said[frame.at])
    for lines, values in ((artists["said"], said), (artists["earned"], earned)):
        for line, course in zip(lines, values.T):
            line.set_data(frame.steps, course)
    artists["now"].set_xdata([frame.step] * 2)
    return [*artists["said"], *artists["earned"], artists["dots"], artists["now"]]
