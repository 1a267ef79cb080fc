"""What is known of one submission after grading, and the same as JSON."""

import json
from dataclasses import asdict, dataclass

from .report import Report, Result

STATUSES = ("graded", "partial", "not graded")


@dataclass(frozen=True)
class Graded:
    """One student's result.

    `status`: "graded"; "partial" when time ran out before every question was asked; "not graded" when there
    is no mark at all, and `reason` says why (`reports` are empty then). `notes` tell what happened on the
    way, such as a cell that was stopped. `same` are the questions whose answer has exactly the syntax tree
    of the published solution. `digest` identifies everything that the result depends on.
    """

    student: str
    file: str  # below the folder of submissions, with slashes; "" if there is none
    status: str
    reason: str = ""
    reports: tuple[Report, ...] = ()
    notes: tuple[str, ...] = ()
    same: tuple[str, ...] = ()
    digest: str = ""

    @property
    def earned(self) -> int:
        """The points of all questions."""
        return sum(report.earned for report in self.reports)


def to_json(graded: Graded) -> str:
    """A result as text; `from_json` reads it back."""
    return json.dumps(asdict(graded), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def from_json(text: str) -> Graded:
    """A result that was written by `to_json`; `ValueError` if it was not."""
    try:
        fields = json.loads(text)
        reports = tuple(Report(**{**report, "results": tuple(Result(**result) for result in report["results"])})
                        for report in fields.pop("reports"))
        return Graded(**{**fields, "reports": reports, "notes": tuple(fields["notes"]), "same": tuple(fields["same"])})
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a result of grading: {error}") from error
