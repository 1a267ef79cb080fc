"""A question asked before the picture is shown: to predict first is to notice more."""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape

import ipywidgets as W

from rlcourse.core.check import require
from rlcourse.core.workfolder import keep, recall

_FILE = "predictions.json"


@dataclass(frozen=True)
class Prediction:
    """A question with one right option, and why it is right."""

    question: str
    options: tuple[str, ...]
    answer: str              # the right option
    because: str             # one or two sentences, shown after answering

    def __post_init__(self):
        require(len(self.options) >= 2, "options", "at least two", len(self.options))
        require(self.answer in self.options, "answer", "one of the options", repr(self.answer))


class Asked(W.VBox):
    """The question as radio buttons; `reveal()` is called once, when answered or skipped.

    In the student's folder the answer is kept, and a later run shows it at once.
    """

    def __init__(self, name: str, prediction: Prediction, reveal: Callable[[], None]):
        self._name, self._prediction, self._reveal = name, prediction, reveal
        question = W.HTML(f'<p class="rlc-question">Predict first: {escape(prediction.question)}</p>')
        # index=None: no option is chosen beforehand
        self.radio = W.RadioButtons(options=prediction.options, index=None, layout={"width": "auto"})
        self.skip = W.Button(description="Show without a guess",
                             layout={"width": "auto", "align_self": "flex-start"})
        self.result = W.HTML(layout={"display": "none"})
        super().__init__([question, self.radio, self.skip, self.result])
        self.radio.observe(lambda change: self._answered(change["new"]), "value")
        self.skip.on_click(lambda button: self._finish(None))
        earlier = recall(_FILE).get(name)
        if earlier in prediction.options:
            self._finish(earlier)

    def _answered(self, option: str | None) -> None:
        if option is not None:
            keep(_FILE, **{self._name: option})
            self._finish(option)

    def _finish(self, option: str | None) -> None:
        asked = self._prediction
        said = "You did not guess." if option is None else f"You predicted: {option}."
        mark = "✓ Right." if option == asked.answer else f"The answer: {asked.answer}."
        self.result.value = f"<p><b>{escape(said)} {escape(mark)}</b> {escape(asked.because)}</p>"
        self.result.layout.display = ""
        self.radio.layout.display = self.skip.layout.display = "none"
        self._reveal()
