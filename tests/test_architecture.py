"""The rules of the library's code hold in every file, and each rule has been seen to fail."""

import re
import subprocess
import sys
from pathlib import Path

import architecture_rules as rules
import jupytext
import pytest
from architecture_rules import File

ROOT = Path(__file__).resolve().parents[1]
RULES = (rules.stays_in_its_room, rules.is_short, rules.has_docstrings, rules.draws_from_named_generators,
         rules.uses_the_names_of_the_course, rules.names_no_machine_path, rules.is_spelt_in_british)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_file_of_the_library_keeps_the_rule(rule):
    files = rules.library(ROOT)
    assert len(files) > 20
    complaints = [complaint for file in files for complaint in rule(file)]
    assert not complaints, "\n" + "\n".join(complaints)


def test_the_prose_of_the_notebooks_is_spelt_in_british():
    # Links, formulas, and the titles of papers (entries of a reference list) are spelt as they are.
    foreign = re.compile(r"\]\([^)]*\)|\$[^$]*\$|^- .*\(\d{4}\)\..*$", re.MULTILINE)
    found = [f"{path.parent.name}/{path.name}: {word}" for folder in ("lectures", "solutions")
             for path in sorted((ROOT / folder).glob("*.py"))
             for cell in jupytext.read(path, fmt="py:percent").cells if cell.cell_type == "markdown"
             for word in rules.american(foreign.sub("", cell.source))]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.slow
