"""The command line, `rlcourse test`, `rlcourse doctor`, and what `import rlcourse` drags in."""

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import conftest
import pytest

from rlcourse import cli, doctor, selftest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def calls(monkeypatch):
    """Every module behind the command line replaced by a list of the calls that reach it."""
    made = []
    for module, name in [("rlcourse.lab", "lab"), ("rlcourse.selftest", "selftest"),
                         ("rlcourse.grading.build", "build"), ("rlcourse.doctor", "doctor")]:
        monkeypatch.setattr(f"{module}.{name}",
                            lambda name=name, **options: made.append((name, options)) or 3)
    return made


@pytest.mark.parametrize("arguments, call", [
    ("lab", ("lab", {"port": 8888, "browser": True, "launch": True})),
    ("lab --port 9000 --no-browser --no-launch", ("lab", {"port": 9000, "browser": False, "launch": False})),
    ("test", ("selftest", {"fast": False})),
    ("test --fast", ("selftest", {"fast": True})),
    ("build", ("build", {"only": None, "check": False, "student_bundle": False})),
    ("build --only 02_imitation --check", ("build", {"only": "02_imitation", "check": True,
                                                     "student_bundle": False})),
    ("build --student-bundle", ("build", {"only": None, "check": False, "student_bundle": True})),
    ("doctor", ("doctor", {})),
])
def test_each_command_is_one_call_and_its_status_comes_back(calls, arguments, call):
    assert cli.main(arguments.split()) == 3
    assert calls == [call]


@pytest.mark.parametrize("arguments", ["", "lob", "lab --port many", "doctor --fast"])
def test_a_wrong_command_line_is_refused(calls, arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments.split())
    assert stop.value.code == 2 and not calls and "usage: rlcourse" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", ["check a.ipynb", "grade folder --exercise 01_foundations --seed 1 --out marks"])
def test_where_processes_cannot_be_locked_that_is_said(monkeypatch, capsys, arguments):
    class Windows:  # all of the module `os` but its name
        name = "nt"

    monkeypatch.setattr(cli, "os", Windows)
    assert cli.main(arguments.split()) == 2
    assert "WSL" in capsys.readouterr().out


def test_python_m_rlcourse_is_the_command():
    command = [sys.executable, "-m", "rlcourse", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and all(name in done.stdout for name in ("lab", "test", "build", "doctor"))


# rlcourse test


def test_all_stages_run_even_behind_a_failure_and_the_summary_tells(capsys):
    ran = []
    statuses = {1: 1, 4: 5}

    def run(stage):
        ran.append(stage)
        return statuses.get(len(ran), 0)

    assert selftest.selftest(run=run) == 1
    assert tuple(ran) == selftest.STAGES
    summary = capsys.readouterr().out.split("[5/5]")[1]
    assert summary.count("passed") == 3 and summary.count("FAILED") == 3  # two stages and the whole
    assert "nothing to run" in summary


def test_fast_is_the_first_stage_alone_and_success_is_0(capsys):
    ran = []
    assert selftest.selftest(fast=True, run=lambda stage: ran.append(stage) or 0) == 0
    assert ran == [selftest.FAST] and "FAILED" not in capsys.readouterr().out


def test_a_missing_checking_set_is_named(monkeypatch, capsys):
    monkeypatch.setattr(selftest, "find_spec", lambda name: None)
    assert selftest.selftest(run=None) == 1
    assert "python3 course.py test" in capsys.readouterr().out


def test_the_stages_leave_no_test_out():
    """slow × browser: each of the four combinations is chosen by exactly one stage."""
    expressions = [stage.arguments[1] for stage in selftest.STAGES if stage.arguments[0] == "-m"]
    for slow in (False, True):
        for browser in (False, True):
            chosen = [text for text in expressions if eval(text, {"slow": slow, "browser": browser})]
            assert len(chosen) == 1, (slow, browser, chosen)


def test_two_processes_share_every_stage_but_the_browsers():
    *shared, browser = selftest.STAGES
    for stage in shared:
        at = stage.arguments.index("-n")
        assert stage.arguments[at:at + 4] == ("-n", "2", "--dist", "loadfile")
    assert "-n" not in browser.arguments


def test_files_that_must_not_meet_go_to_one_process():
    values = {"dist": "loadfile", "tx": ["2*popen"]}
    config = SimpleNamespace(getvalue=values.get)
    scope = conftest.pytest_xdist_make_scheduler(config, None)._split_scope
    together = {scope(f"tests/{name}.py::test_this[some/where.py::that]") for name in conftest.ON_THE_MACHINE}
    assert len(together) == 1
    apart = {scope(f"tests/{name}") for name in ("test_core.py::test_a", "test_a2c.py::test_a", "test_a2c.py::test_b")}
    assert len(apart) == 2 and not apart & together
    values["dist"] = "load"
    assert conftest.pytest_xdist_make_scheduler(config, None) is None


def test_the_files_that_must_not_meet_are_known():
    tests = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "tests").glob("test_*.py")}
    assert conftest.ON_THE_MACHINE <= set(tests)
    signs = re.compile(r"""Path\("/proc|listdir\("/proc|os\.killpg\(|(with|return) open_sandbox\(|psutil\.Process""")
    assert {name for name, text in tests.items() if signs.search(text)} <= conftest.ON_THE_MACHINE


