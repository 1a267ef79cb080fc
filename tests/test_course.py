"""course.py: its decisions one by one, without network; and once for real, with toy packages (slow)."""

import ast
import importlib.util
import json
import os
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = (ROOT / "course.py").read_text(encoding="utf-8")


@pytest.fixture
def course(tmp_path):
    """course.py as a module that believes to stand in an empty folder with a constraints file."""
    spec = importlib.util.spec_from_file_location("course", ROOT / "course.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.ROOT, module.VENV = tmp_path, tmp_path / ".venv"
    module.STAMP, module.CONSTRAINTS = module.VENV / "stamp.json", tmp_path / "constraints.txt"
    (tmp_path / "constraints.txt").write_text("torch==2.13.0\n")
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    return module


@pytest.fixture
def offline(course, monkeypatch):
    """What set_up does, step by step, with nothing real behind it: a list that fills while it runs."""
    steps = []

    def make_environment(message):
        steps.append("make")
        course.VENV.mkdir()

    monkeypatch.setattr(course, "make_environment", make_environment)
    monkeypatch.setattr(course, "install", lambda mode, gpu: steps.append(f"install {mode}" + " gpu" * gpu))
    monkeypatch.setattr(course, "finds", lambda *modules: course.VENV.exists())
    course.steps = steps
    return course


# What stands in the file


def test_an_old_python_can_read_the_file_and_it_needs_nothing_but_the_standard_library():
    tree = ast.parse(SOURCE, feature_version=(3, 8))
    imported = {alias.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import)
                for alias in node.names}
    imported |= {node.module.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert "venv" not in imported and imported <= set(sys.stdlib_module_names)


def test_the_file_stays_short_enough_to_be_read_first():
    assert len(SOURCE.splitlines()) < 250


# What has to be there


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_the_supported_pythons(course, version):
    course.check_python(version)


@pytest.mark.parametrize("version", ["2.7", "3.8", "3.10", "3.14"])
def test_another_python_is_refused_and_a_good_one_is_pointed_to(course, version):
    with pytest.raises(course.Trouble, match=rf"this is {version}\. Get one"):
        course.check_python(version, which=lambda name: None)
    with pytest.raises(course.Trouble, match=r"python3\.12 course\.py"):
        course.check_python(version, which=lambda name: name in ("python3.11", "python3.12") or None)


def test_missing_venv_support_names_the_package(course):
    course.check_venv_support(find_spec=lambda name: name)
    with pytest.raises(course.Trouble, match=r"lacks ensurepip\..*apt install python3\.\d+-venv"):
        course.check_venv_support(find_spec=lambda name: None if name == "ensurepip" else name)


def test_a_full_disk_is_noticed_before_anything_is_downloaded(course):
    usage = namedtuple("usage", "free")
    course.check_disk(2.0, usage=lambda path: usage(2_100_000_000))
    with pytest.raises(course.Trouble, match=r"about 2\.0 GB.* 1\.9 GB are free"):
        course.check_disk(2.0, usage=lambda path: usage(1_900_000_000))


@pytest.mark.parametrize("output, part", [
    ("ERROR: Could not install packages: OSError: [Errno 28] No space left on device", "disk is full"),
    ("ERROR: [WinError 112] There is not enough space on the disk", "disk is full"),
    ("NewConnectionError('<HTTPSConnection>: Failed to establish a new connection: [Errno -2]')\n"
     "ERROR: No matching distribution found for torch==2.13.0", "no network"),
    ("NameResolutionError: Failed to resolve 'pypi.org' ([Errno -3] Temporary failure in name resolution)",
     "no network"),
    ("ERROR: HTTPSConnectionPool(host='x', port=443): Read timed out.\nReadTimeoutError", "no network"),
    ("ProxyError('Cannot connect to proxy.')", "HTTPS_PROXY"),
    ("ERROR: Could not find a version that satisfies the requirement torch==2.13.0 (from versions: none)\n"
     "ERROR: No matching distribution found for torch==2.13.0", "no torch==2.13.0 for this computer"),
    ("error: something never seen before", "delete the folder .venv"),
])
def test_each_failure_is_explained(course, output, part):
    assert part in course.explain(output)


# What to install

PLAIN = {"rlcourse": "0.1.0", "torch": "2.13.0", "numpy": "2.4.6"}
CUDA = PLAIN | {"nvidia-cublas": "13.1", "nvidia_cudnn_cu13": "9.1", "cuda-bindings": "13.0", "triton": "3.6"}


@pytest.mark.parametrize("packages, gpu, driver, cpu_only, disk", [
    (PLAIN, False, False, False, 2.0),   # macOS, Windows, or an index with CPU builds only
    (CUDA, False, False, True, 2.0),     # Linux without a GPU: spare it the gigabytes
    (CUDA, False, True, False, 9.0),
    (CUDA, True, False, False, 9.0),
    ({"rlcourse": "0.1.0", "tqdm": "4"}, False, False, False, 0.7),
])
def test_cuda_is_left_out_where_there_is_no_driver(course, packages, gpu, driver, cpu_only, disk):
    decided, needed, text = course.decide(packages, gpu, driver)
    assert (decided, needed) == (cpu_only, disk)
    assert ("without CUDA" in text and "--gpu" in text and course.CPU_INDEX in text) is cpu_only
    assert text.startswith(f"{3 if cpu_only else len(packages)} packages")


def test_torch_without_cuda_comes_from_pytorch_and_the_rest_as_usual(course, monkeypatch):
    calls = []
    monkeypatch.setattr(course, "pip", lambda *arguments: calls.append(" ".join(arguments)))
    monkeypatch.setattr(course, "plan", lambda target: CUDA)
    monkeypatch.setattr(course, "has_nvidia_driver", lambda: False)
    monkeypatch.setattr(course, "check_disk", lambda needed: calls.append(f"disk {needed}"))
    course.install("test", gpu=False)
    constraints = f"-c {course.CONSTRAINTS}"
    assert calls == [f"install --quiet pip {constraints}", "disk 2.0",
                     "install --no-deps --index-url https://download.pytorch.org/whl/cpu torch==2.13.0",
                     f"install -e .[dev] {constraints}"]


def test_cuda_can_be_asked_for_later(course, monkeypatch):
    calls = []
    (course.VENV / "lib/python3.11/site-packages/torch-2.13.0+cpu.dist-info").mkdir(parents=True)
    monkeypatch.setattr(course, "pip", lambda *arguments: calls.append(arguments[0]))
    monkeypatch.setattr(course, "plan", lambda target: CUDA)
    monkeypatch.setattr(course, "check_disk", lambda needed: calls.append(needed))
    course.install("lab", gpu=True)
    assert calls == ["install", "uninstall", 9.0, "install"]


# When to install


def test_the_second_call_does_nothing(offline):
    offline.set_up("lab", gpu=False)
    offline.set_up("lab", gpu=False)
    assert offline.steps == ["make", "install lab"]


def test_the_checking_set_serves_for_both_and_the_run_set_does_not(offline):
    for mode in ("lab", "test", "lab"):
        offline.set_up(mode, gpu=False)
    assert offline.steps == ["make", "install lab", "install test"]


def test_cuda_serves_for_both_and_the_cpu_does_not(offline):
    for gpu in (False, True, False):
        offline.set_up("lab", gpu)
    assert offline.steps == ["make", "install lab", "install lab gpu"]


@pytest.mark.parametrize("name", ["constraints.txt", "pyproject.toml"])
def test_changed_pins_are_noticed(offline, name, tmp_path):
    offline.set_up("lab", gpu=False)
    (tmp_path / name).write_text("torch==2.14.0\n")
    offline.set_up("lab", gpu=False)
    assert offline.steps == ["make", "install lab", "install lab"]


def test_an_interrupted_installation_goes_on(offline, monkeypatch, capsys):
    def interrupted(mode, gpu):
        raise KeyboardInterrupt

    monkeypatch.setattr(offline, "check_python", lambda: None)
    with monkeypatch.context() as patch:
        patch.setattr(offline, "install", interrupted)
        assert offline.main(["lab"]) == 130
    assert "goes on from here" in capsys.readouterr().err and not offline.STAMP.exists()
    offline.set_up("lab", gpu=False)
    assert offline.steps == ["make", "install lab"] and "it goes on" in capsys.readouterr().out


def test_an_update_that_is_interrupted_is_not_taken_for_complete(offline, monkeypatch, tmp_path):
    offline.set_up("lab", gpu=False)
    before = (tmp_path / "constraints.txt").read_text()
    (tmp_path / "constraints.txt").write_text("torch==2.14.0\n")
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(offline, "install", lambda mode, gpu: 1 // 0)
        offline.set_up("lab", gpu=False)
    (tmp_path / "constraints.txt").write_text(before)  # back again, but the packages may be anything now
    offline.set_up("lab", gpu=False)
    assert offline.steps == ["make", "install lab", "install lab"]


@pytest.mark.parametrize("unbroken", [(), [("pip",)]], ids=["nothing works", "packages have gone"])
def test_a_broken_environment_is_made_anew(offline, monkeypatch, unbroken):
    offline.set_up("lab", gpu=False)
    monkeypatch.setattr(offline, "finds", lambda *modules: modules in unbroken)
    monkeypatch.setattr(offline, "make_environment", offline.steps.append)
    offline.set_up("lab", gpu=False)
    message, install = offline.steps[2:]
    assert "broken or unfinished; making it anew" in message and install == "install lab"


def test_a_damaged_stamp_counts_as_none(offline):
    offline.set_up("lab", gpu=False)
    offline.STAMP.write_text('{"digest": "half a')
    offline.set_up("lab", gpu=False)
    assert offline.steps == ["make", "install lab", "install lab"]


def test_an_environment_that_is_not_there_finds_nothing(course):
    assert course.finds("json") is False


# The command line


def test_all_arguments_but_gpu_go_on_to_rlcourse(course, monkeypatch):
    asked = []
    monkeypatch.setattr(course, "check_python", lambda: None)
    monkeypatch.setattr(course, "set_up", lambda mode, gpu: asked.append((mode, gpu)))
    monkeypatch.setattr(course, "hand_over", lambda arguments: asked.append(arguments) or 7)
    assert course.main(["lab", "--gpu", "--port", "9000"]) == 7
    assert asked == [("lab", True), ["lab", "--port", "9000"]]


def test_trouble_is_told_in_one_paragraph_on_stderr(course, monkeypatch, capsys):
    def no_venv():
        raise course.Trouble("No venv.")

    monkeypatch.setattr(course, "check_python", lambda: None)
    monkeypatch.setattr(course, "check_venv_support", no_venv)
    assert course.main(["lab"]) == 1
    assert capsys.readouterr().err == "\nNo venv.\n"


@pytest.mark.parametrize("arguments, status", [([], 2), (["lob"], 2), (["--help"], 0)])
def test_help(course, arguments, status, capsys):
    assert course.main(arguments) == status
    assert "python3 course.py lab" in capsys.readouterr().out


# For real: a toy course, installed by the real pip into a real environment from two folders of toy packages

BACKEND = """
import os, sys
sys.path.insert(0, os.environ["TOY_TOOLS"])
from toys import wheel
def build_editable(folder, config_settings=None, metadata_directory=None):
    needs = ["torch", "jupyterlab", 'pytest; extra == "dev"']
    return wheel(folder, "rlcourse", "0.1.0", needs, {"rlcourse_here.pth": os.getcwd()})
"""

TOYS = '''
import os, zipfile
def wheel(folder, name, version, needs=(), files=None):
    """Write a wheel by hand and return its file name."""
    file = f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info/"
    metadata = [f"Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\nProvides-Extra: dev"]
    metadata += [f"Requires-Dist: {need}" for need in needs]
    with zipfile.ZipFile(os.path.join(folder, file), "w") as archive:
        for path, text in (files or {f"{name}/__init__.py": ""}).items():
            archive.writestr(path, text)
        archive.writestr(info + "METADATA", "\\n".join(metadata) + "\\n")
        archive.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        archive.writestr(info + "RECORD", "")
    return file
'''


def make_toy_course(folder: Path) -> dict[str, str]:
    """A course with toy packages around it; returns the environment in which course.py meets only these."""
    home, tools = folder / "course", folder / "tools"
    (home / "rlcourse").mkdir(parents=True)
    tools.mkdir()
    (tools / "toys.py").write_text(TOYS)
    (home / "course.py").write_text(SOURCE)
    (home / "constraints.txt").write_text("torch==1.0\njupyterlab==1.0\n")
    (home / "pyproject.toml").write_text('[build-system]\nrequires = []\nbuild-backend = "backend"\n'
                                         'backend-path = ["."]\n')
    (home / "backend.py").write_text(BACKEND)
    (home / "rlcourse/__main__.py").write_text("import sys\nprint('rlcourse', *sys.argv[1:])\n")
    toys = {}
    exec(TOYS, toys)
    for index, packages in {"everything": [("torch", "1.0", ["nvidia_cudnn"]), ("nvidia_cudnn", "1.0"),
                                           ("jupyterlab", "1.0"), ("jupyterlab", "1.1"), ("pytest", "1.0")],
                            "cpu": [("torch", "1.0+cpu")]}.items():
        for package in packages:
            shelf = folder / index / package[0].replace("_", "-")
            shelf.mkdir(parents=True, exist_ok=True)
            toys["wheel"](shelf, *package)
            links = "".join(f'<a href="{file.name}">{file.name}</a>' for file in sorted(shelf.glob("*.whl")))
            (shelf / "index.html").write_text(f"<!DOCTYPE html><html><body>{links}</body></html>")
    (home / "call.py").write_text(
        "import sys, course\n"
        f"course.CPU_INDEX = {(folder / 'cpu').as_uri()!r}\n"
        "course.has_nvidia_driver = lambda: False\n"
        "sys.exit(course.main(sys.argv[1:]))\n")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    return kept | {"TOY_TOOLS": str(tools), "PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "1",
                   "PIP_INDEX_URL": (folder / "everything").as_uri()}


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only tried on Linux")
def test_a_whole_life_with_the_real_pip(tmp_path):
    environment = make_toy_course(tmp_path)
    home = tmp_path / "course"
    packages = home / f".venv/lib/python3.{sys.version_info[1]}/site-packages"

    def call(*arguments: str, status: int = 0, **extra: str) -> str:
        done = subprocess.run([sys.executable, "call.py", *arguments], cwd=home, env=environment | extra,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
        assert done.returncode == status, done.stdout
        return done.stdout

    first = call("lab", "--port", "9000")
    assert "Making the environment" in first and first.endswith("rlcourse lab --port 9000\n")
    assert "comes without CUDA" in first and "1 CUDA packages" in first and "3 packages go into" in first
    assert (packages / "torch-1.0+cpu.dist-info").exists() and not (packages / "nvidia_cudnn").exists()

    assert call("lab") == "rlcourse lab\n"  # the second call has nothing to say

    (home / "constraints.txt").write_text("torch==1.0\njupyterlab==1.1\n")
    nowhere = call("lab", status=1, PIP_INDEX_URL="http://127.0.0.1:9/simple")
    assert "there is no network" in nowhere and not list(home.glob(".venv/*.json"))
    assert (packages / "jupyterlab-1.0.dist-info").exists()  # what was there is still there
    assert "interrupted; it goes on" in call("lab")
    assert (packages / "jupyterlab-1.1.dist-info").exists()
    assert (packages / "torch-1.0+cpu.dist-info").exists()

    (packages / "jupyterlab/__init__.py").unlink()
    (packages / "jupyterlab").rename(packages / "gone")
    assert "broken or unfinished" in call("lab")
    assert call("lab") == "rlcourse lab\n"

    assert not (packages / "pytest").exists()
    assert call("test", "--fast", "--gpu").endswith("rlcourse test --fast\n")
    assert (packages / "torch-1.0.dist-info").exists() and (packages / "nvidia_cudnn").exists()
    assert (packages / "pytest").exists() and call("lab") == "rlcourse lab\n"
    assert json.loads(next(home.glob(".venv/*.json")).read_text())["gpu"] is True
