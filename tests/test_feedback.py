"""The page that a student gets back: what it says, and that nothing a student writes can change it."""

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from page_rules import NASTY, QUESTIONS, Page, by_heart, left_open, marked

from rlcourse.grading.answers import Answers
from rlcourse.grading.cases import mark
from rlcourse.grading.feedback import feedback_page, sentence, shown_parts
from rlcourse.grading.page import STYLE, harmless, link
from rlcourse.grading.records import Graded, from_json, to_json
from rlcourse.grading.report import NOT_MARKED, OTHER_NUMBERS, Report, Result

anything = st.one_of(st.text(st.characters(exclude_categories=()), max_size=80), st.sampled_from(NASTY))


def page_of(graded: Graded) -> Page:
    return Page(feedback_page("02_thirds", QUESTIONS, graded))


def test_all_right():
    page = page_of(marked("Ada", same=("q1", "q2")))
    assert "6 of 6 points Every question is right. Well done!" in page.text
    assert page.texts("title") == ["02_thirds: 6 of 6 points, Ada"]
    assert page.texts("h2")[-1] == "How this was marked" and "What to look at." not in page.text
    assert page.text.count("✓") == 2 + 2 + 4  # in the table, the headings and the cases
    assert "#q1" in page.links and "#q2" in page.links


def test_the_flag_for_the_instructor_is_not_shown():
    html = feedback_page("02_thirds", QUESTIONS, marked("Ada", same=("q1", "q2")))
    assert html == feedback_page("02_thirds", QUESTIONS, marked("Ada"))
    assert html == feedback_page("02_thirds", QUESTIONS, from_json(to_json(marked("Ada"))))


def test_a_mistake_is_explained_once_with_the_call_expected_and_obtained():
    page = page_of(marked("Ada", third=lambda x: 3 * x))
    assert page.text.count("You multiply by three.") == 1 and "multiply" in page.texts("code")
    assert "For example “one”; the same hint goes for “two”." in page.text
    assert page.texts("pre") == ["third([3])", "[1]", "[9]"]
    assert "the call third([3]) expected [1] yours [9]" in page.text
    assert "2 of 6 points" in page.text and "1 of 2 questions all right" in page.text
    assert "zero stays zero (waits for the cases above)" in page.text


def test_two_mistakes_stand_apart():
    page = page_of(marked("Ada", third=lambda x: 3 * x if len(x) == 1 else x))
    assert page.text.count("What to look at.") == 2
    assert "For example “one”." in page.text and "For example “two”." in page.text


def test_an_error_shows_the_students_own_line(tmp_path):
    path = tmp_path / "cell.py"
    path.write_text("def third(x):\n    return x.missing  # <here>\n")
    namespace = {"total": sum}
    exec(compile(path.read_text(), str(path), "exec"), namespace)
    page = page_of(Graded("Ada", "", "graded", reports=tuple(mark(each, Answers(namespace)) for each in QUESTIONS)))
    assert ("error AttributeError: 'Tensor' object has no attribute 'missing' "
            "your line return x.missing # <here>") in page.text


def test_of_hidden_numbers_the_hint_alone_is_told():
    graded = marked("Ada", third=by_heart)
    assert graded.reports[0].results[0].on_others and graded.reports[0].results[1].passed
    page = page_of(graded)
    assert "one (right on the numbers shown, wrong on others)" in page.text
    assert "“one”: right on the numbers shown, so that your notebook's own check is content" in page.text
    assert page.text.count("Divide by three.") == 1 and "three" in page.texts("em")
    assert page.texts("pre") == [] and "10" not in page.text and "30" not in page.text


def test_what_is_left_open_and_what_is_not_there():
    assert "No question is all right yet" in page_of(marked("Ada", third=left_open, total=left_open)).text
    assert page_of(marked("Ada", third=left_open)).text.count("Not answered yet.") == 1
    missing = replace(marked("Ada"), reports=(Report("q1", "A third", (), "there is no function `third` yet"),))
    page = page_of(missing)
    assert "There is no function third yet." in page.text
    assert "q2 · A sum not asked Marking stopped before this question had its turn." in page.text


def test_no_mark_says_so_and_what_to_do():
    page = page_of(Graded("Ada", "", "not graded", "the file is no notebook"))
    assert "Not graded The file is no notebook. This is no mark, and it does not mean zero points" in page.text
    assert "talk to your instructor" in page.text and "0 of" not in page.text
    assert page.texts("title") == ["02_thirds: not graded, Ada"]
    partial = marked("Ada", status="partial", reason="the time was over before q2")
    page = page_of(replace(partial, reports=partial.reports[:1]))
    assert "Partial: no mark yet The time was over before q2." in page.text
    assert "The 4 of 6 points below" in page.text and "they are no mark" in page.text
    assert page.text.count("not asked") == 2
    unknown = replace(partial.reports[1], results=(), message=f"{NOT_MARKED}: the time ran out")
    assert page_of(replace(partial, reports=(partial.reports[0], unknown))).text == page.text


