"""What a widget lets the student change: sliders over explicit values, and choices."""

from dataclasses import dataclass

from rlcourse.core.check import require


@dataclass(frozen=True)
class Slider:
    """A number picked from an explicit tuple of allowed values, in increasing order.

    Explicit values keep the corners of the range testable, finished pictures few enough to
    remember, and the numbers round.
    """

    name: str                # keyword of `compute`
    label: str               # what the student reads
    values: tuple            # allowed values, in increasing order
    start: float             # value at the beginning and after a reset
    format: str = "{:g}"     # how a value is written beside the slider

    def __post_init__(self):
        require(len(self.values) >= 2, f"values of {self.name}", "at least two values", len(self.values))
        rising = all(low < high for low, high in zip(self.values, self.values[1:]))
        require(rising, f"values of {self.name}", "increasing numbers", self.values)
        require(self.start in self.values, f"start of {self.name}", "one of its values", self.start)

    @property
    def corners(self) -> tuple:
        """The two ends of the range."""
        return self.values[0], self.values[-1]


@dataclass(frozen=True)
class Choice:
    """One of a few words."""

    name: str                    # keyword of `compute`
    label: str                   # what the student reads
    options: tuple[str, ...]     # the words, as shown and as passed to `compute`
    start: str                   # word at the beginning and after a reset

    def __post_init__(self):
        require(len(self.options) >= 2, f"options of {self.name}", "at least two words", len(self.options))
        once = len(set(self.options)) == len(self.options)
        require(once, f"options of {self.name}", "each word once", self.options)
        require(self.start in self.options, f"start of {self.name}", "one of its options", repr(self.start))

    @property
    def values(self) -> tuple[str, ...]:
        """The allowed values, under the same name as a slider's."""
        return self.options

    @property
    def corners(self) -> tuple[str, ...]:
        """Every option: words have no ends."""
        return self.options


def starting_values(controls: tuple[Slider | Choice, ...]) -> dict:
    """The keywords of `compute` at the start: {name: start}."""
    names = [control.name for control in controls]
    require(len(set(names)) == len(names), "controls", "each name once", names)
    return {control.name: control.start for control in controls}
