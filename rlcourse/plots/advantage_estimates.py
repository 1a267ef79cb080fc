"""The picture of the advantage-estimates widget: bias and noise against λ, the gradient's error, and a cloud."""

import numpy as np

from .style import LINE_STYLES, PALETTE

LAMBDA_TICKS = {0.0: 1, 0.5: 2, 0.8: 5, 0.9: 10, 0.95: 20, 0.98: 50, 1.0: "∞"}  # λ, and the n that belongs to it
SIZE_TICKS = {0.03: "0.03", 0.1: "0.1", 0.3: "0.3", 1.0: "1", 3.0: "3", 10.0: "10"}
ERROR_TICKS = {0.1: "10 %", 0.3: "30 %", 1.0: "100 %", 3.0: "3 ×", 10.0: "10 ×"}
SMALLEST_SIZE = 1e-9  # below it is rounding, and a logarithm has no place for 0
REACH = 16.0  # half the width of the cloud's window
ACTIONS = ("back", "forward")
N_STEP = {"marker": ".", "markersize": 4, "linewidth": 0.9}  # the curves of n-step estimates: n is a whole number


def setup(figure, frame) -> dict:
    """Build the three panels with limits that fit every setting; returns the artists."""
    sizes, errors, cloud = figure.subplots(1, 3, width_ratios=(1, 1, 0.95))
    places = frame.gae.place[np.searchsorted(frame.gae.gae_lambda, list(LAMBDA_TICKS))]
    for axes in (sizes, errors):
        axes.set_yscale("log")
        axes.set_xticks(places, [f"{x:g}\n{n}" for x, n in LAMBDA_TICKS.items()])
        axes.set(xlim=(-0.2, places[-1] + 0.2), xlabel="λ, and below it n = 1/(1 − λ)")
        axes.minorticks_off()
    artists = {**_sizes(sizes), **_errors(errors), **_cloud(cloud)}
    dashes = {"color": PALETTE["grey"], "linestyle": LINE_STYLES["dashed"], "linewidth": 1, "zorder": 1}
    artists["chosen"] = [axes.axvline(0, 0, high, **dashes) for axes, high in ((sizes, 0.74), (errors, 0.74))]
    return artists


def _sizes(axes):
    axes.set(title="One estimate: noise and bias", ylim=(0.02, 130), ylabel="1: the typical size of A")
    axes.set_yticks(list(SIZE_TICKS), list(SIZE_TICKS.values()))
    lines = {}
    for name, colour, style, label in (("noise", "blue", "solid", "noise (standard deviation)"),
                                       ("between", "purple", "long", "bias between the actions")):
        lines[f"{name} n"], = axes.plot([], [], color=PALETTE[colour], **N_STEP)
        lines[name], = axes.plot([], [], color=PALETTE[colour], linestyle=LINE_STYLES[style], label=label)
    lines["common"], = axes.plot([], [], color=PALETTE["green"], linestyle=LINE_STYLES["dotted"],
                                 label="bias common to them")
    n_step, = axes.plot([], [], color=PALETTE["black"], label="thin: n steps, not GAE", **N_STEP)
    axes.legend(handles=[lines["noise"], lines["between"], lines["common"], n_step], loc="upper left",
                borderaxespad=0.2, labelspacing=0.3)
    return lines


def _errors(axes):
    axes.set(title="Gradient from N steps: relative error", ylim=(0.04, 130))
    axes.set_yticks(list(ERROR_TICKS), list(ERROR_TICKS.values()))
    floor, = axes.plot([], [], color=PALETTE["purple"], linestyle=LINE_STYLES["long"],
                       label="bias of GAE, at any N")
    cut, = axes.plot([], [], color=PALETTE["black"], label="n steps", **N_STEP)
    mixed, = axes.plot([], [], color=PALETTE["black"], label="GAE")
    best_cut, = axes.plot([], [], "D", color=PALETTE["black"], markersize=6)
    best, = axes.plot([], [], "o", color=PALETTE["black"], markersize=7)
    here, = axes.plot([], [], "o", color=PALETTE["black"], markersize=9, fillstyle="none", markeredgewidth=1.4)
    axes.legend(handles=(mixed, cut, floor), loc="upper left", borderaxespad=0.2, labelspacing=0.3)
    reading = axes.text(0.97, 0.985, "", transform=axes.transAxes, va="top", ha="right")
    return {"floor": floor, "cut": cut, "mixed": mixed, "best cut": best_cut, "best": best, "here": here,
            "reading": reading}


