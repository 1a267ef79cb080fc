"""The marking side of the wire, against processes that answer whatever they like."""

import json
import os
import sys
import time
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_wire import JSON, PLAIN, parts

from rlcourse.grading.cases import Case, Question
from rlcourse.grading.limits import Limits
from rlcourse.grading.process import Ended, Process, TooSlow
from rlcourse.grading.remote import NotGraded, mark_notebook
from rlcourse.grading.sandbox import NoAnswer
from rlcourse.grading.wire import LENGTHS, Garbled, pack, unpack

WANT = torch.tensor([0.123456789, -9.87654321], dtype=torch.float64)
QUESTION = Question(
    "q1", "Fuzzed", "T1", {"answer": lambda x, helper: WANT}, difficulty=1, importance=1, minutes=1,
    values=(Case("value", lambda f: f.answer(torch.ones(2), lambda y: [y, WANT]), WANT, "a hint", points=2,
                 by_hand=True, mistakes=((torch.zeros(2), "zeros"),)),
            Case("list", lambda f: f.answer(1, max), [WANT, "x"], "a hint", points=1),
            Case("named", lambda f: f.answer(1.5, min), {"a": 0.123456789}, "a hint", points=1)),
    properties=(Case("odd", lambda f: f.answer(2, min).sum() + f.answer(3, min)[0], 4.0, "a hint", points=1),),
    seeded=lambda seed: [Case("random", lambda f: f.answer(seed, min), seed + 0.123, "no", confirms="value")])


class Scripted:
    """In place of a process: greets, then sends the frames it was given, and after them nothing any more."""

    def __init__(self, frames):
        self.frames, self.sent, self.stopped = iter(frames), [], False

    def send(self, number, kind, body, deadline, functions=None):
        assert not self.stopped
        self.sent.append(unpack(*parts(pack(number, kind, body, functions)), function=lambda index: index, tidy=str))

    def receive(self, deadline):
        frame = next(self.frames, None)
        if frame is None:
            raise Ended
        if frame == "wait":
            raise TooSlow
        text, blobs = frame(self.sent[-1][0]) if callable(frame) else frame
        return unpack(text, blobs)

    def stop(self):
        self.stopped = True


def sandbox(*scripts, limits=Limits()):
    """Processes with these scripts, one after the other; then none can be started any more."""
    processes = [Scripted(script) for script in scripts]
    waiting = iter(processes)

    def start():
        process = next(waiting, None)
        if process is None:
            raise NoAnswer("the student's process did not start")
        return process, []

    return SimpleNamespace(start=start, limits=limits, processes=processes)


def answer(kind, body):
    return lambda number: parts(pack(number, kind, body))


FRAMES = st.lists(
    st.one_of(
        st.tuples(st.binary(max_size=30), st.binary(max_size=10)),
        JSON.map(lambda body: lambda number: (json.dumps([number, "value", body]).encode(), b"")),
        st.tuples(st.sampled_from(["ran", "value", "missing", "unanswered", "failed", "unusable", "callback", "hello"]),
                  PLAIN).map(lambda pair: answer(*pair)),
        st.tuples(st.integers(-2, 9), st.sampled_from(["value", "ran", "callback"]), PLAIN).map(
            lambda three: parts(pack(*three))),
        st.just("wait")),
    max_size=12)


@given(st.lists(FRAMES, min_size=3, max_size=3))
@settings(max_examples=30)
def test_whatever_a_process_sends_it_is_marked_and_earns_nothing(scripts):
    survives(scripts)


@pytest.mark.slow
@given(st.lists(FRAMES, min_size=1, max_size=6))
@settings(max_examples=1000)
def test_whatever_a_process_sends_many_times_over(scripts):
    survives(scripts)