def test_checked_notebooks_are_compared_strictly_on_the_cpu(monkeypatch):
    calls = []

    def run(command, **options):
        calls.append((command, options))
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.delenv("RLCOURSE_CHECKING", raising=False)
    monkeypatch.setattr(selftest, "subprocess", type("fake", (), {"run": staticmethod(run)}))
    strict, blank = [stage for stage in selftest.STAGES if stage.notebooks]
    for stage in (strict, blank, selftest.FAST):
        assert selftest.run_pytest(stage) == 0
    (command, options), (lax, _), (_, plain) = calls
    assert "--nbval" in command and "--nbval-lax" not in command and command[-2:] == ["lectures", "solutions"]
    assert "--nbval-lax" in lax and lax[-1] == "exercises"
    assert options["env"]["RLCOURSE_DEVICE"] == "cpu" and options["env"]["RLCOURSE_CHECKING"] == "1"
    assert "RLCOURSE_CHECKING" not in plain["env"]
    assert all(options["env"]["OMP_NUM_THREADS"] == "1" for _, options in calls)  # two processes, one thread each


# rlcourse doctor


def found(subject: str) -> doctor.Finding:
    return next(finding for finding in doctor.examine() if finding.subject == subject)


def test_the_report_covers_the_run_set_and_the_checking_set():
    subjects = [finding.subject for finding in doctor.examine()]
    assert {"Python", "memory", "disk", "device", "torch", "gymnasium", "pytest", "work/"} <= set(subjects)
    assert len(subjects) == len(set(subjects))


@pytest.mark.parametrize("name, needed, remedy", [("ipywidgets", True, "python3 course.py lab"),
                                                  ("nbval", False, "python3 course.py test")])
def test_a_missing_package_comes_with_the_command_that_mends_it(monkeypatch, capsys, name, needed, remedy):
    version = doctor.version

    def without(package):
        if package == name:
            raise doctor.PackageNotFoundError(package)
        return version(package)

    monkeypatch.setattr(doctor, "version", without)
    finding = found(name)
    assert (finding.found, finding.needed, finding.remedy) == ("missing", needed, remedy)
    assert (f"Not ready: {name}" in (doctor.doctor(), capsys.readouterr().out)[1]) is needed


def test_another_version_is_named_next_to_the_checked_one(monkeypatch):
    monkeypatch.setattr(doctor, "version", lambda name: "1.2.3")
    assert found("torch").found == "1.2.3, where the course is checked with 2.13.0" and found("torch").remedy


def test_torch_that_is_missing_or_broken_does_not_silence_the_report(monkeypatch):
    monkeypatch.setattr(doctor, "find_spec", lambda name: None)
    assert "device" not in [finding.subject for finding in doctor.examine()]
    monkeypatch.undo()

    def broken(choice):
        raise OSError("libtorch_cpu.so: cannot open shared object file")

    monkeypatch.setattr("rlcourse.core.device.choose", broken)
    finding = found("device")
    assert "does not start" in finding.found and "delete the folder .venv" in finding.remedy


def test_an_unknown_device_is_explained(monkeypatch):
    monkeypatch.setenv("RLCOURSE_DEVICE", "tpu")
    finding = found("device")
    assert "tpu" in finding.found and finding.remedy == "unset RLCOURSE_DEVICE"


def test_little_memory_and_disk_are_remarked(monkeypatch):
    monkeypatch.setattr(doctor, "memory_gb", lambda: 1.5)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: type("usage", (), {"free": 10_000_000}))
    assert found("memory").remedy and not found("memory").needed
    assert found("disk").remedy and found("disk").needed


# import rlcourse

HEAVY = ("matplotlib", "IPython", "ipywidgets", "jupyterlab", "jupyter_client", "gymnasium", "scipy",
         "pandas", "nbformat", "jupytext", "tqdm", "torch._dynamo", "torch._inductor")
NUMERIC = ("core", "envs", "exact", "equations", "nets", "data", "planning", "algorithms", "results")


def newly_imported(statements: str) -> set[str]:
    """The modules that `statements` import on top of torch and numpy, in a fresh interpreter."""
    code = ("import sys, numpy, torch\nbefore = set(sys.modules)\n"
            f"{statements}\nprint(*set(sys.modules) - before)")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import_rlcourse_loads_nothing_but_itself():
    assert newly_imported("import rlcourse") == {"rlcourse"}


@pytest.mark.slow
def test_the_numeric_rooms_load_torch_and_nothing_heavy():
    """This is why `import rlcourse` and all that lessons compute with cost little beside `import torch`."""
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
               for room in NUMERIC for path in sorted((ROOT / "rlcourse" / room).rglob("*.py"))]
    assert "rlcourse.core.batch" in modules
    loaded = newly_imported("\n".join(f"import {module}" for module in modules))
    assert set(modules) <= loaded
    heavy = {name for name in loaded if any(name == h or name.startswith(f"{h}.") for h in HEAVY)}
    assert not heavy, sorted(heavy)
