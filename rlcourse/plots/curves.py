"""Figures of curves: one call, named axes, intervals as bands, line styles besides colours."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from .figures import new_figure
from .style import LINE_STYLES, PALETTE, style

_COLOURS = ("blue", "vermilion", "green", "purple", "orange", "sky", "black")


def draw_curves(axes, series: Mapping[str, tuple], *, title: str, xlabel: str, ylabel: str,
                log: str = "", legend: str = "best") -> None:
    """Draw `series` = {label: (x, y)} or {label: (x, y, low, high)} into `axes`.

    `low` and `high` become a band of the line's colour. `log` names the logarithmic axes: "",
    "x", "y" or "xy".
    """
    for number, (label, (x, y, *band)) in enumerate(series.items()):
        colour = PALETTE[_COLOURS[number % len(_COLOURS)]]
        line = list(LINE_STYLES.values())[number % len(LINE_STYLES)]
        axes.plot(x, y, color=colour, linestyle=line, label=label)
        if band:
            axes.fill_between(x, *band, color=colour, alpha=0.2, linewidth=0)
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel)
    if "x" in log:
        axes.set_xscale("log")
        _plain_numbers(axes.xaxis)
    if "y" in log:
        axes.set_yscale("log")
        _plain_numbers(axes.yaxis)
    if legend:
        axes.legend(loc=legend)


def curves(series: Mapping[str, tuple], *, title: str, xlabel: str, ylabel: str, log: str = "",
           size: tuple[float, float] = (7, 3.4)) -> Figure:
    """One panel of curves, as a figure."""
    with style():
        figure = new_figure(size)
        draw_curves(figure.subplots(), series, title=title, xlabel=xlabel, ylabel=ylabel, log=log)
    figure.set_label(_in_words(title, ylabel, xlabel, series))
    return figure


def panels(plots: Sequence[Mapping], *, size: tuple[float, float] = (10, 3.4)) -> Figure:
    """Several panels in a row; every element holds the arguments of `draw_curves`."""
    with style():
        figure = new_figure(size)
        for axes, plot in zip(np.atleast_1d(figure.subplots(1, len(plots))), plots):
            draw_curves(axes, **plot)
    figure.set_label("; ".join(_in_words(plot["title"], plot["ylabel"], plot["xlabel"], plot["series"])
                               for plot in plots))
    return figure


def runs(series: Mapping[str, np.ndarray], *, title: str, xlabel: str, ylabel: str,
         levels: Mapping[str, float] | None = None, size: tuple[float, float] = (9.5, 3.4)) -> Figure:
    """Every run as a thin line and their mean as a thick one, from `series` = {label: [n, runs]}.

    For few runs that differ in kind, of which a mean with an interval would tell the wrong story.
    `levels` = {label: y} are drawn as thin horizontal lines.
    """
    with style():
        figure = new_figure(size)
        axes = figure.subplots()
        for number, (label, table) in enumerate(series.items()):
            colour = PALETTE[_COLOURS[number]]
            line = list(LINE_STYLES.values())[number]
            axes.plot(table, color=colour, linewidth=0.8, alpha=0.55)
            axes.plot(np.mean(table, 1), color=colour, linestyle=line, linewidth=2.6, label=f"{label} (mean)")
        for label, level in (levels or {}).items():
            axes.axhline(level, color=PALETTE["grey"], linestyle=LINE_STYLES["dotted"], label=label)
        axes.set(title=title, xlabel=xlabel, ylabel=ylabel)
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.set_label(_in_words(title, ylabel, xlabel, series))
    return figure


def _plain_numbers(axis) -> None:
    """0.3, 1, 5 instead of 3 × 10⁻¹, 10⁰, 5 × 10⁰ on a logarithmic axis that is short enough for it."""
    low, high = axis.get_view_interval()
    decades = np.log10(high / low)
    if decades < 4:
        axis.set_major_formatter("{x:g}")
        axis.set_minor_locator(LogLocator(subs=(2, 5)))
        axis.set_minor_formatter("{x:g}" if decades < 2.5 else NullFormatter())


def _in_words(title: str, ylabel: str, xlabel: str, series: Mapping) -> str:
    """The alternative text of one panel."""
    return f"{title}: {ylabel} against {xlabel} for {', '.join(series)}"
