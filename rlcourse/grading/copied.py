"""Which answers have exactly the syntax tree of the published solution: a flag for a human, never a mark.

Short answers coincide by nature. Names of variables count, comments and docstrings do not.
"""

import ast
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from .cases import Question
from .master import read_master, solution_source

_LONGEST = 50_000  # characters of a cell; nobody writes longer ones, and the parser is C
_COMMAND = re.compile(r"^[ \t]*[%!].*$", re.MULTILINE)  # of IPython

Trees = Mapping[str, str]  # a dump of the syntax tree for each function


def published_trees(exercise: str, solutions: Path) -> Trees:
    """The trees of the published solution; empty where there is none, as in the bundle for students."""
    path = solutions / f"{exercise}.py"
    if not path.exists():
        return {}
    return _trees([solution_source(source) for source in read_master(path).answers.values()])


def same_as_published(cells: Sequence[str], questions: Sequence[Question], published: Trees) -> tuple[str, ...]:
    """The questions of which every function is written as in the published solution."""
    wanted = {name for question in questions for name in question.functions if name in published}
    if not wanted:
        return ()
    mentioned = re.compile(rf"\b({'|'.join(map(re.escape, sorted(wanted)))})\b")
    theirs = _trees([cell for cell in cells if len(cell) <= _LONGEST and mentioned.search(cell)])
    return tuple(question.id for question in questions
                 if all(name in published and theirs.get(name) == published[name] for name in question.functions))


def _trees(cells: Sequence[str]) -> dict[str, str]:
    """A dump for each function at the top level of the cells; of several with one name the last counts."""
    found = {}
    for cell in cells:
        try:
            for node in _parsed(cell).body:
                if isinstance(node, ast.FunctionDef):
                    found[node.name] = ast.dump(_without_docstrings(node))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue  # no Python, or written to break a parser: no flag
    return found


def _parsed(cell: str) -> ast.Module:
    """The syntax tree of a cell, which may hold IPython's % and ! lines."""
    try:
        return ast.parse(cell)
    except SyntaxError:
        return ast.parse(_COMMAND.sub("", cell))


def _without_docstrings(function: ast.FunctionDef) -> ast.FunctionDef:
    for node in ast.walk(function):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and (
                ast.get_docstring(node, clean=False) is not None):
            node.body = node.body[1:]
    return function
