"""`grades.csv`: one row for each student, and two columns that belong to the instructor.

What was typed into `by_hand` and `comment` is carried over when the table is written again, by student. Cells
that a spreadsheet would take for a formula get a ' in front. Spreadsheets save with commas, semicolons or tabs.
"""

import csv
import hashlib
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .cases import Question
from .records import Graded

BY_HAND = ("by_hand", "comment")
_FORMULA = re.compile(r"(^|[;,\t\r\n])(?=[=+\-@\t\r＝＋－＠])")  # also behind what another program may split at


@dataclass(frozen=True)
class Earlier:
    """What an existing table holds: the instructor's two cells by student, and the digest of all others."""

    by_hand: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    digest: str = ""


def table_rows(exercise: str, questions: Sequence[Question], results: Sequence[Graded]) -> list[dict[str, str]]:
    """The rows of the table without the instructor's columns. Where there is no mark, there is no number."""
    return [_row(exercise, questions, graded) for graded in results]


def table_text(rows: Sequence[Mapping[str, str]], by_hand: Mapping[str, tuple[str, ...]]) -> bytes:
    """The file: UTF-8 with the mark that tells spreadsheets so."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([*rows[0], *BY_HAND])
    writer.writerows([*row.values(), *by_hand.get(row["student"], ("", ""))] for row in rows)
    return text.getvalue().encode("utf-8-sig")


def table_digest(rows: Sequence[Mapping[str, str]]) -> str:
    """Identifies the cells of a table, whatever the order of its rows, the instructor's columns apart."""
    cells = sorted([column, value] for row in rows for column, value in _named(row))
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()


def read_table(content: bytes) -> Earlier:
    """An existing table, as it was written here or saved again by a spreadsheet; empty if it is neither."""
    try:
        text = content.decode("utf-8-sig")
        head = text.split("\n", 1)[0]
        separator = max(",;\t", key=head.count)
        rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=separator))
    except (UnicodeDecodeError, csv.Error):
        return Earlier()
    if not rows or "student" not in rows[0]:
        return Earlier()
    by_hand = {row["student"]: tuple(row.get(column) or "" for column in BY_HAND) for row in rows}
    others = [{column: value for column, value in row.items() if column not in BY_HAND} for row in rows]
    return Earlier({student: cells for student, cells in by_hand.items() if any(cells)}, table_digest(others))


def cell(text: str) -> str:
    """Text for a cell: never the beginning of a formula, and nothing that no file can hold."""
    return _FORMULA.sub(r"\1'", text.encode("utf-8", "backslashreplace").decode("utf-8"))


def _row(exercise: str, questions: Sequence[Question], graded: Graded) -> dict[str, str]:
    earned = {report.id: str(report.earned) for report in graded.reports
              if not report.message.startswith("not marked")}
    marked = graded.status != "not graded"
    return {"student": cell(graded.student), "file": cell(graded.file), "exercise": exercise,
            **{question.id: earned.get(question.id, "") if marked else "" for question in questions},
            "points": str(graded.earned) if marked else "",
            "of": str(sum(question.points for question in questions)),
            "status": graded.status, "reason": cell(graded.reason), "same_as_solution": " ".join(graded.same)}


def _named(row: Mapping[str, str]) -> list[tuple[str, str]]:
    """The cells of a row, each with its student and column in front."""
    return [(f"{row['student']}\0{column}", str(value)) for column, value in row.items()]
