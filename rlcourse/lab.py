"""`rlcourse lab`: the student's own copies, the start page, and JupyterLab on top of them."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from rlcourse.copies import update_copies
from rlcourse.startpage import start_page

ROOT = Path(__file__).resolve().parents[1]
START = "START.ipynb"

# Defaults of JupyterLab for this course only; whatever the student has set for themselves goes before.
_LAB_SETTINGS = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
}


def prepare(root: Path = ROOT) -> list[str]:
    """Bring the folder `work` up to date and return what there is to say about it.

    Makes the missing copies, offers newer masters beside the old copies, writes the start page.
    """
    work = root / "work"
    settings = work / ".jupyter" / "labconfig"
    settings.mkdir(parents=True, exist_ok=True)
    (settings / "default_setting_overrides.json").write_text(json.dumps(_LAB_SETTINGS), encoding="utf-8")
    messages = update_copies(root, work)
    (work / START).write_text(start_page(root, work), encoding="utf-8")
    return messages


def free_port(first: int, tries: int = 50) -> int:
    """The first port from `first` on that nothing listens on."""
    for port in range(first, min(first + tries, 65536)):
        with socket.socket() as probe:
            if os.name != "nt":  # as the server does: a port in its closing minute counts as free
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise SystemExit(f"port: none of {first} to {first + tries - 1} is free; give another with --port")


def lab_command(port: int, browser: bool, root: Path = ROOT) -> list[str]:
    """The command line of JupyterLab; a start page can only be named through its address."""
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={root}", f"--port={port}",
               f"--LabApp.default_url=/lab/tree/work/{START}", "--log-level=WARN"]
    if not browser:
        command.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # in a container there is often nobody else
        command.append("--allow-root")
    return command


def lab(port: int = 8888, browser: bool = True, launch: bool = True, root: Path = ROOT) -> int:
    """Prepare `work`, say what is new, and become JupyterLab (unless `launch` is False)."""
    if not 1 <= port <= 65535:
        raise SystemExit(f"--port: expected a number from 1 to 65535, got {port}")
    for line in prepare(root):
        print(line)
    print(f"The course is ready in {root / 'work'}.", flush=True)
    if not launch:
        return 0
    free = free_port(port)
    if free != port:
        print(f"Port {port} is taken (another JupyterLab?); taking {free}.", flush=True)
    print("JupyterLab starts; Ctrl-C here, twice, stops it.", flush=True)
    command = lab_command(free, browser, root)
    folders = [str(root / "work" / ".jupyter"), os.environ.get("JUPYTER_CONFIG_PATH", "")]
    environment = os.environ | {"JUPYTER_CONFIG_PATH": os.pathsep.join(filter(None, folders))}
    if os.name == "nt":
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is JupyterLab's to answer
        return subprocess.run(command, env=environment).returncode
    os.execve(command[0], command, environment)
