"""What a student sees of a check: a few lines of text, the same as a small table in a notebook.

Nothing in it changes from run to run (no times, no addresses), so that stored notebooks can be
compared. Marks are signs besides words, never colours alone.
"""

import re
from dataclasses import dataclass
from html import escape

OTHER_NUMBERS = "Right on the numbers shown, wrong on others."  # begins the hint of a seeded case
NOT_MARKED = "not marked"  # begins the message of a question that never had its turn
_STRESSED = re.compile(r"(?<!\w)\*(\w(?:[^*\n]{0,80}\w)?)\*(?!\w)")  # *one* or *several words*, no product
SIGNS = {"passed": "✓", "failed": "✗", "waiting": "·", "open": "·"}


@dataclass(frozen=True)
class Result:
    """One case: `status` is "passed", "failed", "waiting" (for the value cases) or "open" (no answer yet).

    Of a failed case: the `hint`, the call that was made (`asked`) and what came of it (`shown`).
    """

    title: str
    points: int
    status: str
    hint: str = ""
    asked: str = ""
    shown: str = ""

    @property
    def passed(self) -> bool:
        return self.status == "passed"

    @property
    def on_others(self) -> bool:
        """Whether it is only with other numbers than those shown that the answer is wrong."""
        return self.hint.startswith(OTHER_NUMBERS)

    @property
    def mistake(self) -> str:
        """The hint alone, without the words about numbers: equal for cases that fail for one reason."""
        return self.hint.removeprefix(OTHER_NUMBERS).strip()


@dataclass(frozen=True, repr=False)
class Report:
    """All cases of one question. `message` stands in their place while there is nothing to check."""

    id: str
    title: str
    results: tuple[Result, ...]
    message: str = ""

    @property
    def points(self) -> int:
        """What a full answer earns."""
        return sum(result.points for result in self.results)

    @property
    def earned(self) -> int:
        """What this answer earns."""
        return sum(result.points for result in self.results if result.passed)

    @property
    def had_its_turn(self) -> bool:
        """Whether the question was asked at all: if not, its points are unknown rather than lost."""
        return not self.message.startswith(NOT_MARKED)

    @property
    def full(self) -> bool:
        """Whether every case passed."""
        return all(result.passed for result in self.results)

    @property
    def heading(self) -> str:
        """One line: the question and its points, or what is missing."""
        earned = f"{self.earned} of {count(self.points)}" + (", all right" if self.full else "")
        return f"{self.id} {self.title}: {self.message or earned}"

    def __repr__(self) -> str:
        if self.message:
            return self.heading
        lines = [self.heading]
        for result, news in self._news():
            lines.append(f"  {SIGNS[result.status]} {_line(result)}")
            lines += [f"      {text}" for text in (result.hint, result.asked, result.shown) if text and news]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        heading = f"<strong>{escape(self.heading)}</strong>"
        if self.message:
            return f"<p>{heading}</p>"
        rows = []
        for result, news in self._news():
            parts = [escape(_line(result))]
            if news and result.hint:
                parts.append(f"<em>{marked(result.hint)}</em>")
            if news:
                parts += [f"<code>{escape(part)}</code>" for part in (result.asked, result.shown) if part]
            rows.append(_row(f"<strong>{SIGNS[result.status]}</strong>", "<br>".join(parts)))
        return f"<p>{heading}</p><table>{''.join(rows)}</table>"

    def _news(self) -> list[tuple[Result, bool]]:
        """Each result, and whether its hint is new: one mistake is explained once, on its smallest case."""
        hints = [result.hint for result in self.results]
        return [(result, result.hint not in hints[:index]) for index, result in enumerate(self.results)]


@dataclass(frozen=True, repr=False)
class Score:
    """The questions of an exercise with what they earn so far.

    Rows of (id, title, topic, minutes, report).
    """

    name: str
    rows: tuple[tuple[str, str, str, int, Report], ...]

    @property
    def points(self) -> int:
        """What the whole exercise is worth."""
        return sum(report.points for *_, report in self.rows)

    @property
    def earned(self) -> int:
        """What is earned so far."""
        return sum(report.earned for *_, report in self.rows)

    @property
    def total(self) -> str:
        """One line: the sum."""
        return f"{self.name}: {self.earned} of {count(self.points)}"

    def __repr__(self) -> str:
        lines = [f"  {_sign(report)} {id} {title} ({topic}, {minutes} min): "
                 f"{report.earned} of {report.points}" for id, title, topic, minutes, report in self.rows]
        return "\n".join([self.total, *lines])

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{text}</th>" for text in ("", "question", "topic", "minutes", "points"))
        rows = "".join(_row(f"<strong>{_sign(report)}</strong>", f"{escape(id)} {escape(title)}",
                            escape(topic), str(minutes), f"{report.earned} of {report.points}")
                       for id, title, topic, minutes, report in self.rows)
        return f"<p><strong>{escape(self.total)}</strong></p><table><tr>{head}</tr>{rows}</table>"


def count(points: int) -> str:
    """1 point, 2 points."""
    return f"{points} point" + ("" if points == 1 else "s")


def marked(text: str) -> str:
    """Escaped text in which `…` becomes code and *…* is stressed."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if index % 2 else _STRESSED.sub(r"<em>\1</em>", part)
                   for index, part in enumerate(parts))


def _line(result: Result) -> str:
    waiting = ", waits for the cases above" if result.status == "waiting" else ""
    return f"{result.title} ({count(result.points)}){waiting}"


def _sign(report: Report) -> str:
    return SIGNS["passed" if report.full else "open" if report.message else "failed"]


def _row(*cells: str) -> str:
    return "<tr>" + "".join(f'<td style="text-align: left">{cell}</td>' for cell in cells) + "</tr>"
