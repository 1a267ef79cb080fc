"""The rules for the code of the library, each a function of one parsed file that returns complaints."""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MAX_LINES, MAX_COLUMNS = 250, 120

# Which room may import which; every room may import core and itself.
ROOMS = {
    "core": set(),
    "envs": set(),
    "exact": {"envs"},
    "equations": set(),
    "nets": {"envs", "equations"},  # the policy heads call their log-probabilities
    "data": {"envs"},
    "planning": {"envs", "exact"},
    "algorithms": {"envs", "equations", "nets", "data", "planning"},  # never exact: no learner sees the truth
    "results": set(),
    "plots": {"envs", "results"},
    "gym": {"envs", "data", "plots"},
    "widgets.models": {"envs", "exact", "equations", "nets", "data", "planning", "algorithms", "results"},
    "widgets.app": {"widgets.models", "plots"},
    "grading": {"envs", "exact", "equations", "nets", "data", "planning", "algorithms", "results", "plots", "gym",
                "widgets.models"},
}
# Files at the top: what a user calls. They may import every room and each other; no room imports them.
CLIENTS = {"__main__", "cli", "copies", "doctor", "lab", "notebook", "selftest", "startpage"}
# Third-party packages and where they may be imported; the standard library is free.
EVERYWHERE = {"torch", "numpy", "jaxtyping"}
PACKAGES = {"matplotlib": {"plots"}, "ipywidgets": {"widgets.app"}, "IPython": {"widgets.app"},
            "traitlets": {"widgets.app"}, "tqdm": {"widgets.app", "grading"}, "gymnasium": {"gym"}, "PIL": {"plots", "grading"},
            "nbformat": {"grading"}, "nbclient": {"grading"}, "jupytext": {"grading"},
            "jupyter_client": {"grading"}}
# These run beside a student's code in a locked box: standard library, numpy and torch only (and the worker
# lets IPython translate cells with magics, when it meets one).
BOXED = {f"rlcourse/grading/{name}.py" for name in (
    "answers", "compare", "entry", "hints", "limits", "lockdown", "silent", "supervisor", "syscalls", "wire", "worker")}
TRANSLATES_MAGICS = "rlcourse/grading/worker.py"

GREEK = {"tau", "alpha", "beta", "rho", "lam", "lambda_", "lmbda"}
GLOBAL_DRAWS = {"rand", "randn", "randint", "randperm", "normal", "multinomial", "bernoulli", "poisson"}
IN_PLACE_DRAWS = {"normal_", "uniform_", "random_", "bernoulli_", "exponential_", "geometric_", "cauchy_",
                  "log_normal_", "multinomial", "xavier_uniform_", "xavier_normal_", "kaiming_uniform_",
                  "kaiming_normal_", "orthogonal_", "trunc_normal_"}
UNSEEDABLE = {"rand_like", "randn_like", "randint_like", "manual_seed_all", "seed_all", "dropout"}
UNSEEDABLE_LAYERS = {"Linear", "Conv1d", "Conv2d", "Conv3d", "Embedding", "RNN", "GRU", "LSTM", "GRUCell",
                     "LSTMCell", "MultiheadAttention", "Transformer", "Dropout"}
MACHINE_PATH = re.compile(r"(?<![\w.~-])/(home|Users|root|tmp|work|mnt|content)/|\b[A-Z]:\\\\?\w")
AMERICAN = re.compile(r"\b(behavior|neighbor|favor|color|center(?!line)|labeled|model(ed|ing)\b|fulfill|analyz|"
                      r"\w*(?:normal|optim|initial|general|discret|minim|maxim|parameter|regular|summar|"
                      r"visual|linear|penal|real|random|factor)iz(?:e|es|ed|er|ing|ation)\b)\w*", re.IGNORECASE)


@dataclass(frozen=True)
class File:
    """A file of the library: its path from the root with slashes, and its text."""

    path: str
    text: str

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def module(self) -> str:
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @property
    def package(self) -> str:
        return self.module if self.path.endswith("__init__.py") else self.module.rpartition(".")[0]


def library(root: Path) -> list[File]:
    return [File(path.relative_to(root).as_posix(), path.read_text(encoding="utf-8"))
            for path in sorted((root / "rlcourse").rglob("*.py"))]


def room(module: str) -> str:
    """The room (or client) of a dotted module: "rlcourse.widgets.app.x" → "widgets.app"."""
    parts = module.split(".")[1:]
    return ".".join(parts[:2]) if parts[:1] == ["widgets"] else "".join(parts[:1])


