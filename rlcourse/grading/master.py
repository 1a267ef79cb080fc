"""Reads the text masters of lectures and exercises (py:percent) into cells and answers.

A lecture is plain cells. The master of an exercise holds, side by side, everything about a question:

    # %% q="q1"                            the answer cell; the student's blank is made from it
    def td_target(reward, discount, next_value):
        ### SOLUTION
        return reward + discount * next_value
        ### END

    # %% wrong="q1" at_most=2 why="forgets the discount" hint="Multiply by the discount"
                                          a wrong answer that students do give; words of its hint
    # %% right="q1" why="another order of the sum"            another right answer
    # %% tags=["check"]                                       the cell with ex.check("q1")

Wrong and right answers stand in no notebook; tests give them to the checks.
"""

import ast
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import jupytext

BEGIN, END = "### SOLUTION", "### END"
_KNOWN = {"q", "wrong", "right", "at_most", "why", "hint", "tags"}
_LAYOUT = {"lines_to_next_cell", "lines_to_end_of_cell_marker"}  # jupytext's notes on blank lines


class MasterError(ValueError):
    """A master that breaks the conventions; the message names the file, the cell and the remedy."""


@dataclass(frozen=True)
class Cell:
    """One cell of a notebook: `kind` is "code", "markdown" or "raw"."""

    kind: str
    source: str
    tags: tuple[str, ...] = ()
    question: str | None = None  # "q1" in the answer cell of question 1


@dataclass(frozen=True)
class Wrong:
    """A plausible wrong answer: it earns at most `at_most` points, `why` names the mistake.

    `hint` stands in the feedback that the student gets for it.
    """

    question: str
    source: str
    at_most: float
    why: str
    hint: str


@dataclass(frozen=True)
class Right:
    """Another answer that earns full marks."""

    question: str
    source: str
    why: str = ""


@dataclass(frozen=True)
class Master:
    """What a text master holds. Sources keep the lines ### SOLUTION and ### END.

    `cells`: the cells of the notebook in order; `answers`: the source of each answer cell by question.
    """

    name: str
    cells: tuple[Cell, ...]
    answers: dict[str, str]
    wrong: tuple[Wrong, ...] = ()
    right: tuple[Right, ...] = ()

    def solution_cells(self) -> tuple[Cell, ...]:
        """The cells of the solution: every answer, without the marker lines."""
        return tuple(replace(cell, source=solution_source(cell.source)) for cell in self.cells)

    def blank_cells(self) -> tuple[Cell, ...]:
        """The cells of the student's notebook: every answer blanked."""
        return tuple(replace(cell, source=blank_source(cell.source, cell.question))
                     if cell.question else cell for cell in self.cells)

    def cells_with(self, answers: dict[str, str]) -> tuple[Cell, ...]:
        """The cells of the solution with the answers of some questions replaced: {"q1": source}."""
        unknown = sorted(set(answers) - set(self.answers))
        if unknown:
            raise MasterError(f"{self.name}: no question {unknown[0]!r}; there are {', '.join(self.answers)}")
        return tuple(replace(cell, source=solution_source(answers.get(cell.question, cell.source)))
                     for cell in self.cells)


def read_master(path: Path | str) -> Master:
    """The master in the text file `path`; raises `MasterError` where it breaks the conventions."""
    path = Path(path)
    cells, wrong, right = [], [], []
    notebook = jupytext.reads(path.read_text(encoding="utf-8"), fmt="py:percent")
    for number, raw in enumerate(notebook.cells, start=1):
        where = f"{path.name}, cell {number}"
        meta = {key: value for key, value in raw.metadata.items() if key not in _LAYOUT}
        _check_marks(where, meta, raw.cell_type)
        if "wrong" in meta:
            wrong.append(Wrong(meta["wrong"], raw.source, meta["at_most"], meta["why"], meta["hint"]))
        elif "right" in meta:
            right.append(Right(meta["right"], raw.source, meta.get("why", "")))
        else:
            _check_blanks(where, raw.source, meta.get("q"))
            cells.append(Cell(raw.cell_type, raw.source, tuple(meta.get("tags", ())), meta.get("q")))
    answers: dict[str, str] = {}
    for cell in cells:
        if cell.question in answers:
            raise MasterError(f"{path.name}: question {cell.question!r} has two answer cells; join them")
        if cell.question:
            answers[cell.question] = cell.source
    for other in (*wrong, *right):
        if other.question not in answers:
            raise MasterError(f"{path.name}: an answer to {other.question!r}, which has no answer cell")
    return Master(path.stem, tuple(cells), answers, tuple(wrong), tuple(right))


