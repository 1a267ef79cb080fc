"""The page on the whole class that an instructor opens first.

In the order of use: whom to look at by hand, what most got wrong, how the points fell, everybody, and what
the isolation could not prevent.
"""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from unicodedata import normalize

from .cases import NO_FUNCTION, UNANSWERED, Question
from .feedback import mistakes_of, sentence
from .page import link, listed, marked, name, page, safe
from .records import STATUSES, Graded
from .report import Report, count

_STYLE = """\
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(16rem, 1fr)); gap: 1rem 2rem; }
.chart { break-inside: avoid; }
.chart h3 { margin: .4rem 0 .1rem; }
.chart table { width: 100%; font-size: .875rem; }
.chart th, .chart td { border: 0; padding: 0 .4rem 0 0; font-weight: 400; vertical-align: middle; }
.chart td:last-child { width: 100%; }
.bar { display: inline-block; height: .8em; background: var(--bar); border-radius: 1px; margin-right: .4rem;
  vertical-align: middle; }
td.hint { min-width: 11rem; }
summary { cursor: pointer; margin: .6rem 0; }
"""
_MOST_BARS = 12  # of the chart of all points
_EXAMPLES = 3  # students named for each mistake
_NOTES = 3  # of one student
_LINES = 12  # students with notes who are seen at once


def class_page(exercise: str, questions: Sequence[Question], results: Sequence[Graded], gaps: Sequence[str], *,
               links: Mapping[str, str] | None = None) -> str:
    """The HTML page; `links` leads from a student to a feedback page, as a path relative to this one.

    Points are shown of those who have a mark; mistakes are counted wherever questions were asked.
    """
    # Ç beside C, and capitals beside small letters.
    students = sorted(results, key=lambda graded: (normalize("NFKD", graded.student.casefold()), graded.student))
    shown = {graded.student: _student(graded.student, links or {}) for graded in students}
    numbers = [f"{sum(graded.status == status for graded in students)} {status}" for status in STATUSES]
    title = f"Exercise {exercise}: the class"
    body = [f"<header><h1>{safe(title)}</h1>\n<p>{len(students)} submission{'s' * (len(students) != 1)}: "
            f"{', '.join(numbers)}.</p></header>",
            "<h2>To look at by hand</h2>", *_by_hand(questions, students, shown),
            "<h2>The most frequent mistakes</h2>", *_mistakes(questions, students, shown),
            "<h2>Points</h2>", *_points(questions, [graded for graded in students if graded.status == "graded"]),
            "<h2>Everybody</h2>", _everybody(questions, students, shown),
            "<h2>What the isolation could not prevent</h2>",
            listed([safe(sentence(gap)) for gap in gaps]) if gaps else
            "<p>No gap is known of the isolation that was used.</p>"]
    return page(title, "\n".join(body), _STYLE)


def _student(student: str, links: Mapping[str, str]) -> str:
    return link(links[student], name(student)) if student in links else name(student)


def _by_hand(questions: Sequence[Question], students: Sequence[Graded], shown: Mapping[str, str]) -> Iterable[str]:
    """Those without a mark, those in whose notebook something was stopped, and the equal answers."""
    for status, what in (("not graded", "there is no mark, and no zero either"),
                         ("partial", "time ran out, the points are no mark")):
        found = [graded for graded in students if graded.status == status]
        if found:
            yield f"<h3>{status.capitalize()} ({len(found)}): {what}</h3>"
            yield listed([f"{shown[graded.student]}: {safe(sentence(graded.reason), 400)}" for graded in found])
    noted = [graded for graded in students if graded.status == "graded" and (graded.reason or graded.notes)]
    if noted:
        yield f"<h3>Graded, but something happened on the way ({len(noted)})</h3>"
        lines = [f"{shown[graded.student]}: {_happened(graded)}" for graded in noted]
        yield _folded(lines, _LINES, "More of them")
    same = [graded for graded in students if graded.same]
    if same:
        yield from _equal(questions, sorted(same, key=lambda graded: -len(graded.same)), shown)
    if not (same or noted or any(graded.status != "graded" for graded in students)):
        yield "<p>Nobody: every submission was graded, nothing was stopped, no answer equals the solution.</p>"


def _happened(graded: Graded) -> str:
    """What is known besides the points, in a few lines: the feedback page has all of it."""
    said = [text for text in (graded.reason, *graded.notes) if text]
    more = f" And {len(said) - _NOTES} more." if len(said) > _NOTES else ""
    return " ".join(safe(sentence(text), 200) for text in said[:_NOTES]) + more


def _equal(questions: Sequence[Question], same: Sequence[Graded], shown: Mapping[str, str]) -> Iterable[str]:
    """Answers with the syntax tree of the solution: those of many questions first, few folded away."""
    yield f"<h3>Equal to the published solution ({len(same)})</h3>"
    yield ("<p>These answers have the same syntax tree as the published solution. That proves nothing by itself: "
           "short answers coincide naturally, and where many are equal there is likely one obvious way to write "
           "it. Several long answers that are equal are a reason to ask.</p>")
    each = [(question.id, sum(question.id in graded.same for graded in same)) for question in questions]
    yield ("<p>How many students are equal in each question: "
           + ", ".join(f"{safe(id)} {number}" for id, number in each) + ".</p>")
    lines = [f"{shown[graded.student]}: {len(graded.same)} of {len(questions)} ({safe(', '.join(graded.same))})"
             for graded in same]
    many = sum(2 * len(graded.same) >= len(questions) for graded in same)
    yield _folded(lines, many, "In fewer than half of the questions")


