"""The page on the class: counts against a class that was counted by hand, and safe against every name."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from page_rules import NASTY, QUESTIONS, Page, by_heart, left_open, marked

from rlcourse.grading.cases import NO_FUNCTION
from rlcourse.grading.classpage import class_page
from rlcourse.grading.page import harmless
from rlcourse.grading.records import Graded
from rlcourse.grading.report import NOT_MARKED, Report

GAPS = ("a notebook can read the files of this user", "UDP is open.")
# 4 + 2 points: Ada and Çelik have all, Bo and Di multiply (2), Ed knows the case "one" by heart (4), Fay is blank (0).
CLASS = [
    marked("Fay", third=left_open, total=left_open),
    marked("Çelik", same=("q1", "q2")),
    marked("Ada", same=("q2",)),
    marked("Bo", third=lambda x: 3 * x, same=("q2",), notes=("Cell 3 was stopped",)),
    marked("Di", third=lambda x: 3 * x),
    marked("Ed", third=by_heart),
    replace(marked("Gil", third=lambda x: 3 * x, status="partial", reason="time was over"),
            reports=marked("Gil", third=lambda x: 3 * x).reports[:1]),
    Graded("Hal", "Hal.ipynb", "not graded", "no notebook"),
]
LINKS = {graded.student: f"feedback/{place}.html" for place, graded in enumerate(CLASS)}


def page_of(results, gaps=(), links=None) -> Page:
    return Page(class_page("02_thirds", QUESTIONS, results, gaps, links=links))


def between(page: Page, start: str, end: str) -> str:
    """The text from one heading to the next."""
    return page.text.partition(start)[2].partition(end)[0]


def test_the_headings_stand_in_the_order_of_use():
    page = page_of(CLASS, GAPS, LINKS)
    assert page.texts("h2") == ["To look at by hand", "The most frequent mistakes", "Points", "Everybody",
                                "What the isolation could not prevent"]
    assert "8 submissions: 6 graded, 1 partial, 1 not graded." in page.text
    assert page.text.endswith("A notebook can read the files of this user. UDP is open.")


def test_whom_to_look_at():
    text = between(page_of(CLASS), "To look at by hand", "The most frequent mistakes")
    assert "Not graded (1): there is no mark, and no zero either Hal: No notebook." in text
    assert "Partial (1): time ran out, the points are no mark Gil: Time was over." in text
    assert "something happened on the way (1) Bo: Cell 3 was stopped." in text
    assert "Equal to the published solution (3)" in text and "short answers coincide naturally" in text
    assert "How many students are equal in each question: q1 1, q2 3." in text
    assert "Çelik: 2 of 2 (q1, q2) Ada: 1 of 2 (q2) Bo: 1 of 2 (q2)" in text
    assert "Nobody" in page_of([marked("Ada")]).text
    several = page_of([marked("Ada", reason="the best of 2 notebooks counts: b.ipynb", notes=("1", "2", "3"))])
    assert "Ada: The best of 2 notebooks counts: b.ipynb. 1. 2. And 1 more." in several.text
    assert "on the way (1) Bo: Why." in page_of([marked("Ada"), marked("Bo", reason="why")]).text


def test_mistakes_are_counted_by_hint_the_most_frequent_first():
    page = page_of(CLASS, (), LINKS)
    text = between(page, "The most frequent mistakes", "Points Of")
    assert "3 q1 You multiply by three. Bo, Di, Gil" in text and ", …" not in text
    assert "Made by one student only (1)" in text and "1 q1 Divide by three. Ed" in text
    assert text.index("multiply") < text.index("Divide") and "Not answered" not in text
    assert page.links.count("./feedback/5.html") == 2  # Ed: as an example, and among everybody
    many = [replace(CLASS[4], student=f"Di {number}") for number in range(5)]
    assert "5 q1 You multiply by three. Di 0, Di 1, Di 2, …" in page_of(many).text
    assert "Made by one" not in page_of(many).text
    both = page_of([*many[:2], *(marked(f"Jo {number}", total=lambda x: 0) for number in range(3))]).text
    assert "3 q2 Add them. Jo 0, Jo 1, Jo 2 2 q1 You multiply by three. Di 0, Di 1" in both
    no_function = Report("q1", "", (), f"{NO_FUNCTION} `third` yet: why?")
    unasked = Report("q2", "", (), f"{NOT_MARKED}: no time")
    lost = page_of([replace(CLASS[1], reports=(no_function, unasked))])
    assert "1 q1 There is no function third yet: why? Çelik" in lost.text and "no time" not in lost.text
    assert "Çelik 0 – " in between(lost, "Everybody", "full marks")
    assert "The most frequent mistakes None." in page_of([marked("Ada")]).text


def test_points_are_those_of_the_students_with_a_mark():
    page = page_of(CLASS)
    text = between(page, "Points Of", "Everybody")
    assert "the 6 who have a mark: median 3, lowest 0, highest 6 of 6 points." in text
    assert "All questions full marks: 2 of 6 points" in text
    assert chart(page, "All questions") == {"0": 1, "1": 0, "2": 2, "3": 0, "4": 1, "5": 0, "6": 2}
    assert chart(page, "q1 · A third") == {"0": 3, "1": 0, "2": 1, "3": 0, "4": 2}
    assert chart(page, "q2 · A sum") == {"0": 1, "1": 0, "2": 5}
    assert "full marks: 2 of 6, left open: 1" in text and "full marks: 5 of 6, left open: 1" in text


def chart(page: Page, title: str) -> dict[str, int]:
    """The numbers of one chart: points → students."""
    pieces = page.pieces
    place = next(index for index, (within, text) in enumerate(pieces) if within[-1:] == ("h3",) and text == title)
    numbers = []
    for within, text in pieces[place + 1:]:
        if within[-1:] in (("h3",), ("h2",)):
            break
        if "tbody" in within:
            numbers.append(text)
    return dict(zip(numbers[::2], map(int, numbers[1::2])))


def test_a_long_scale_is_put_together():
    long = replace(QUESTIONS[1], values=(replace(QUESTIONS[1].values[0], points=29),))
    page = Page(class_page("x", [long], [replace(CLASS[0], reports=CLASS[0].reports[1:])], ()))
    bars = chart(page, "All questions")
    assert list(bars) == ["0–2", "3–5", "6–8", "9–11", "12–14", "15–17", "18–20", "21–23", "24–26", "27–29"]
    assert bars["0–2"] == 1 and sum(bars.values()) == 1


def test_everybody_stands_in_the_table_in_order_with_a_link():
    page = page_of(CLASS, (), LINKS)
    text = between(page, "Everybody", "What the isolation")
    order = [text.index(student) for student in ("Ada", "Bo", "Çelik", "Di", "Ed", "Fay", "Gil", "Hal")]
    assert order == sorted(order) and set(page.links) == {f"./{path}" for path in LINKS.values()}
    assert "Ed 2 2 4 graded Fay 0 0 0 graded Gil 0 – (0) partial Hal – – – not graded full marks 4 2 6" in text


def test_an_empty_class_and_no_gap():
    page = page_of([])
    assert "0 submissions: 0 graded" in page.text and "Nobody has a mark yet." in page.text
    assert "No gap is known" in page.text and page.links == []


def test_the_order_of_the_results_does_not_matter():
    assert class_page("x", QUESTIONS, CLASS, GAPS, links=LINKS) == class_page(
        "x", QUESTIONS, CLASS[::-1], GAPS, links=LINKS)


@pytest.mark.parametrize("text", NASTY)
def test_nasty_text_stays_text(text):
    results = [replace(CLASS[3], student=text, notes=(text,) * 5), Graded(text + "2", text, "not graded", text),
               Graded(text + "3", text, "partial", text, notes=(text,), same=(text,))]
    page = page_of(results, [text], {text: f"feedback/{text[:50]}.html", text + "2": text[:50] or "x"})
    assert page.texts("bdi").count(harmless(text, 80)) >= 2 * bool(text)


@settings(max_examples=40)
@given(*[st.one_of(st.text(st.characters(exclude_categories=()), max_size=60), st.sampled_from(NASTY))] * 3)
def test_no_text_changes_the_structure(student, reason, note):
    def tags(*fields):  # counted: the name decides on the place in the table
        return Counter(page_of([Graded(fields[0], fields[0], "not graded", fields[1]),
                                replace(CLASS[3], student="x", notes=(fields[2],))], [fields[2]]).tags)

    assert tags(student, reason, note) == tags("y", "y", "y")
