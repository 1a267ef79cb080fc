#!/usr/bin/env python3
"""The course in two commands; only Python 3.11, 3.12 or 3.13 and git must be there before.

    python3 course.py lab      opens the course in JupyterLab
    python3 course.py test     runs every check of the course, as CI does

Both make the environment .venv beside this file, install into it what constraints.txt pins, and
hand over to `rlcourse lab` or `rlcourse test`, along with any further arguments. The second call
starts at once; an interrupted installation goes on where it was; a changed constraints.txt is
noticed; a broken environment is made anew.

    --gpu    take torch with CUDA even where no NVIDIA driver is found (matters on Linux only)

Standard library only, and readable for Python 3.8, so that an old Python can say what is wrong.
Used on Linux; written for macOS and Windows as well, but untried there.
"""

import hashlib
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = VENV / "rlcourse-installed.json"  # written when an installation is complete, and only then
CONSTRAINTS = ROOT / "constraints.txt"
TARGETS = {"lab": ".", "test": ".[dev]"}  # the run set, and the checking set, which includes it
PYTHONS = ("3.11", "3.12", "3.13")
THIS_PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"  # PyTorch's own builds without CUDA
CUDA_PACKAGE = re.compile(r"nvidia|cuda|triton")


class Trouble(Exception):
    """Something that the reader can mend; the message says how."""


def check_python(version=THIS_PYTHON, which=shutil.which):
    """Refuse a Python that the course does not run on, and point to one that it does."""
    if version not in PYTHONS:
        found = [f"python{other}" for other in reversed(PYTHONS) if which(f"python{other}")]
        way = (f"This computer has one: call  {found[0]} course.py ..." if found else
               "Get one from python.org/downloads, from your system's packages or from conda.")
        raise Trouble(f"The course needs Python 3.11, 3.12 or 3.13, and this is {version}. {way}")


def check_venv_support(find_spec=importlib.util.find_spec):
    """Some Linux distributions ship Python without the modules that make environments."""
    missing = [name for name in ("venv", "ensurepip") if find_spec(name) is None]
    if missing:
        raise Trouble(f"This Python cannot make environments: it lacks {' and '.join(missing)}. On Debian "
                      f"and Ubuntu, call  sudo apt install python{THIS_PYTHON}-venv  and then this again.")


def check_disk(needed_gb, usage=shutil.disk_usage):
    """Refuse to begin what cannot be finished."""
    free_gb = usage(str(ROOT)).free / 1e9
    if free_gb < needed_gb:
        raise Trouble(f"The disk is too full: this takes about {needed_gb:.1f} GB in {ROOT}, and "
                      f"{free_gb:.1f} GB are free. Make room and call this again.")


def has_nvidia_driver():
    return shutil.which("nvidia-smi") is not None or Path("/proc/driver/nvidia").exists()


def explain(output):
    """One paragraph on why pip or venv failed, from what it printed."""
    if re.search(r"No space left|Errno 28|WinError 112|not enough space", output, re.I):
        return "The disk is full. Make room (this takes about 2 GB, with CUDA 9 GB) and call this again."
    if re.search(r"Connection(Error| refused| reset| broken| timed out)|(Connect|Read)Timeout|unreachable|"
                 r"getaddrinfo|Failed to (establish|resolve)|name resolution|(Proxy|SSL)Error", output, re.I):
        return ("The packages could not be downloaded: there is no network, or a proxy stands in between "
                "(then set HTTPS_PROXY). What has arrived is kept; call this again when the network is back.")
    missing = re.search(r"No matching distribution found for (\S+)", output)
    if missing:
        return (f"There is no {missing.group(1)} for this computer with Python {THIS_PYTHON}. "
                f"Another of {', '.join(PYTHONS)} may have it.")
    return ("The installation failed; the reason stands above. If it says nothing useful, "
            "delete the folder .venv and call this again.")


def python():
    """The interpreter of the environment."""
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def finds(*modules):
    """Whether the environment's Python starts and finds these modules (they are not imported)."""
    look = "import sys; from importlib.util import find_spec; sys.exit(not all(map(find_spec, sys.argv[1:])))"
    command = [str(python()), "-I", "-c", look, *modules]
    try:
        return subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 0
    except OSError:  # no such file, or not a program for this computer
        return False


def make_environment(message):
    check_venv_support()
    print(message, flush=True)
    done = subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    if done.returncode:
        raise Trouble(f"{done.stdout}\n{explain(done.stdout)}")


