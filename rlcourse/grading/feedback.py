"""The page that one student gets back: what is right, what is not, and what to look at.

Each mistake is explained once, with its smallest example. Of cases with hidden numbers the page tells the
hint alone, and of `Graded.same` nothing: that is for the instructor's eyes.
"""

from collections.abc import Iterator, Sequence

from .cases import Question
from .page import code, listed, marked, name, page, safe, sign
from .records import Graded
from .report import Report, Result, count

_STYLE = """\
.heading { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 1rem; }
.heading .number { font-weight: 400; }
.cases { list-style: none; padding: 0; max-width: 40rem; }
.cases li { display: flex; gap: .6rem; border-bottom: 1px solid var(--line); padding: .15rem 0; }
.cases li > :first-child { width: 1em; text-align: center; }
.cases li > span:nth-of-type(2) { flex: 1; }
dl { margin: .5rem 0 0; }
dt { color: var(--quiet); font-size: .875rem; }
dd { margin: 0 0 .4rem; }
dl.short { display: grid; grid-template-columns: max-content 1fr; gap: 0 .9rem; align-items: baseline; }
dl.short dd { margin: 0; }
"""

_HOW = """\
<h2>How this was marked</h2>
<p>Your notebook was run from top to bottom on a fresh start, and then your functions were called, by their
names. First come the cases that <code>ex.check</code> shows you in the notebook; each of them is then tried
again with other numbers, which stay hidden. A case counts only if it is right on all of them, so an answer
must work in general and not just on the examples.</p>
<p>Cases that wait (·) test a property, which is worth something only once the values are right. A hint names
the mistake that fits best; there can be another behind it. The topic index on the start page of the course
says where a topic is told.</p>
<p>If you think that an answer was marked unfairly, show this page to your instructor.</p>"""


def feedback_page(exercise: str, questions: Sequence[Question], graded: Graded) -> str:
    """The HTML page for one student; the same result gives the same page."""
    reports = {report.id: report for report in graded.reports if report.had_its_turn}
    points = sum(question.points for question in questions)
    parts = [f"<header><h1>Exercise {safe(exercise)}</h1>\n<p>{name(graded.student)}"
             + (f' <span class="quiet">· {safe(graded.file)}</span>' if graded.file else "") + "</p></header>"]
    if graded.status == "not graded":
        parts.append(_not_graded(graded))
        total = "not graded"
    else:
        total = f"{graded.earned} of {count(points)}"
        parts += [_partial(graded, total) if graded.status == "partial" else _total(graded, total),
                  _overview(questions, reports)]
    if graded.notes:
        parts += ["<h2>What happened while your notebook ran</h2>",
                  listed([safe(sentence(note)) for note in graded.notes])]
    if graded.status != "not graded":
        parts += [_question(question, reports.get(question.id)) for question in questions]
        parts.append(_HOW)
    return page(f"{exercise}: {total}, {graded.student}", "\n".join(parts), _STYLE)


def _total(graded: Graded, total: str) -> str:
    said = f'<p class="quiet">{safe(sentence(graded.reason))}</p>' if graded.reason else ""
    return f'<p class="big"><strong>{total}</strong></p>{said}'


def _not_graded(graded: Graded) -> str:
    return ('<div class="box"><p class="big"><strong>Not graded</strong></p>'
            f"<p>{safe(sentence(graded.reason))}</p>"
            "<p>This is no mark, and it does not mean zero points: your answers could not be put to the test. "
            "Please talk to your instructor, and bring this page and your notebook.</p></div>")


def _partial(graded: Graded, total: str) -> str:
    return (f'<div class="box"><p class="big"><strong>Partial: no mark yet</strong></p>'
            f"<p>{safe(sentence(graded.reason))}</p>"
            f"<p>The {total} below count what was seen until then; they are no mark. Please talk to your "
            "instructor, and bring this page and your notebook.</p></div>")


def _overview(questions: Sequence[Question], reports: dict[str, Report]) -> str:
    """One sentence, and a table of the questions with links to what is said about each."""
    right = sum(question.id in reports and reports[question.id].full for question in questions)
    told = ("Every question is right. Well done!" if right == len(questions) else
                f"{right} of {len(questions)} questions all right; what to look at in the others stands below."
                if right else "No question is all right yet; what to look at stands below.")
    rows = "".join(f'<tr><td>{sign(_status(reports.get(question.id)))}</td>'
                   f'<td><a href="#{safe(question.id)}">{safe(question.id)} · {safe(question.title)}</a></td>'
                   f"<td>{safe(question.topic)}</td>"
                   f'<td class="number">{_points(question, reports.get(question.id))}</td></tr>'
                   for question in questions)
    return (f"<p>{told}</p>\n<table><thead><tr><th><span class=\"hidden\">result</span></th>"
            '<th>question</th><th>topic</th><th class="number">points</th></tr></thead>'
            f"<tbody>{rows}</tbody></table>")


