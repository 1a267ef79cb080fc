"""The rules for committed notebooks, each a function that returns its complaints, one line each."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

from architecture_rules import MACHINE_PATH
from nbformat import NotebookNode

MAX_BYTES = 1_500_000
# nbval fails on these, or they hide errors: the course's own widgets and watch() need none of them.
FORBIDDEN_NAMES = {"interact", "interactive", "interactive_output", "interact_manual", "clear_output",
                   "Output"}
FORBIDDEN_MAGICS = ("%time", "%%time", "%timeit", "%%timeit", "%%capture")
TEXTS = ("text/plain", "text/html", "text/markdown")
PLUMBING = {"rlcourse.notebook", "rlcourse.grading"}  # start() and exercise(): not subjects of a lecture


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def was_executed_in_order(notebook: NotebookNode) -> list[str]:
    """Every code cell has its number: nbval runs a cell without one but compares nothing."""
    found = []
    for number, cell in enumerate(code_cells(notebook), start=1):
        if not cell.source.strip():
            found.append(f"{cell.id}: an empty code cell")
        elif cell.execution_count != number:
            found.append(f"{cell.id}: execution count {cell.execution_count}, expected {number}")
    return found


def is_normalised(notebook: NotebookNode, name: str) -> list[str]:
    """Stable ids, and nothing that changes from run to run."""
    found = [f"metadata.{key} should not be stored" for key in notebook.metadata
             if key not in ("kernelspec", "language_info")]
    if notebook.metadata.kernelspec.name != "python3" or set(notebook.metadata.language_info) != {"name"}:
        found.append("kernelspec or language_info is that of one machine")
    widgets = 0
    for index, cell in enumerate(notebook.cells):
        if not re.fullmatch(rf"{re.escape(name)}-({index:03d}|[a-z]\w*)", cell.id):
            found.append(f"cell {index + 1}: id {cell.id!r}, expected {name}-{index:03d} or {name}-QUESTION")
        found += [f"{cell.id}: metadata.{key} should not be stored" for key in cell.metadata if key != "tags"]
        for output in cell.get("outputs", []):
            view = output.get("data", {}).get("application/vnd.jupyter.widget-view+json")
            if view:
                if int(view["model_id"], 16) > widgets:
                    found.append(f"{cell.id}: widget model id {view['model_id']} is not numbered")
                widgets += 1
    return found


def shows_no_trouble(notebook: NotebookNode) -> list[str]:
    """No error (unless the cell is tagged raises-exception), nothing on stderr, no path of a machine."""
    found = []
    for cell in code_cells(notebook):
        for output in cell.outputs:
            if output.output_type == "error" and "raises-exception" not in cell.metadata.get("tags", []):
                found.append(f"{cell.id}: {output.ename}: {output.evalue}")
            if output.output_type == "stream" and output.name == "stderr":
                found.append(f"{cell.id}: stderr: {output.text.strip().splitlines()[-1]}")
            texts = [output.get("text", ""), *(output.get("data", {}).get(kind, "") for kind in TEXTS)]
            if MACHINE_PATH.search("\n".join(texts)):
                found.append(f"{cell.id}: shows a path of the machine that built it")
    return found


def avoids_what_cannot_be_checked(notebook: NotebookNode) -> list[str]:
    """No interact, Output, clear_output, display updates, timing magics or trailing semicolons."""
    found = []
    for cell in code_cells(notebook):
        for line in cell.source.splitlines():
            if line.lstrip().startswith(FORBIDDEN_MAGICS):
                found.append(f"{cell.id}: {line.split()[0]}")
        tree = parsed(cell.source)
        for node in ast.walk(tree):
            name = {ast.Name: "id", ast.Attribute: "attr", ast.alias: "name"}.get(type(node))
            if name and getattr(node, name) in FORBIDDEN_NAMES:
                found.append(f"{cell.id}: {getattr(node, name)}")
            if isinstance(node, ast.keyword) and node.arg == "display_id":
                found.append(f"{cell.id}: display_id")
        tokens = tokenize.generate_tokens(io.StringIO(without_magics(cell.source)).readline)
        if any(token.type == tokenize.OP and token.string == ";" for token in tokens):
            found.append(f"{cell.id}: a semicolon (hide a result with `_ = …`)")
    return found


def links_lead_somewhere(notebook: NotebookNode, folder: Path) -> list[str]:
    """Every relative link names a file that is there."""
    return [f"{cell.id}: no file {target}" for cell in notebook.cells if cell.cell_type == "markdown"
            for _, target in links(cell.source)
            if target and "://" not in target and not target.startswith("mailto:")
            and not (folder / target).exists()]


def links_what_it_uses(notebook: NotebookNode, root: Path) -> list[str]:
    """Each name imported from rlcourse is a link to its file by its first use: one click to read.

    The link, with the name in its text, stands in a markdown cell before the first code cell that uses
    the name, or in the one right after it.
    """
    found = []
    for used_as, name, module in imported_names(notebook):
        target = "../" + module_file(module, name, root)
        first = next((index for index, cell in enumerate(notebook.cells)
                      if cell.cell_type == "code" and uses(cell.source, used_as)), len(notebook.cells))
        linked = [index for index, cell in enumerate(notebook.cells) if cell.cell_type == "markdown"
                  for text, link in links(cell.source) if link == target and re.search(rf"\b{name}\b", text)]
        if not linked:
            found.append(f"no link [`{name}`]({target})")
        elif linked[0] > first + 1:
            found.append(f"[`{name}`]({target}) comes only after its first use in {notebook.cells[first].id}")
    return found


def imported_names(notebook: NotebookNode) -> list[tuple[str, str, str]]:
    """What the notebook imports from rlcourse: (the name that it uses, the library's name, the module)."""
    return list(dict.fromkeys((alias.asname or alias.name, alias.name, node.module)
                              for cell in code_cells(notebook) for node in ast.walk(parsed(cell.source))
                              if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "rlcourse"
                              and node.module not in PLUMBING for alias in node.names))


def module_file(module: str, name: str, root: Path) -> str:
    """The file, from the root, that `from module import name` reads the name from."""
    path = Path(*module.split("."))
    if (root / path / f"{name}.py").exists():
        return (path / f"{name}.py").as_posix()
    return (path.with_suffix(".py") if (root / path.with_suffix(".py")).exists()
            else path / "__init__.py").as_posix()


def uses(source: str, name: str) -> bool:
    """Whether the code uses a name other than by importing it."""
    return any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(parsed(source)))


def links(markdown: str) -> Iterator[tuple[str, str]]:
    """The (text, target without #fragment) of the links and pictures; formulas and code blocks left out."""
    plain = re.sub(r"```.*?```|\$\$.*?\$\$|\$[^$\n]+\$", "", markdown, flags=re.DOTALL)
    for match in re.finditer(r"\[([^\]]*)\]\(([^)\s]+)\)", plain):
        yield match[1], match[2].partition("#")[0]


def parsed(source: str) -> ast.Module:
    return ast.parse(without_magics(source))


def without_magics(source: str) -> str:
    """The code with lines that only IPython understands replaced by `pass`."""
    return re.sub(r"^(\s*)[%!].*$", r"\1pass", source, flags=re.MULTILINE)