def survives(scripts):
    box = sandbox(*scripts, *[[]] * 40)
    marked = mark_notebook(["x = 1", "y = 2"], [QUESTION], box, seed=4)
    report, = marked.reports
    assert report.earned == 0 and len(report.results) == 4
    assert all(isinstance(note, str) for note in marked.notes)
    assert all(process.stopped for process in box.processes if process.sent)


def test_right_answers_earn_everything():
    def served(value):
        return [lambda number: parts(pack(number, "value", value))]

    script = [answer("ran", None), *served(WANT), *served([WANT, "x"]), *served({"a": 0.123456789}),
              *served(torch.tensor([1.0, 1.0])), *served(torch.tensor([2.0])), *served(4.123)]
    box = sandbox(script)
    marked = mark_notebook(["x = 1"], [QUESTION], box, seed=4)
    assert marked.reports[0].full and marked.complete and marked.notes == ()


@pytest.mark.parametrize("away", [-1, 1, 100])
def test_an_answer_to_another_question_counts_for_none(away):
    forged = [lambda number: parts(pack(number + away, "value", WANT))] * 9
    marked = mark_notebook(["x = 1"], [QUESTION], sandbox([answer("ran", None), *forged], *[[answer("ran", None)]] * 9))
    assert marked.reports[0].earned == 0


def test_nothing_that_crosses_tells_what_is_expected():
    box = sandbox([answer("ran", None), *[answer("value", 1)] * 9])
    mark_notebook(["x = 1"], [QUESTION], box, seed=4)
    sent = [body for _, kind, body in box.processes[0].sent if kind == "call"]
    assert sent[0][0] == "answer" and sent[0][1][0].tolist() == [1, 1] and sent[0][1][1] == 0
    assert "hint" not in str(sent) and "0.123" not in str(sent)


def test_functions_of_the_checks_are_called_on_this_side():
    seen = []
    question = Question("q1", "t", "T1", {"answer": lambda: None}, 1, 1, 1, values=(
        Case("value", lambda f: f.answer(lambda x: seen.append(x) or x + 1), 3, "a hint", points=1),))
    box = sandbox([lambda number: parts(pack(0, "callback", [[2], {}])), lambda number: parts(pack(1, "value", 3))])
    marked = mark_notebook([], [question], box)
    assert seen == [2] and marked.reports[0].earned == 1
    assert box.processes[0].sent[1] == (1, "returned", 3)


@pytest.mark.parametrize("index", [1, -1])
def test_a_call_of_a_function_that_was_not_lent_is_refused(index):
    question = Question("q1", "t", "T1", {"answer": lambda: None}, 1, 1, 1, values=(
        Case("value", lambda f: f.answer(lambda x: x), 3, "a hint", points=1),))
    script = [lambda number: parts(pack(index, "callback", [[2], {}])), answer("value", 3)]
    marked = mark_notebook([], [question], sandbox(script))
    assert marked.reports[0].earned == 0


@pytest.mark.parametrize("body", [[2], "no list", None, [[1], {}, 3], [[1, 2], {}], [[], {"y": 1}]])
def test_a_call_with_odd_arguments_is_the_students_error(body):
    question = Question("q1", "t", "T1", {"answer": lambda: None}, 1, 1, 1, values=(
        Case("value", lambda f: f.answer(lambda x: x), 3, "a hint", points=1),))
    box = sandbox([lambda number: parts(pack(0, "callback", body)), answer("failed", ["TypeError", "no", ""])])
    assert mark_notebook([], [question], box).reports[0].earned == 0
    assert box.processes[0].sent[1][1] == "raised"


def test_an_error_of_a_function_of_the_checks_goes_back_to_the_student():
    question = Question("q1", "t", "T1", {"answer": lambda: None}, 1, 1, 1, values=(
        Case("value", lambda f: f.answer(lambda x: 1 / x), 3, "a hint", points=1),))
    box = sandbox([lambda number: parts(pack(0, "callback", [[], {"x": 0}])), answer("failed", ["ZeroDivisionError", "no", "x"])])
    marked = mark_notebook([], [question], box)
    assert box.processes[0].sent[1] == (1, "raised", ["ZeroDivisionError", "division by zero"])
    assert "denominator" in marked.reports[0].results[0].hint


