"""Learning curves of several runs at once: live for `watch`, and still to compare variants.

Every run is a thin line, and a thick one with a band shows what they have in common. The legend says which
estimator and which interval these are: a curve without that cannot be read. For snapshots with `.step`,
`.episode_return` [R] and `.curve`, as the learners of lectures 03 and later yield.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from ..core.check import require
from ..core.seeding import generator
from ..results.curves import Band, interquartile_band, mean_band, steps_and_returns
from .control import picture
from .curves import draw_curves
from .figures import freeze_layout, new_figure
from .style import LINE_STYLES, PALETTE, style

STEPS = "environment steps of each run"
ESTIMATORS = {  # always the same draws: the same curve gives the same picture
    "interquartile mean": lambda values: interquartile_band(values, generator(0, "bands of learning curves")),
    "mean": mean_band,
}
_THRESHOLD = {"color": PALETTE["grey"], "linestyle": LINE_STYLES["dotted"], "linewidth": 1.4}


def learning_curve(title: str, *, total: int, top: float, bottom: float = 0.0, threshold: float | None = 475,
                   ylabel: str = "return", estimator: str = "interquartile mean") -> tuple[Callable, Callable]:
    """(setup, update) for `watch`: the return of every run and their estimate against environment steps.

    total: steps at the end; the axis is as long from the start, and longer only if training goes on beyond
    bottom, top: the ends of the other axis
    threshold: a dotted line at this return, or None
    estimator: "interquartile mean", with a bootstrap interval, or "mean", with Student's
    """
    _require_estimator(estimator)
    require(top > bottom, "top", f"a return above {bottom}, the bottom", top)

    def setup(figure, snapshot) -> dict:
        axes = figure.add_subplot() if not figure.axes else figure.axes[0]
        artists = _curve(axes, snapshot, total, threshold, estimator)
        margin = 0.03 * (top - bottom)
        axes.set_title(title, y=1.0)  # said, because searching for a free place takes a tenth of the time
        axes.set(xlabel=STEPS, ylabel=ylabel, ylim=(bottom - margin, top + margin))
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower left", ncols=3)
        freeze_layout(figure)  # nothing moves later, and placing is half the cost of a picture
        return artists

    return setup, _move_curve


def learning_and_picture(source, title: str, *, run: int = 0, **curve) -> tuple[Callable, Callable]:
    """(setup, update) for `watch`: `learning_curve`, and beside it how the first environment of a run stands.

    The picture shows `source` itself at the moment of the snapshot, in the middle of a rollout, with an agent
    that still explores. A learner from whole episodes leaves its source at fresh starts: nothing to see there.

    source: the `DynamicsSource` that the learner was given
    curve: what `learning_curve` takes
    """
    require(hasattr(source, "state"), "source", "one with states (DynamicsSource)", type(source).__name__)
    require(0 <= run < source.runs, "run", f"a run from 0 to {source.runs - 1}", run)
    setup_curve, update_curve = learning_curve(title, **curve)

    def present() -> np.ndarray:
        return picture(source.dynamics, source.state[run, 0])

    def setup(figure, snapshot) -> dict:
        _, axes = figure.subplots(1, 2, width_ratios=(2.1, 1))
        axes.set_title(f"run {run} at this moment", y=1.0)
        axes.axis("off")
        image = axes.imshow(present())
        return {**setup_curve(figure, snapshot), "picture": image}

    def update(artists, snapshot) -> list:
        artists["picture"].set_data(present())
        return [*update_curve(artists, snapshot), artists["picture"]]

    return setup, update


def describe(snapshot) -> str:
    """The returns of a snapshot in words, for `watch`: "mean return 312 (worst run 190)"."""
    returns = snapshot.episode_return[~snapshot.episode_return.isnan()].tolist()
    runs = len(snapshot.episode_return)
    if not returns:
        return "no episode has ended yet"
    if runs == 1:
        return f"return {returns[0]:,.0f}"
    missing = f", no episode yet in {runs - len(returns)} of {runs}" if len(returns) < runs else ""
    return f"mean return {sum(returns) / len(returns):,.0f} (worst run {min(returns):,.0f}{missing})"


def compare(variants: Mapping[str, Sequence[tuple[int, Tensor]]], title: str, *, threshold: float | None = 475,
            ylabel: str = "return", estimator: str = "interquartile mean",
            size: tuple[float, float] = (8, 3.6)) -> Figure:
    """The curves of several variants, {label: curve}, as a still figure; each with its own steps and its band.

    Errors: ValueError, with the label, for a curve in which some run ended no episode, or with one run.
    """
    _require_estimator(estimator)
    require(len(variants) > 0, "variants", "at least one curve", "none")
    bands = {}
    for label, curve in variants.items():
        steps, values = steps_and_returns(curve)
        require(len(steps) > 0 and len(values) > 1, f"variants[{label!r}]",
                "at least two runs that all ended an episode",
                f"{len(values)} runs, {len(steps)} such checkpoints")
        bands[label] = steps, ESTIMATORS[estimator](values)
    kinds = {band.label for _, band in bands.values()}
    series = {label if len(kinds) == 1 else f"{label}: {band.label}": (steps, band.centre, band.low, band.high)
              for label, (steps, band) in bands.items()}
    with style():
        figure = new_figure(size)
        axes = figure.subplots()
        if threshold is not None:
            axes.axhline(threshold, **_THRESHOLD)
        draw_curves(axes, series, title=f"{title}\n{kinds.pop()}" if len(kinds) == 1 else title, xlabel=STEPS,
                    ylabel=ylabel, legend="")
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.set_xlim(left=0)
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.set_label(f"{title}: {ylabel} against {STEPS} for {', '.join(series)}")
    return figure


def _require_estimator(estimator: str) -> None:
    require(estimator in ESTIMATORS, "estimator", f"one of {list(ESTIMATORS)}", repr(estimator))


def _curve(axes, snapshot, total, threshold, estimator) -> dict:
    """The empty artists of a live curve."""
    runs = len(snapshot.episode_return)
    if threshold is not None:
        axes.axhline(threshold, **_THRESHOLD, label=f"{threshold:g}, the threshold")
    lines = axes.plot(np.empty((0, runs)), np.empty((0, runs)), color=PALETTE["sky"], linewidth=0.8, alpha=0.8)
    lines[0].set_label("one run")
    # Of one run there is no interval; its line alone is shown.
    label = ESTIMATORS[estimator](np.zeros((runs, 1))).label if runs > 1 else None
    band = axes.fill_between([0.0], [0.0], [0.0], color=PALETTE["blue"], alpha=0.25, linewidth=0)
    centre, = axes.plot([], [], color=PALETTE["blue"], linewidth=2.4, label=label)
    # Learners take whole rollouts: the last step may lie a little behind the total.
    axes.set_xlim(0, 1.02 * total)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.locator_params(axis="x", nbins=4)  # text is most of the cost of a picture
    axes.locator_params(axis="y", nbins=6)
    return {"axes": axes, "runs": lines, "centre": centre, "band": band, "estimate": ESTIMATORS[estimator],
            "known": Band(*np.empty((3, 0)), label or "")}


def _move_curve(artists, snapshot) -> list:
    """Draw the whole of `snapshot.curve`; the band is computed for new checkpoints only, which is quick."""
    steps = np.array([step for step, _ in snapshot.curve])
    table = np.stack([value.detach().cpu().numpy() for _, value in snapshot.curve], -1)  # [R, C]
    for line, row in zip(artists["runs"], table):
        line.set_data(steps, row)
    if len(table) > 1:
        steps, values = steps_and_returns(snapshot.curve)
        known = artists["known"]
        if values.shape[1] > len(known.centre):
            new = artists["estimate"](values[:, len(known.centre):])
            parts = zip((known.centre, known.low, known.high), (new.centre, new.low, new.high))
            artists["known"] = known = Band(*map(np.concatenate, parts), known.label)
        artists["centre"].set_data(steps, known.centre)
        outline = np.concatenate([np.stack([steps, known.low], -1), np.stack([steps, known.high], -1)[::-1]])
        artists["band"].set_verts([outline] if len(outline) else [])
    if snapshot.step > artists["axes"].get_xlim()[1]:
        artists["axes"].set_xlim(0, 1.5 * snapshot.step)
    return [*artists["runs"], artists["centre"], artists["band"]]

