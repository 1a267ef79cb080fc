"""How the widgets look: one small style sheet and the HTML of their texts."""

from html import escape

import ipywidgets as W
from traitlets import Unicode

# Jupyter's own variables, so that texts and frames follow a light or a dark theme; the fallbacks
# serve pages without Jupyter.
CSS = """
.rlc-card { padding: 10px 14px 12px; box-sizing: border-box; overflow: hidden;
  border: 1px solid var(--jp-border-color2, #ddd); border-radius: 6px; }
.rlc-card .widget-html, .rlc-card .widget-html-content { height: auto; line-height: 1.45;
  color: var(--jp-ui-font-color1, #1b1b1b); }
.rlc-controls { display: grid; gap: 2px 28px; align-items: center; overflow: hidden; }
.rlc-controls > * { width: auto !important; margin: 2px 0; }
.rlc-controls .widget-label, .rlc-card .widget-radio-box label { color: var(--jp-ui-font-color1, #1b1b1b); }
.rlc-controls .widget-readout { min-width: 58px; text-align: right;
  font-variant-numeric: tabular-nums; }
.rlc-controls .widget-label { text-align: left; }
.rlc-card .widget-toggle-buttons, .rlc-device .widget-toggle-buttons { display: flex; align-items: center; }
.rlc-card .widget-toggle-button, .rlc-device .widget-toggle-button { width: auto; padding: 0 10px; }
.rlc-card .widget-toggle-button.mod-active, .rlc-device .widget-toggle-button.mod-active {
  background: var(--jp-brand-color1, #1976d2); color: white; box-shadow: none; }
.rlc-card .noUi-handle:focus-visible { outline: 2px solid var(--jp-brand-color1, #1976d2); }
.rlc-picture { max-width: 100%; height: auto !important; align-self: flex-start; border-radius: 4px;
  background: white; margin: 6px 0 2px; }
.rlc-caption { font-size: 0.95em; font-variant-numeric: tabular-nums;
  color: var(--jp-ui-font-color1, #1b1b1b); }
.rlc-caption p, .rlc-error p { margin: 0; }
.rlc-error { color: var(--jp-ui-font-color1, #1b1b1b); border-left: 4px solid #d55e00;
  padding: 4px 10px; margin: 6px 0; }
.rlc-error pre { font-size: 0.85em; white-space: pre-wrap; margin: 4px 0 0; }
.rlc-try ol { margin: 2px 0 0; padding-left: 1.5em; }
.rlc-try li { margin: 2px 0; }
.rlc-try summary, .rlc-error summary { cursor: pointer; }
.rlc-question { font-weight: 600; margin: 0; }
.rlc-card .widget-radio-box { margin: 0; }
.rlc-card .widget-radio { width: auto; }
.rlc-card .widget-radio-box label { width: auto; height: auto; line-height: 1.5; white-space: normal; }
"""


class DescribedImage(W.Image):
    """A picture whose `tooltip` is its text alternative: the `title` of the page's <img>.

    The core Image has no alternative text, and ipywidgets 8.1's page side shows a tooltip only on
    widgets that have a description, were it empty; without one it fails to show the picture.
    """

    description = Unicode("").tag(sync=True)

    def __init__(self, **traits):
        super().__init__(**traits)
        self.add_class("rlc-picture")


def style_sheet() -> str:
    """The style sheet as HTML, to stand once in each widget."""
    return f"<style>{CSS}</style>"


def caption(text: str) -> str:
    """The visible line under a picture; screen readers speak it when it changes."""
    return f'<div class="rlc-caption" role="status" aria-live="polite"><p>{escape(text)}</p></div>'


def try_this(sentences: tuple[str, ...]) -> str:
    """The numbered suggestions under a widget; formulas in dollars are left to the page."""
    items = "".join(f"<li>{escape(sentence, quote=False)}</li>" for sentence in sentences)
    return f'<details class="rlc-try" open><summary><b>Try this</b></summary><ol>{items}</ol></details>'


def error_line(error: BaseException, trace: str) -> str:
    """One line for the reader, the whole trace behind a fold."""
    name, text = type(error).__name__, escape(str(error).rstrip("."))
    return (f'<div class="rlc-error" role="alert"><p>⚠ <b>{name}</b>: {text}. '
            "The picture still shows the last values that worked.</p>"
            f"<details><summary>Where it happened</summary><pre>{escape(trace)}</pre></details></div>")