def test_importing_the_library_changes_nothing_outside_it():
    # What other packages change when they are imported is their own matter: they come first.
    modules = [file.module for file in rules.library(ROOT) if not file.module.endswith("__main__")]
    code = f"""
import importlib, os, warnings
import IPython, gymnasium, ipywidgets, jupytext, matplotlib, nbclient, numpy, torch

def state():
    return dict(
        torch_rng=torch.get_rng_state().tolist(), threads=torch.get_num_threads(),
        dtype=torch.get_default_dtype(), grad=torch.is_grad_enabled(), numpy_rng=str(numpy.random.get_state()),
        environment=dict(os.environ), folder=os.getcwd(), matplotlib=dict(matplotlib.rcParams),
        warnings=list(warnings.filters))

before = state()
for module in {modules!r}:
    importlib.import_module(module)
print([name for name, value in state().items() if value != before[name]])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stdout + done.stderr[-2000:]


# Negative controls: a snippet for every rule that it must catch, and one that it must let pass.

def complaints_about(path: str, code: str) -> list[str]:
    file = File(path, f'"""A file."""\n{code}\n')
    return [complaint for rule in RULES for complaint in rule(file)]


@pytest.mark.parametrize("path, code, complaint", [
    ("rlcourse/core/x.py", "from rlcourse.envs.tabular import TabularMDP", "core may not import envs"),
    ("rlcourse/equations/x.py", "from ..envs.tabular import TabularMDP", "equations may not import envs"),
    ("rlcourse/equations/x.py", "from .. import exact", "equations may not import exact"),
    ("rlcourse/algorithms/x.py", "def f():\n    from ..exact import lqr", "algorithms may not import exact"),
    ("rlcourse/widgets/models/x.py", "from ...plots.style import use_style",
     "widgets.models may not import plots"),
    ("rlcourse/widgets/models/x.py", "from ..app import explorer", "widgets.models may not import widgets.app"),
    ("rlcourse/widgets/app/x.py", "import rlcourse.exact.lqr", "widgets.app may not import exact"),
    ("rlcourse/plots/x.py", "from ..grading.cases import mark", "plots may not import grading"),
    ("rlcourse/envs/x.py", "from ..cli import main", "envs may not import cli"),
    ("rlcourse/grading/x.py", "from ..widgets.app.watch import watch", "grading may not import widgets.app"),
    ("rlcourse/grading/worker.py", "from ..core.check import require", "runs in the box"),
    ("rlcourse/grading/supervisor.py", "import nbformat", "runs in the box"),
    ("rlcourse/envs/x.py", "import matplotlib.pyplot as plt", "matplotlib may not be imported in envs"),
    ("rlcourse/plots/x.py", "from IPython.display import display", "IPython may not be imported in plots"),
    ("rlcourse/cli.py", "import tqdm", "tqdm may not be imported in cli"),
    ("rlcourse/envs/x.py", "import gymnasium", "gymnasium may not be imported in envs"),
    ("rlcourse/exact/x.py", "import scipy", "scipy may not be imported in exact"),
    ("rlcourse/helpers/x.py", "import torch", "helpers is neither a room nor a client"),
    ("rlcourse/utils.py", "import torch", "utils is neither a room nor a client"),
    ("rlcourse/core/x.py", "x = 1\n" * 249, "251 lines"),
    ("rlcourse/core/x.py", "x = '" + "a" * 115 + "'", ":2: 121 characters"),
    ("rlcourse/core/x.py", "def f(x):\n    return x", "f has no docstring"),
    ("rlcourse/core/x.py", "class A:\n    x = 1", "A has no docstring"),
    ("rlcourse/core/x.py", "import random", "imports random"),
    ("rlcourse/core/x.py", "from torch.distributions import Normal", "imports torch.distributions"),
    ("rlcourse/core/x.py", "import numpy as np\nx = np.random.default_rng(0)", "np.random.default_rng"),
    ("rlcourse/core/x.py", "torch.manual_seed(0)", "torch.manual_seed"),
    ("rlcourse/core/x.py", "torch.cuda.manual_seed(0)", "torch.cuda.manual_seed"),
    ("rlcourse/core/x.py", "torch.rand(3)", "torch.rand without generator="),
    ("rlcourse/core/x.py", "torch.randn_like(x)", "torch.randn_like"),
    ("rlcourse/core/x.py", "torch.empty(3).normal_()", "normal_ without generator="),
    ("rlcourse/core/x.py", "(x + 1).multinomial(1)", "multinomial without generator="),
    ("rlcourse/core/x.py", "nn.init.orthogonal_(w)", "orthogonal_ without generator="),
    ("rlcourse/core/x.py", "layer = nn.Linear(3, 4)", "nn.Linear"),
    ("rlcourse/core/x.py", "layer = torch.nn.Dropout(0.5)", "torch.nn.Dropout"),
    ("rlcourse/core/x.py", "def _f(tau):\n    return tau", "tau means three things"),
    ("rlcourse/core/x.py", "alpha = 3", "alpha means three things"),
    ("rlcourse/core/x.py", 'x = "/home/me/data"', "a machine's path"),
    ("rlcourse/core/x.py", "# see /tmp/x", "a machine's path"),
    ("rlcourse/core/x.py", "# C:\\\\Users", "a machine's path"),
    ("rlcourse/core/x.py", "# the behavior policy", "behavior"),
    ("rlcourse/core/x.py", 'def _f():\n    """Normalizes x."""', "Normalizes"),
    ("rlcourse/core/x.py", "# the optimizer's colors", "optimizer"),
])
def test_a_broken_rule_is_caught(path, code, complaint):
    assert any(complaint in line for line in complaints_about(path, code)), complaints_about(path, code)


@pytest.mark.parametrize("path, code", [
    ("rlcourse/exact/x.py", "from ..envs.tabular import TabularMDP\nfrom .propagation import state_marginals"),
    ("rlcourse/grading/checks/ex02_imitation.py", "from ...algorithms.dagger import train"),
    ("rlcourse/cli.py", "from .grading.build import build\nfrom . import lab, doctor"),
    ("rlcourse/grading/worker.py", "import os, numpy, torch\nfrom .wire import send"),
    ("rlcourse/plots/x.py", "from matplotlib.figure import Figure\n_ = Figure().add_subplot(color=1, alpha=0.5)"),
    ("rlcourse/core/x.py", "torch.rand(3, generator=g)\nx.normal_(0, 1, generator=g)\npolicy.sample(g)"),
    ("rlcourse/core/x.py", "# `behavior`, \"Trust Region Policy Optimization\" (Schulman et al. 2015), work/mine"),
    ("rlcourse/core/x.py", "x = 1\n" * 247),
])
def test_sound_code_passes(path, code):
    assert complaints_about(path, code) == []