def test_endless_calls_of_a_function_of_the_checks_end():
    calls = [lambda number: parts(pack(0, "callback", [[1], {}]))] * 50
    question = Question("q1", "t", "T1", {"answer": lambda: None}, 1, 1, 1, values=(
        Case("value", lambda f: f.answer(lambda x: x), 3, "a hint", points=1),))
    marked = mark_notebook([], [question], sandbox(calls, limits=Limits(callbacks=20)))
    assert "TimeoutError" in marked.reports[0].results[0].shown


def test_after_a_timeout_the_other_cases_of_the_question_are_not_tried():
    box = sandbox([answer("ran", None), "wait"], [answer("ran", None)])
    marked = mark_notebook(["x = 1"], [QUESTION], box)
    shown = [result.shown for result in marked.reports[0].results[:3]]
    assert shown == ["TimeoutError: stopped after 10 seconds"] * 3
    assert not box.processes[1].sent  # no other process was needed


def test_after_a_death_the_next_case_has_a_new_process_twice():
    box = sandbox([answer("ran", None)], [answer("ran", None), answer("value", [WANT, "x"])], [answer("ran", None)])
    marked = mark_notebook(["x = 1"], [QUESTION], box)
    assert [result.passed for result in marked.reports[0].results] == [False, True, False, False]


def test_a_cell_that_takes_the_process_with_it_counts_with_its_definitions():
    box = sandbox([answer("ran", None), "wait"], [answer("ran", None), answer("ran", None), answer("missing", "")])
    marked = mark_notebook(["x = 1", "while True: pass"], [QUESTION], box)
    again = [body for _, kind, body in box.processes[1].sent if kind == "run"]
    assert again == [["<cell 1>", "x = 1", True], ["<cell 2>", "while True: pass", False]]
    assert marked.notes == ("code cell 2 ran too long and was stopped; its functions and imports still count",)


def test_a_cell_that_does_it_again_is_left_out():
    box = sandbox(["wait"], [], [answer("ran", None), answer("missing", "")])
    marked = mark_notebook(["import this", "x = 1"], [QUESTION], box)
    assert [body[1] for _, kind, body in box.processes[2].sent if kind == "run"] == ["x = 1"]
    assert marked.notes[1] == "code cell 1 ended the whole process; not even its functions could be defined"


def test_what_is_said_about_hidden_inputs_is_not_shown():
    question = Question("q1", "t", "T1", {"answer": lambda: None}, 1, 1, 1, values=(
        Case("one", lambda f: f.answer(1), 1, "first", points=1), Case("two", lambda f: f.answer(2), 2, "second", points=1)),
        seeded=lambda seed: [Case("random", lambda f: f.answer(seed), seed, "hidden", confirms="one")])
    box = sandbox([answer("ran", None), answer("value", 1), answer("value", 2)],
                  [answer("ran", "ValueError: asked 77"), answer("failed", ["ValueError", "asked 77", "seed is 77"])])
    marked = mark_notebook(["x = 1"], [question], box, seed=77)
    assert [body[1] for _, kind, body in box.processes[0].sent if kind == "call"] == [[1], [2], [77]]
    assert [result.passed for result in marked.reports[0].results] == [False, True]
    assert "77" not in repr(marked)