def imports(file: File) -> Iterator[str]:
    """Every dotted name that the file imports, also inside functions; relative ones made absolute."""
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = file.package.split(".")
                base = ".".join([*parts[:len(parts) - node.level + 1], *filter(None, [node.module])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def stays_in_its_room(file: File) -> list[str]:
    """Rooms import rooms as in ROOMS, packages as in PACKAGES."""
    here, found = room(file.module), []
    if here not in ROOMS and here not in CLIENTS and here not in ("", "widgets"):
        return [f"{file.path}: {here} is neither a room nor a client of the table"]
    for name in imports(file):
        package = name.split(".")[0]
        there = room(name)
        if (file.path, package) == (TRANSLATES_MAGICS, "IPython"):
            continue
        if file.path in BOXED and not (package in ("torch", "numpy", *sys.stdlib_module_names)
                                       or there == "grading"):
            found.append(f"{file.path}: runs in the box, may not import {name}")
        elif package == "rlcourse":
            allowed = {*ROOMS, *CLIENTS} if here in CLIENTS else {here, "core", *ROOMS.get(here, set())}
            if there not in allowed:
                found.append(f"{file.path}: {here} may not import {there or name}")
        elif package not in sys.stdlib_module_names and package not in EVERYWHERE:
            if here not in PACKAGES.get(package, set()):
                found.append(f"{file.path}: {package} may not be imported in {here}")
    return found


def is_short(file: File) -> list[str]:
    """Fewer than 250 lines of at most 120 characters."""
    lines = file.text.splitlines()
    found = [f"{file.path}:{number}: {len(line)} characters, at most {MAX_COLUMNS} fit"
             for number, line in enumerate(lines, start=1) if len(line) > MAX_COLUMNS]
    if len(lines) >= MAX_LINES:
        found.append(f"{file.path}: {len(lines)} lines, fewer than {MAX_LINES} allowed; one subject a file")
    return found


def has_docstrings(file: File) -> list[str]:
    """A docstring for the file and each public function and class at its top level; rooms hold no more."""
    tree = file.tree
    found = [] if ast.get_docstring(tree) else [f"{file.path}: no docstring"]
    for node in tree.body:
        public = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and node.name[0] != "_"
        if public and not ast.get_docstring(node):
            found.append(f"{file.path}:{node.lineno}: {node.name} has no docstring")
    return found


def draws_from_named_generators(file: File) -> list[str]:
    """No global random number generator is read, written or seeded."""
    found = []

    def complain(node, what):
        found.append(f"{file.path}:{node.lineno}: {what}: draw from core.seeding.generator")

    for name in imports(file):
        if name == "random" or name.startswith(("torch.distributions", "numpy.random")):
            found.append(f"{file.path}: imports {name}: draw from core.seeding.generator")
    for node in ast.walk(file.tree):
        name = dotted(node.func) if isinstance(node, ast.Call) else ""
        first, last = name.split(".")[0], name.split(".")[-1]
        seeded = isinstance(node, ast.Call) and any(word.arg == "generator" for word in node.keywords)
        if isinstance(node, ast.Attribute) and dotted(node).startswith(("np.random.", "numpy.random.",
                                                                        "torch.distributions.")):
            complain(node, dotted(node))
        elif re.fullmatch(r"torch\.(cuda\.|mps\.|random\.)*(manual_seed|seed|set_rng_state)", name):
            complain(node, name)
        elif last in UNSEEDABLE or (last in UNSEEDABLE_LAYERS and first in ("nn", "torch")):
            complain(node, name)
        elif not seeded and ((first == "torch" and last in GLOBAL_DRAWS) or last in IN_PLACE_DRAWS):
            complain(node, f"{name or last} without generator=")
    return found


def dotted(node: ast.expr) -> str:
    """ "torch.cuda.manual_seed" for an attribute chain; anything else than a name counts as "?". """
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def uses_the_names_of_the_course(file: File) -> list[str]:
    """No identifier is a Greek letter that means three things in this field."""
    names = [(node.lineno, node.arg) for node in ast.walk(file.tree) if isinstance(node, ast.arg)]
    names += [(node.lineno, node.id) for node in ast.walk(file.tree)
              if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    return [f"{file.path}:{line}: {name} means three things in this field; name what it is"
            for line, name in names if name in GREEK]


def names_no_machine_path(file: File) -> list[str]:
    """No path of somebody's computer in code, comments or strings."""
    return [f"{file.path}:{number}: a machine's path, {match[0]!r}"
            for number, line in enumerate(file.text.splitlines(), start=1)
            for match in MACHINE_PATH.finditer(line)]


def is_spelt_in_british(file: File) -> list[str]:
    """Comments and docstrings; quoted titles and `code` keep their own spelling."""
    texts = [(token.start[0], token.string) for token in tokenize.generate_tokens(io.StringIO(file.text).readline)
             if token.type == tokenize.COMMENT]
    for node in ast.walk(file.tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node):
            texts.append((node.body[0].lineno, ast.get_docstring(node)))
    return [f"{file.path}:{line}: {word}" for line, text in texts for word in american(text)]


def american(prose: str) -> list[str]:
    """The words of a text that are spelt in American, apart from `code`, "titles" and *titles*."""
    plain = re.sub(r"```.*?```|`[^`]*`|\"[^\"]*\"|“[^”]*”|\*[^*\n]+\*|\([^)]*\d{4}[^)]*\)|https?://\S+", "",
                   prose, flags=re.DOTALL)
    return [match[0] for match in AMERICAN.finditer(plain)]