def _question(question: Question, report: Report | None) -> str:
    """One question: its cases, then each mistake with an example."""
    points = f"{_points(question, report)} points" if report else "not asked"
    heading = (f'<h2 id="{safe(question.id)}" class="heading"><span>{sign(_status(report))} {safe(question.id)} · '
               f'{safe(question.title)}</span> <span class="number">{points}</span></h2>')
    if report is None:
        return f"<section>{heading}<p>Marking stopped before this question had its turn.</p></section>"
    if report.message:
        return f"<section>{heading}<p>{marked(sentence(report.message))}</p></section>"
    cases = "".join(f"<li>{_case(result)}</li>" for result in report.results)
    mistakes = "".join(_mistake(results) for results in mistakes_of(report).values())
    return f'<section>{heading}\n<ul class="cases">{cases}</ul>\n{mistakes}</section>'


def mistakes_of(report: Report) -> dict[str, list[Result]]:
    """The failed results of a report by the mistake behind them, in order."""
    found: dict[str, list[Result]] = {}
    for result in report.results:
        if result.status == "failed":
            found.setdefault(result.mistake, []).append(result)
    return found


def sentence(text: str) -> str:
    """With a capital (unless it begins with a name such as "a.ipynb") and a full stop."""
    text = text.strip()
    if not text:
        return ""
    start = text[0].upper() if text.split()[0].rstrip(",:;?!").isalpha() else text[0]
    return start + text[1:] + ("" if text.endswith((".", "!", "?", "…")) else ".")


def _case(result: Result) -> str:
    said = {"waiting": "waits for the cases above", "open": "not tried"}.get(result.status, "")
    if result.status == "failed" and result.on_others:
        said = "right on the numbers shown, wrong on others"
    earned = result.points if result.passed else 0
    return (f"{sign(result.status)} <span>{safe(result.title)}"
            + (f' <span class="quiet">({said})</span>' if said else "")
            + f'</span> <span class="number">{earned} of {result.points}</span>')


def _mistake(results: list[Result]) -> str:
    """What to look at, and the first case that shows it in numbers."""
    example = next((result for result in results if result.asked or result.shown), None)
    hint = marked(results[0].mistake) or "Something is not right here."
    parts = [f'<p><strong>What to look at.</strong> {hint}</p>']
    if all(result.on_others for result in results):
        parts.append(f"<p>{_cases(results)}: right on the numbers shown, so that your notebook's own check is "
                     "content, but wrong on others. Try numbers of your own, with a result that you know.</p>")
    if example:
        others = [result for result in results if result is not example]
        parts.append(f'<p class="quiet">For example {_cases([example])}'
                     + (f"; the same hint goes for {_cases(others)}" if others else "") + ".</p>")
        parts += list(_numbers(example))
    return f'<div class="box">{"".join(parts)}</div>'


def _numbers(result: Result) -> Iterator[str]:
    """The call that was made and what came of it."""
    if result.asked:
        yield f"<dl><dt>the call</dt><dd>{_call(result.asked)}</dd></dl>"
    rows = "".join(f"<dt>{label}</dt><dd>{code(value)}</dd>" for label, value in shown_parts(result.shown))
    if rows:
        yield f'<dl class="short">{rows}</dl>'


def shown_parts(shown: str) -> list[tuple[str, str]]:
    """What came of a call, in labelled parts: an error and its line, or what was expected and obtained."""
    error, in_line, line = shown.partition("   in the line   ")
    if in_line:
        return [("error", error), ("your line", line)]
    where, expected, rest = shown.partition("expected ")
    wanted, but_got, got = rest.partition(", got ")
    if expected and but_got:
        place = [("where", where.rstrip(": "))] if where.strip() else []
        shape = "shape " if wanted.startswith("shape ") else ""
        return [*place, ("expected", wanted), ("yours", shape + got)]
    if shown.startswith("got "):
        return [("yours", shown.removeprefix("got "))]
    return [("seen", shown)] if shown else []


def _call(asked: str) -> str:
    """The call as it was made; a long one has a line for each argument."""
    if len(asked) <= 60 or not asked.endswith(")") or "(" not in asked:
        return code(asked, 2000)
    function, _, rest = asked.partition("(")
    arguments, depth, start = [], 0, 0
    for place, character in enumerate(rest[:-1]):
        depth += (character in "([") - (character in ")]")
        if character == "," and depth == 0:
            arguments.append(rest[start:place + 1].strip())
            start = place + 1
    arguments.append(rest[start:-1].strip())
    return "".join(code(line, 1000) for line in (f"{function}(", *(f"    {part}" for part in arguments), ")"))


def _cases(results: list[Result]) -> str:
    return ", ".join(f"“{safe(result.title)}”" for result in results)


def _points(question: Question, report: Report | None) -> str:
    return f"{report.earned} of {question.points}" if report else "not asked"


def _status(report: Report | None) -> str:
    if report is None or report.message:
        return "open"
    return "passed" if report.full else "failed"