def test_cells_that_end_the_process_over_and_over_use_up_the_time_of_the_notebook(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("rlcourse.grading.remote.time", SimpleNamespace(monotonic=lambda: clock[0]))
    box, start = sandbox(*[[]] * 100, limits=Limits(notebook=10)), None
    start = box.start

    def slow_start():
        clock[0] += 1
        return start()

    box.start = slow_start
    marked = mark_notebook(["exit()"] * 60, [QUESTION], box)
    assert not marked.complete and sum(bool(process.sent) for process in box.processes) == 15


def test_without_a_process_there_is_no_mark():
    with pytest.raises(NotGraded, match="did not start"):
        mark_notebook(["x = 1"], [QUESTION], sandbox())
    with pytest.raises(NotGraded, match="did not start"):  # nor when it was lost in the middle
        mark_notebook(["x = 1"], [QUESTION], sandbox([answer("ran", None)]))


def test_when_the_time_runs_out_questions_are_not_marked_and_that_is_said():
    limits = Limits(seconds=5, notebook=0.0)
    marked = mark_notebook(["x = 1"], [QUESTION, QUESTION], sandbox(*[["wait"]] * 9, limits=limits))
    assert not marked.complete and [report.earned for report in marked.reports] == [0, 0]
    assert "not marked" in marked.reports[1].message


def test_expected_failures_of_cells_are_no_news_but_an_import_of_the_answer_is():
    lines = ["NotImplementedError: q1", "ModuleNotFoundError: No module named 'rlcourse.plots' (in the line  import x)",
             "ModuleNotFoundError: No module named 'rlcourse.exact' (in the line  from rlcourse.exact import answer)",
             "NameError: name 'z' is not defined"]
    box = sandbox([*[answer("ran", line) for line in lines], answer("missing", "")])
    marked = mark_notebook(["x = 1"] * 4, [QUESTION], box)
    assert marked.notes == (f"code cell 3: {lines[2]}", f"code cell 4: {lines[3]}")
    assert "no function `answer`" in marked.reports[0].message


# The real pipes, with a process that writes what it is told.

def started(tmp_path, script: str, limits=Limits()) -> Process:
    home = tmp_path / "home"
    home.mkdir()
    return Process([sys.executable, "-I", "-c", f"import os, sys, time\n{script}"], os.environ, home, limits)


@pytest.mark.parametrize("script, error", [
    ("os._exit(0)", Ended),
    ("os.write(1, b'12')", Ended),
    ("os.write(1, b'12'); time.sleep(60)", TooSlow),
    ("time.sleep(60)", TooSlow),
    ("os.write(1, bytes([255] * 8)); time.sleep(60)", Garbled),
    ("os.write(1, bytes([0, 0, 0, 2, 255, 0, 0, 0])); time.sleep(60)", Garbled),
    ("os.write(1, bytes([0, 0, 0, 5, 0, 0, 0, 0]) + b'[1,2'); time.sleep(60)", TooSlow),
    ("os.close(1); time.sleep(60)", Ended),
])
def test_broken_frames_end_in_time(tmp_path, script, error):
    process = started(tmp_path, script)
    begun = time.monotonic()
    try:
        with pytest.raises(error):
            process.receive(time.monotonic() + 0.4)
    finally:
        process._popen.kill()
        process.stop()
    assert time.monotonic() - begun < 5 and not (tmp_path / "home").exists()


def test_a_process_that_does_not_listen_blocks_nobody(tmp_path):
    process = started(tmp_path, "time.sleep(60)")
    try:
        with pytest.raises(TooSlow):
            process.send(1, "call", torch.zeros(10**6), time.monotonic() + 0.3)
    finally:
        process._popen.kill()
        process.stop()


def test_a_home_that_resists_is_removed(tmp_path):
    process = started(tmp_path, "time.sleep(60)")
    deep = tmp_path / "home"
    (deep / "closed").mkdir()
    (deep / "closed" / "file").touch()
    (deep / "closed").chmod(0)
    (deep / "link").symlink_to(tmp_path)
    here = os.open(deep, os.O_RDONLY)
    for _ in range(1500):  # deeper than Python's own rmtree can recurse
        os.mkdir("d", dir_fd=here)
        here, above = os.open("d", os.O_RDONLY, dir_fd=here), here
        os.close(above)
    os.close(here)
    process._popen.kill()
    process.stop()
    assert not deep.exists() and tmp_path.exists()