def solution_source(source: str) -> str:
    """The source of an answer without its marker lines."""
    return "\n".join(line for line in source.split("\n") if line.strip() not in (BEGIN, END))


def blank_source(source: str, question: str) -> str:
    """The source of an answer with each block from ### SOLUTION to ### END blanked.

    Inside a function the block becomes `raise NotImplementedError(…)`, elsewhere a comment, so that
    a blank notebook still runs from top to bottom.
    """
    lines, inside = [], False
    for number, line in enumerate(source.split("\n"), start=1):
        mark = line.strip()
        if mark == BEGIN:
            inside = True
            indent = line[: len(line) - len(line.lstrip())]
            lines.append(indent + (f'raise NotImplementedError("{question}: your code here")'
                                   if _in_function(source, number) else f"# {question}: your code here"))
        elif mark == END:
            inside = False
        elif not inside:
            lines.append(line)
    return "\n".join(lines)


def code_sources(cells: Iterable[Cell]) -> tuple[str, ...]:
    """The sources of the code cells, in order."""
    return tuple(cell.source for cell in cells if cell.kind == "code")


def _check_marks(where: str, meta: dict, kind: str) -> None:
    """The marks of a cell: known, whole, and only one role."""
    unknown = sorted(set(meta) - _KNOWN)
    if unknown:
        raise MasterError(f"{where}: unknown mark {unknown[0]!r}; known are {', '.join(sorted(_KNOWN))}")
    roles = [role for role in ("q", "wrong", "right") if role in meta]
    if len(roles) > 1:
        raise MasterError(f"{where}: marked both {roles[0]} and {roles[1]}; a cell has one role")
    if roles and kind != "code":
        raise MasterError(f"{where}: {roles[0]}= marks a {kind} cell; answers are code cells")
    if roles and not (isinstance(meta[roles[0]], str) and meta[roles[0]].isidentifier()):
        raise MasterError(f'{where}: {roles[0]}= expected a name such as "q1", got {meta[roles[0]]!r}')
    for mark in ("at_most", "hint"):
        if mark in meta and "wrong" not in meta:
            raise MasterError(f"{where}: {mark}= belongs to a wrong answer only")
    if "wrong" in meta:
        points = meta.get("at_most")
        if isinstance(points, bool) or not isinstance(points, (int, float)) or points < 0:
            raise MasterError(f"{where}: a wrong answer needs at_most=POINTS, at least 0, got {points!r}")
        for mark, what in (("why", "the mistake in a few words"),
                           ("hint", "words of the hint that names it")):
            if not str(meta.get(mark, "")).strip():
                raise MasterError(f'{where}: a wrong answer needs {mark}="…", {what}')


def _check_blanks(where: str, source: str, question: str | None) -> None:
    """An answer cell has whole blocks and a blank that is Python; other cells have no blocks."""
    marks = [line.strip() for line in source.split("\n") if line.strip() in (BEGIN, END)]
    if question is None:
        if marks:
            raise MasterError(f'{where}: {marks[0]} outside an answer cell; mark the cell q="…"')
        return
    if not marks or marks != [BEGIN, END] * (len(marks) // 2):
        raise MasterError(f"{where}: answer {question} needs {BEGIN} … {END} in pairs, "
                          f"got {marks or 'none'}")
    for version in ("answer", "blank"):
        try:
            ast.parse(source if version == "answer" else blank_source(source, question))
        except SyntaxError as error:
            raise MasterError(f"{where}: the {version} of {question} is not Python: "
                              f"line {error.lineno}, {error.msg}") from error


def _in_function(source: str, line: int) -> bool:
    """Whether a line of the source stands inside a function (a solution block is never its last line)."""
    return any(isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
               and node.lineno < line <= node.end_lineno for node in ast.walk(ast.parse(source)))
