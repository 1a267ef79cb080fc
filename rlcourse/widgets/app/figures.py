"""Figures made without pyplot, shown in notebooks."""

from IPython import get_ipython

from rlcourse.plots.figures import figure_png, page_size, still_png


def show_figures_as_png() -> None:
    """Let a Figure at the end of a cell appear as a picture; its label is the alternative text.

    `figure.set_label("…")` says in words what the picture shows. Outside a notebook: nothing to do.
    """
    shell = get_ipython()
    if shell is not None:
        formatter = shell.display_formatter.formatters["image/png"]
        formatter.for_type_by_name("matplotlib.figure", "Figure", _bundle)


def round_shown_floats() -> None:
    """Show a bare float at the end of a cell with six significant digits."""
    shell = get_ipython()
    if shell is not None:
        shell.display_formatter.formatters["text/plain"].float_precision = "%.6g"


def _bundle(figure) -> tuple[bytes, dict]:
    width, height = page_size(figure)
    label = {"alt": figure.get_label()} if figure.get_label() else {}
    return still_png(figure_png(figure)), {"width": width, "height": height, **label}
