"""The student's own passing functions, kept in `work/mine/` for later lessons to run.

What is kept is source text: the function, and from the cells that were run in the notebook whatever
it needs (imports, helper functions, constants). It is loaded into a fresh namespace and checked again
before it is used. The file is a copy; the student's notebook is never touched.
"""

import ast
import os
from collections.abc import Callable, MutableMapping
from pathlib import Path

from ..core.workfolder import work_folder
from .answers import Answers
from .cases import Question, mark

_HEADER = "# A copy of your answer, made when ex.check({id!r}) passes. Edit the notebook, not this file.\n"


def remembers() -> bool:
    """Whether a student sits here: in the folder `work`, and not in a build, a test or grading."""
    return work_folder() is not None and not os.environ.get("RLCOURSE_CHECKING")


def save(exercise: str, question: Question, namespace: MutableMapping[str, object]) -> bool:
    """Keep the source of a question's functions, if it passes on its own; whether it was kept.

    A function that leans on something that only lives in the notebook (a trained network, say)
    does not pass on its own and is not kept.
    """
    if not remembers():
        return False
    source = needed_source([str(cell) for cell in namespace.get("In", ())], list(question.functions))
    if not _passing(source, question):
        return False
    path = _path(exercise, question)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    beside.write_text(_HEADER.format(id=question.id) + source, encoding="utf-8")
    beside.replace(path)
    return True


def load(exercise: str, question: Question, function: str) -> Callable:
    """The saved function if it passes, else the library's; prints one line that says which."""
    path = _path(exercise, question) if remembers() else None
    if path is None or not path.is_file():
        print(f"{function}: the library's (yours is used here once {question.id} of {exercise} passes)")
        return question.functions[function]
    namespace = _passing(path.read_text(encoding="utf-8"), question)
    if not namespace:
        print(f"{function}: the library's (your saved answer to {question.id} of {exercise} passes no more)")
        return question.functions[function]
    print(f"{function}: yours")
    return namespace[function]


def needed_source(cells: list[str], names: list[str]) -> str:
    """The imports and definitions in `cells` that the definitions of `names` need, in the order of the cells.

    Where a name was defined several times the last one counts. Assignments are taken only
    if they are plain constants: anything else might start a training run when loaded.
    """
    definitions: dict[str, tuple[int, str, ast.stmt]] = {}
    stars: list[tuple[int, str, ast.stmt]] = []
    position = 0
    for cell in cells:
        try:
            statements = ast.parse(cell).body
        except SyntaxError:
            continue  # a cell that never ran defines nothing
        for statement in statements:
            position += 1
            entry = (position, ast.unparse(statement) if isinstance(statement, ast.Assign)
                     else _segment(cell, statement), statement)
            for name in _bound(statement):
                if name == "*":
                    stars.append(entry)
                else:
                    definitions[name] = entry
    wanted, taken = list(names), {}
    while wanted:
        entry = definitions.get(wanted.pop())
        if entry and entry[0] not in taken:
            taken[entry[0]] = entry[1]
            wanted += [node.id for node in ast.walk(entry[2]) if isinstance(node, ast.Name)]
    taken |= {number: text for number, text, _ in stars}
    return "\n".join(taken[number] for number in sorted(taken)) + "\n"


def _segment(cell: str, statement: ast.stmt) -> str:
    """The text of a statement with its decorators and comments."""
    first = min([statement.lineno, *(d.lineno for d in getattr(statement, "decorator_list", ()))])
    return "\n".join(cell.splitlines()[first - 1:statement.end_lineno])


def _bound(statement: ast.stmt) -> list[str]:
    """The names that an import, a definition or a constant gives to a notebook."""
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        # `import a.b` binds a; `from a import b` binds b, and possibly *.
        return [alias.asname or alias.name.split(".")[0] for alias in statement.names]
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        return [statement.name]
    if isinstance(statement, ast.Assign) and _is_constant(statement.value):
        return [target.id for target in statement.targets if isinstance(target, ast.Name)]
    return []


def _is_constant(value: ast.expr) -> bool:
    try:
        ast.literal_eval(value)
    except ValueError:
        return False
    return True


def _passing(source: str, question: Question) -> dict[str, object]:
    """The namespace that `source` makes, or an empty one if it does not pass all checks."""
    namespace: dict[str, object] = {"__name__": "mine"}
    try:
        exec(compile(source, "<your saved answer>", "exec"), namespace)
    except Exception:  # whatever the old text does, the library's function takes its place, and load says so
        return {}
    return namespace if mark(question, Answers(namespace)).full else {}


def _path(exercise: str, question: Question) -> Path:
    return work_folder() / "mine" / exercise / f"{question.id}.py"