def pip(*arguments):
    """Run the environment's pip; its failure becomes an explanation. --quiet shows complaints only then."""
    command = [str(python()), "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    quiet, complaints = "--quiet" in arguments, ""
    process = subprocess.Popen(command, cwd=str(ROOT), stderr=subprocess.PIPE, universal_newlines=True,
                               errors="replace")
    for line in process.stderr:
        complaints += line
        if not quiet:
            sys.stderr.write(line)
    if process.wait():
        raise Trouble((complaints + "\n" if quiet else "") + explain(complaints))


def plan(target):
    """{name: version} of what pip would install now: a dry run, which downloads no packages."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        pip("install", "--quiet", "--dry-run", "--report", str(report), "-e", target, "-c", str(CONSTRAINTS))
        items = json.loads(report.read_text(encoding="utf-8"))["install"]
    return {item["metadata"]["name"].lower(): item["metadata"]["version"] for item in items}


def decide(packages, gpu, driver):
    """(torch without CUDA?, GB needed on the disk, what to tell the reader) for a plan of pip.

    A plain torch on Linux brings gigabytes of CUDA, useless without a driver. The sizes are rounded
    up from measurements: pip does not tell them beforehand.
    """
    cuda = [name for name in packages if CUDA_PACKAGE.match(name)]
    cpu_only = bool(cuda) and not gpu and not driver
    if cuda and not cpu_only:
        download, disk = 3.5, 9.0
    elif "torch" in packages:
        download, disk = 0.4, 2.0
    else:
        download, disk = 0.2, 0.7
    count = len(packages) - (len(cuda) if cpu_only else 0)
    text = f"{count} packages go into {VENV}: a download of up to {download} GB."
    if cpu_only:
        text += (f"\nThere is no NVIDIA driver here, so torch comes without CUDA, from {CPU_INDEX}\n"
                 f"({len(cuda)} CUDA packages are left out; --gpu would take them).")
    return cpu_only, disk, text


def install(mode, gpu):
    """Bring the environment to what is pinned; whatever is there already stays."""
    target = TARGETS[mode]
    print("Working out what has to be installed ...", flush=True)
    # The pip that comes with Python may be one that downloads everything even in a dry run.
    pip("install", "--quiet", "pip", "-c", str(CONSTRAINTS))
    if gpu and any(VENV.glob("**/site-packages/torch-*+cpu.dist-info")):
        pip("uninstall", "--quiet", "--yes", "torch")  # or else pip would be content with it
    packages = plan(target)
    cpu_only, disk, text = decide(packages, gpu, has_nvidia_driver())
    if len(packages) > 1:  # the course itself is always among them
        print(text, flush=True)
        check_disk(disk)
    if cpu_only and "torch" in packages:
        pip("install", "--no-deps", "--index-url", CPU_INDEX, f"torch=={packages['torch']}")
    pip("install", "-e", target, "-c", str(CONSTRAINTS))


def wanted(mode, gpu):
    """What a complete installation is: the set of packages, and a digest of all that decides on it."""
    digest = hashlib.sha256(str(ROOT).encode())  # a folder that was moved has to be installed again
    for path in (CONSTRAINTS, ROOT / "pyproject.toml"):
        digest.update(path.read_bytes())
    return {"set": mode, "gpu": gpu, "digest": digest.hexdigest()}


def installed():
    """The stamp of the last complete installation; {} if there is none."""
    try:
        return json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def covers(have, want):
    """Whether installation `have` serves for `want`: the checking set includes the run set."""
    return (have.get("digest") == want["digest"] and have["set"] in (want["set"], "test")
            and have["gpu"] >= want["gpu"])


def set_up(mode, gpu):
    """Make sure that the environment is complete: at once if it is, else make, mend or update it."""
    want, have = wanted(mode, gpu), installed()
    complete = covers(have, want)
    if complete and finds("pip", "rlcourse", "torch", "jupyterlab"):
        return
    if not VENV.exists():
        make_environment("Making the environment .venv ...")
    elif complete or not finds("pip"):
        make_environment("The environment .venv is broken or unfinished; making it anew ...")
    elif not have:
        print("An earlier installation was interrupted; it goes on.", flush=True)
    if STAMP.exists():
        STAMP.unlink()
    install(mode, gpu)
    STAMP.write_text(json.dumps(want), encoding="utf-8")


def hand_over(arguments):
    """Become `rlcourse ARGUMENTS`; Ctrl-C belongs to it from now on."""
    command = [str(python()), "-m", "rlcourse", *arguments]
    os.chdir(str(ROOT))
    if os.name == "nt":
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        return subprocess.call(command)
    os.execv(command[0], command)


def main(arguments):
    if not arguments or arguments[0] not in TARGETS:
        print(__doc__)
        return 0 if arguments[:1] in (["-h"], ["--help"]) else 2
    try:
        check_python()
        set_up(arguments[0], gpu="--gpu" in arguments)
    except Trouble as trouble:
        print(f"\n{trouble}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. The same command goes on from here.", file=sys.stderr)
        return 130
    return hand_over([argument for argument in arguments if argument != "--gpu"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