def _folded(lines: Sequence[str], most: int, summary: str) -> str:
    """A list of which the lines after the first `most` are folded away."""
    rest = f"<details><summary>{summary} ({len(lines) - most})</summary>{listed(lines[most:])}</details>"
    return (listed(lines[:most]) if most else "") + (rest if len(lines) > most else "")


def _mistakes(questions: Sequence[Question], students: Sequence[Graded],
              shown: Mapping[str, str]) -> Iterable[str]:
    """A table of the hints by how many students got them; those of a single student are folded away."""
    who: dict[tuple[int, str], list[str]] = {}
    place = {question.id: index for index, question in enumerate(questions)}
    for graded in students:
        for report in graded.reports:
            if report.id in place:
                for what in _wrong(report):
                    who.setdefault((place[report.id], what), []).append(graded.student)
    ordered = sorted(who.items(), key=lambda item: (-len(item[1]), item[0]))
    several = [item for item in ordered if len(item[1]) > 1]
    once = [item for item in ordered if len(item[1]) == 1]
    if not ordered:
        yield "<p>None.</p>"
    if several:
        yield _mistake_table(questions, several, shown)
    if once:
        table = _mistake_table(questions, once, shown)
        yield (f"<details{'' if several else ' open'}><summary>Made by one student only ({len(once)})</summary>"
               f"{table}</details>")


def _wrong(report: Report) -> list[str]:
    """The hints that a student got for a question, each once. An answer that was left open is none."""
    if report.message:
        return [sentence(report.message)] if report.message.startswith(NO_FUNCTION) else []
    return list(mistakes_of(report))


def _mistake_table(questions: Sequence[Question], found: Sequence[tuple[tuple[int, str], list[str]]],
                   shown: Mapping[str, str]) -> str:
    rows = []
    for (place, hint), students in found:
        names = ", ".join(shown[student] for student in students[:_EXAMPLES])
        more = ", …" if len(students) > _EXAMPLES else ""
        rows.append(f'<tr><td class="number">{len(students)}</td><td>{safe(questions[place].id)}</td>'
                    f'<td class="hint">{marked(hint) or "(no hint)"}</td><td class="name">{names}{more}</td></tr>')
    return _table(['<th class="number">students</th>', "<th>question</th>", "<th>hint that they got</th>",
                   "<th>for example</th>"], rows, "mistakes")


def _points(questions: Sequence[Question], graded: Sequence[Graded]) -> Iterable[str]:
    """A chart of the total, and one of each question, over the students who have a mark."""
    if not graded:
        yield "<p>Nobody has a mark yet.</p>"
        return
    most = sum(question.points for question in questions)
    totals = [one.earned for one in graded]
    yield (f"<p>Of the {len(graded)} who have a mark: median {median(totals):g}, lowest {min(totals)}, "
           f"highest {max(totals)} of {count(most)}.</p>")
    yield f'<div class="charts">{_chart("All questions", totals, most)}'
    for question in questions:
        reports = [report for one in graded for report in one.reports if report.id == question.id]
        blank = sum(report.message == UNANSWERED for report in reports)
        yield _chart(f"{question.id} · {question.title}", [report.earned for report in reports], question.points,
                     f", left open: {blank}")
    yield "</div>"


def _chart(title: str, earned: Sequence[int], most: int, more: str = "") -> str:
    """Points against the number of students: every number stands in words too."""
    width = -(-(most + 1) // _MOST_BARS)  # points in one bar
    starts = range(0, most + 1, width)
    counts = [sum(start <= points < start + width for points in earned) for start in starts]
    rows = []
    for start, number in zip(starts, counts):
        last = min(start + width - 1, most)
        label = f"{start}" if last == start else f"{start}–{last}"
        bar = f'<span class="bar" style="width: {80 * number / max(counts):.1f}%"></span>' if number else ""
        rows.append(f'<tr><th scope="row" class="number">{label}</th><td>{bar}{number}</td></tr>')
    full = sum(points == most for points in earned)
    return (f'<div class="chart"><h3>{safe(title)}</h3>'
            f'<p class="quiet">full marks: {full} of {len(earned)}{more}</p>'
            '<table><thead class="hidden"><tr><th>points</th><th>students</th></tr></thead>'
            f"<tbody>{''.join(rows)}</tbody></table></div>")


def _everybody(questions: Sequence[Question], students: Sequence[Graded], shown: Mapping[str, str]) -> str:
    head = ["<th>student</th>", *(f'<th class="number">{safe(question.id)}</th>' for question in questions),
            '<th class="number">points</th>', "<th>status</th>"]
    rows = []
    for graded in students:
        earned = {report.id: str(report.earned) for report in graded.reports if report.had_its_turn}
        cells = [earned.get(question.id, "–") for question in questions]
        cells.append(f"<strong>{graded.earned}</strong>" if graded.status == "graded" else
                     f"({graded.earned})" if graded.reports else "–")
        numbers = "".join(f'<td class="number">{cell}</td>' for cell in cells)
        rows.append(f'<tr><th scope="row" class="name">{shown[graded.student]}</th>{numbers}'
                    f"<td>{safe(graded.status)}</td></tr>")
    most = "".join(f'<td class="number">{question.points}</td>' for question in questions)
    total = sum(question.points for question in questions)
    rows.append(f'<tr class="quiet"><th scope="row">full marks</th>{most}<td class="number">{total}</td>'
                "<td></td></tr>")
    return _table(head, rows, "everybody")


def _table(head: Sequence[str], rows: Sequence[str], label: str) -> str:
    """A table that scrolls by itself where the page is narrow, with the keyboard too."""
    return (f'<div class="scroll" role="region" aria-label="{label}" tabindex="0"><table>'
            f"<thead><tr>{''.join(head)}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>")