def _cloud(axes):
    axes.set(title="Cell 6, after either action", xlim=(-REACH, REACH), ylim=(-0.95, 2.35),
             xlabel="GAE estimate; 1: the typical size of A")
    axes.set_yticks((0, 1), ACTIONS)
    axes.tick_params(axis="y", labelrotation=90)
    for label in axes.get_yticklabels():
        label.set_va("center")
    axes.grid(False, axis="y")
    axes.axvline(0, 0, 0.74, color=PALETTE["light"], linewidth=1)
    dots = [axes.plot([], [], "o", color=PALETTE["sky"], markersize=3, markeredgewidth=0, alpha=0.6)[0]
            for _ in ACTIONS]
    exact, = axes.plot([], [], color=PALETTE["vermilion"], linewidth=2.4, label="exact A")
    bar, = axes.plot([], [], color=PALETTE["black"], linewidth=1.4)
    mean, = axes.plot([], [], "x", color=PALETTE["black"], markersize=8, markeredgewidth=2,
                      label="mean of the estimate, ± 1 std")
    dots[0].set_label("single estimates")
    axes.legend(handles=(dots[0], exact, mean), loc="upper left", borderaxespad=0.2, labelspacing=0.3)
    reading = axes.text(0.03, 0.015, "", transform=axes.transAxes, va="bottom")
    return {"dots": dots, "exact": exact, "bar": bar, "mean": mean, "gap": reading}


def update(artists: dict, frame) -> list:
    """Move every artist to a new frame; returns those that moved."""
    mixed, cut, at = frame.gae, frame.n_step, frame.chosen
    for name in ("noise", "between"):
        _line(artists[name], mixed.place, getattr(mixed, name))
        _line(artists[f"{name} n"], cut.place, getattr(cut, name))
    _line(artists["common"], mixed.place, mixed.common)
    _line(artists["floor"], mixed.place, mixed.gradient_bias)
    _line(artists["cut"], cut.place, frame.n_step_error)
    _line(artists["mixed"], mixed.place, frame.gae_error)
    lowest, lowest_cut = frame.gae_error.argmin(), frame.n_step_error.argmin()
    artists["best"].set_data([mixed.place[lowest]], [frame.gae_error[lowest]])
    artists["best cut"].set_data([cut.place[lowest_cut]], [frame.n_step_error[lowest_cut]])
    artists["here"].set_data([mixed.place[at]], [frame.gae_error[at]])
    artists["reading"].set_text(f"here {percent(frame.gae_error[at])}\nleast {percent(frame.gae_error[lowest])}")
    for line in artists["chosen"]:
        line.set_xdata([mixed.place[at]] * 2)
    _move_cloud(artists, frame)
    single = [artist for artist in artists.values() if not isinstance(artist, list)]
    return [*artists["chosen"], *artists["dots"], *single]


def _move_cloud(artists, frame):
    count = frame.estimates.shape[1]
    height = 0.6 * (np.arange(count) * 0.618034 % 1 - 0.5)  # evenly filled, the same for ever
    gap = [np.nan]
    for row, dots in enumerate(artists["dots"]):
        dots.set_data(frame.estimates[row], row + height)
    rows = np.arange(2)
    artists["exact"].set_data(np.r_[[frame.exact[0]] * 2, gap, [frame.exact[1]] * 2],
                              np.r_[-0.42, 0.42, gap, 0.58, 1.42])
    low, high = frame.mean - frame.deviation, frame.mean + frame.deviation
    artists["bar"].set_data(np.r_[low[0], high[0], gap, low[1], high[1]], np.r_[0, 0, gap, 1, 1])
    artists["mean"].set_data(frame.mean, rows)
    outside = int((np.abs(frame.estimates) > REACH).sum())
    gap, exact_gap = (f"{ends[1] - ends[0]:z.2f}".replace("-", "−") for ends in (frame.mean, frame.exact))
    artists["gap"].set_text(f"gap of the means {gap}, exact {exact_gap}"
                            + (f"\nnot shown, too far: {outside}" if outside else "\n"))


def _line(line, place, size):
    """A line that ends where the size is zero."""
    shown = size > SMALLEST_SIZE
    line.set_data(place[shown], size[shown])


def percent(error: float) -> str:
    """A relative error in words: per cent, or times."""
    return f"{100 * error:.3g} %" if error < 1 else f"{error:.3g} ×"