def test_of_several_notebooks_it_is_said_which_one_counts():
    page = page_of(marked("Ada", reason="the best of 2 notebooks counts: b.ipynb"))
    assert "6 of 6 points The best of 2 notebooks counts: b.ipynb. Every question is right." in page.text


def test_a_sentence_begins_with_a_capital_and_a_file_with_its_own_name():
    assert sentence(" time, then more ") == "Time, then more." and sentence("why?") == "Why?" and sentence(" ") == ""
    assert sentence("a.ipynb: no notebook") == "a.ipynb: no notebook."


def test_notes_are_told():
    page = page_of(marked("Ada", notes=("Cell 3 was stopped.", "Cell 4 too.")))
    assert "What happened while your notebook ran Cell 3 was stopped. Cell 4 too." in page.text


@pytest.mark.parametrize("text", NASTY)
def test_nasty_text_stays_text(text):
    """In every field at once; what one reads is the text itself, made harmless."""
    results = (Result("one", 1, "failed", text, text, text), Result("two", 2, "failed", OTHER_NUMBERS + text, "", text),
               Result(text, 1, text))
    page = page_of(Graded(text, text, "graded", reports=(Report("q1", text, results), Report("q2", "", (), text)),
                          notes=(text, text)))
    assert page.texts("li")[:2] == [harmless(sentence(text))] * 2 if text else page.texts("bdi") == []
    assert page.texts("bdi") == [harmless(text, 80)] * bool(text)
    for status in ("partial", "not graded"):
        page_of(Graded(text, text, status, text, notes=(text,)))


@settings(max_examples=60)
@given(anything, anything, anything, st.lists(anything, max_size=3))
def test_no_text_changes_the_structure(student, file, reason, notes):
    def tags(*fields):
        graded = Graded(fields[0], fields[1], "partial", fields[2], marked("x").reports[:0], tuple(fields[3]))
        return page_of(graded).tags

    assert tags(student, file, reason, notes) == tags("x", "x" if file else "", "x", ["x"] * len(notes))


@settings(max_examples=60)
@given(anything, anything, anything, anything)
def test_no_answer_breaks_the_page(asked, shown, hint, message):
    results = (Result("one", 1, "failed", hint, asked, shown), Result("two", 2, "passed"))
    page_of(Graded("x", "x", "graded", reports=(Report("q1", "A third", results),
                                               Report("q2", "A sum", (), message))))


def test_long_text_is_cut_and_control_characters_are_seen():
    assert harmless("x" * 700) == "x" * 599 + "…" and harmless("x" * 600) == "x" * 600
    assert harmless("a\nb\x00\ud800\u202ec\x1b") == "a b���c�"
    assert harmless("Ünïcode 王小明 نور 👩‍💻") == "Ünïcode 王小明 نور 👩‍💻"


def test_links_stay_in_the_folder():
    assert link("feedback/a b.html", "x") == '<a href="./feedback/a%20b.html">x</a>'
    for elsewhere in ("javascript:alert(1)", "https://example.org", "a\"onclick=x", "a#b?c", "\ud800"):
        assert re.fullmatch(r'<a href="\./[\w%./-]+">x</a>', link(elsewhere, "x"))


@pytest.mark.parametrize("shown, parts", [
    ("expected [1], got [9]", [("expected", "[1]"), ("yours", "[9]")]),
    ("round 1, counts: expected [1], got [9]", [("where", "round 1, counts"), ("expected", "[1]"), ("yours", "[9]")]),
    ("state: expected shape [6], got [3]", [("where", "state"), ("expected", "shape [6]"), ("yours", "shape [3]")]),
    ("ValueError: no   in the line   return 1 / 0", [("error", "ValueError: no"), ("your line", "return 1 / 0")]),
    ("got None", [("yours", "None")]),
    ("RecursionError: deep", [("seen", "RecursionError: deep")]),
    ("", []),
])
def test_what_came_of_a_call_is_told_in_parts(shown, parts):
    assert shown_parts(shown) == parts


def test_a_long_call_has_a_line_for_each_argument():
    report = Report("q1", "A third", (Result("one", 1, "failed", "No.", "third(" + "[1, (2, 3)], " * 6 + "[4])"),))
    assert page_of(Graded("x", "x", "graded", reports=(report,))).texts("pre") == [
        "third(", *["    [1, (2, 3)],"] * 6, "    [4]", ")"]


def luminance(colour: str) -> float:
    """The relative luminance of WCAG 2.2, of "#rrggbb"."""
    parts = [int(colour[place:place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_every_colour_of_text_can_be_read_in_light_and_dark():
    found = re.findall(r"--(\w+): (#\w{6})", STYLE)
    light, dark = dict(found[:len(found) // 2]), dict(found[len(found) // 2:])
    assert light.keys() == dark.keys() and light != dark
    for colours in (light, dark):
        for text in ("text", "quiet", "good", "bad", "link"):
            for ground in ("page", "soft"):
                low, high = sorted((luminance(colours[text]), luminance(colours[ground])))
                assert (high + 0.05) / (low + 0.05) >= 4.5, (text, ground)
