"""The picture of the overestimation widget: one repetition, many repetitions, and the bias against the actions."""

import numpy as np

from .style import LINE_STYLES, PALETTE

LOOKS = {"single": ("vermilion", "solid"), "double": ("blue", "dashed"), "clipped double": ("green", "dash-dot")}
LOW, HIGH = -3.1, 3.3  # of values; two in a thousand of the widest setting lie outside
COUNTS = (1, 2, 3, 5, 10, 30)  # of actions, on the axis
EDGES = np.linspace(LOW, HIGH, 65)


def setup(figure, frame) -> dict:
    """Build the three panels with limits that fit every setting; returns the artists."""
    one, many, bias = figure.subplots(1, 3, width_ratios=(1.1, 1, 1))
    return {**_one(one), **_many(many), **_bias(bias)}


def _one(axes):
    axes.set(title="One repetition, action by action", xlim=(0, 1), ylim=(LOW, 4.4), ylabel="value",
             xlabel="actions, the best one left")
    axes.set_xticks([])
    true, = axes.plot([], [], color=PALETTE["black"], linewidth=1.4, label="true value")
    first, = axes.plot([], [], "o", color=PALETTE["vermilion"], markersize=4.5, label="estimate 1")
    second, = axes.plot([], [], "x", color=PALETTE["blue"], markersize=5.5, label="estimate 2")
    ring, = axes.plot([], [], "o", color=PALETTE["black"], markersize=11, fillstyle="none", label="largest of 1")
    drop, = axes.plot([], [], color=PALETTE["grey"], linestyle=LINE_STYLES["dotted"])
    axes.legend(loc="upper left", ncols=2, borderaxespad=0.2, labelspacing=0.3, columnspacing=1, handletextpad=0.5)
    return {"true": true, "first": first, "second": second, "ring": ring, "drop": drop}


def _many(axes):
    axes.set(title="4000 repetitions: what is said", xlim=(LOW, HIGH), ylim=(0, 1.75), xlabel="value; the truth is 0")
    axes.set_yticks([])
    axes.axvline(0, 0, 1 / 1.75, color=PALETTE["black"], linewidth=1.4)
    artists = {}
    for name, (colour, line_style) in LOOKS.items():
        artists[f"{name} bars"], = axes.plot([], [], color=PALETTE[colour], linestyle=LINE_STYLES[line_style],
                                             drawstyle="steps-mid", linewidth=1.3, label=name)
        artists[f"{name} mean"], = axes.plot([], [], color=PALETTE[colour], linestyle=LINE_STYLES[line_style],
                                             linewidth=2.6)
    axes.legend([artists[f"{name} mean"] for name in LOOKS], LOOKS, title="line: exact mean", alignment="left",
                loc="upper left", borderaxespad=0.2, labelspacing=0.3, handlelength=3.2)
    artists["said"] = axes.text(0.985, 0.938, "", transform=axes.transAxes, va="top", ha="right", size=9,
                                linespacing=1.31)
    return artists


def _bias(axes):
    axes.set(title="Exact bias by number of actions", xscale="log", xlim=(0.9, 36), ylim=(-1.35, 2.6),
             xlabel="actions", ylabel="mean − largest true value")
    axes.set_xticks(COUNTS, [str(count) for count in COUNTS])
    axes.minorticks_off()
    axes.axhline(0, color=PALETTE["black"], linewidth=1.4)
    artists = {}
    for name, (colour, line_style) in LOOKS.items():
        artists[f"{name} curve"], = axes.plot([], [], color=PALETTE[colour], linestyle=LINE_STYLES[line_style],
                                              marker=".", label=name)
        artists[f"{name} here"], = axes.plot([], [], "o", color=PALETTE[colour], markersize=9, fillstyle="none")
    axes.legend(loc="upper left", borderaxespad=0.2, labelspacing=0.3)
    return artists


def update(artists: dict, frame) -> list:
    """Move every artist to a new frame; returns those that moved."""
    place = (np.arange(frame.actions) + 0.5) / frame.actions
    half, gap = 0.36 / frame.actions, np.full(frame.actions, np.nan)
    artists["true"].set_data(np.stack([place - half, place + half, gap], 1).ravel(),
                             np.stack([frame.true, frame.true, gap], 1).ravel())
    artists["first"].set_data(place, frame.first)
    artists["second"].set_data(place, frame.second)
    at = place[frame.chosen]
    artists["ring"].set_data([at], [frame.first[frame.chosen]])
    artists["drop"].set_data([at, at], [frame.first[frame.chosen], frame.second[frame.chosen]])
    bars = [np.histogram(drawn, EDGES)[0] for drawn in frame.drawn]
    highest, middles = max(count.max() for count in bars), (EDGES[1:] + EDGES[:-1]) / 2
    for row, name in enumerate(LOOKS):
        artists[f"{name} bars"].set_data(middles, bars[row] / highest)
        artists[f"{name} mean"].set_data([frame.exact[row]] * 2, [0, 1.08])
        artists[f"{name} curve"].set_data(COUNTS, frame.by_actions[row])
        artists[f"{name} here"].set_data([frame.actions], [frame.exact[row]])
    artists["said"].set_text("\n".join(signed(mean) for mean in frame.exact))
    return list(artists.values())


def signed(number: float) -> str:
    """A bias with its sign, to three decimals; rounding errors are 0."""
    text = f"{number:+.3f}".replace("-", "−")
    return "0.000" if text in ("+0.000", "−0.000") else text
