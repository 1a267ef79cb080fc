"""The core ipywidgets control for each Slider and Choice."""

import ipywidgets as W

from rlcourse.widgets.models.controls import Choice, Slider

_CHARACTER = 7.0          # width of an average character of JupyterLab's interface font, in pixels
_LONGEST_BUTTONS = 36     # characters of all options together that fit as buttons in one row


def make_input(control: Slider | Choice, label_width: int) -> W.ValueWidget:
    """A slider for a Slider; buttons (few and short) or a menu for a Choice. All work by keyboard."""
    style = {"description_width": f"{label_width}px"}
    if isinstance(control, Slider):
        options = [(control.format.format(value), value) for value in control.values]
        return W.SelectionSlider(options=options, value=control.start, description=control.label,
                                 style=style, continuous_update=True)
    kind = W.ToggleButtons if sum(map(len, control.options)) <= _LONGEST_BUTTONS else W.Dropdown
    return kind(options=control.options, value=control.start, description=control.label, style=style)


def make_inputs(controls: tuple[Slider | Choice, ...]) -> tuple[dict[str, W.ValueWidget], W.Box]:
    """All controls by name, and the box that shows them in aligned columns."""
    label_width = round(_CHARACTER * max(len(control.label) for control in controls)) + 8
    inputs = {control.name: make_input(control, label_width) for control in controls}
    box = W.Box(list(inputs.values())).add_class("rlc-controls")
    column = label_width + 220
    box.layout.grid_template_columns = f"repeat(auto-fit, minmax(min({column}px, 100%), 1fr))"
    return inputs, box


def frozen_input(control: Slider | Choice, values: tuple) -> W.SelectionSlider:
    """The slider that picks one of the pictures made beforehand; `index` is what counts."""
    write = control.format.format if isinstance(control, Slider) else str
    width = round(_CHARACTER * len(control.label)) + 8
    return W.SelectionSlider(options=[(write(value), value) for value in values], description=control.label,
                             style={"description_width": f"{width}px"}, layout={"width": "480px"})
