"""A JupyterLab server in a temporary home, and a real Chromium that uses it like a student.

Nothing of the user's own Jupyter is read or changed, notebooks are opened as copies (JupyterLab
saves by itself after two minutes), and the browser can reach the loopback interface only.
"""

import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Locator, Page, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeout

ROOT = Path(__file__).resolve().parents[1]
SCREENSHOTS = ROOT / "screenshots"
CHROMIUM_FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-default-apps", "--disable-sync", "--disable-dev-shm-usage", "--no-first-run", "--mute-audio",
    "--force-color-profile=srgb", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
SETTINGS = {
    # the question whether to fetch news covers a corner, and fetching would leave the machine
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}


def chromium() -> str | None:
    """The system's Chromium or Chrome, if there is one."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@contextmanager
def jupyter_lab(home: Path):
    """Serve `home/course`; yields (address, token)."""
    (home / "course").mkdir(parents=True, exist_ok=True)
    for name, content in SETTINGS.items():
        file = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content))
    places = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime",
              "JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
              "IPYTHONDIR": "ipython"}
    environment = {**os.environ, **{name: str(home / place) for name, place in places.items()},
                   "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests"))), "RLCOURSE_DEVICE": "cpu",
                   "RLCOURSE_WORK": "", "OMP_NUM_THREADS": "1"}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token, log = "only-for-this-test", home / "server.log"
    with log.open("w") as out:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", "--no-browser", "--ServerApp.ip=127.0.0.1",
             f"--ServerApp.port={port}", "--ServerApp.port_retries=0", "--ServerApp.allow_root=True",
             f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={home / 'course'}",
             "--LabApp.expose_app_in_browser=True"],
            env=environment, cwd=home, stdout=out, stderr=subprocess.STDOUT)
        try:
            _wait_for_server(server, port, token, log)
            yield f"http://127.0.0.1:{port}", token
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _wait_for_server(server, port, token, log, limit: float = 60.0) -> None:
    begin = time.monotonic()
    while time.monotonic() - begin < limit:
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/status?token={token}", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not start; its log:\n{log.read_text()}")


@contextmanager
def browser_page(width: int = 1400, height: int = 1300):
    """A page of a fresh Chromium; `page.trouble` collects page errors and forbidden requests."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(CHROMIUM_FLAGS))
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(60_000)
        page.trouble = []
        page.on("pageerror", lambda error: page.trouble.append(f"page error: {error}"))
        page.on("request", lambda request: _watch_address(page, request.url))
        page.on("websocket", lambda socket: _watch_address(page, socket.url))
        try:
            yield page
        finally:
            browser.close()


def _watch_address(page: Page, address: str) -> None:
    scheme, _, rest = address.partition(":")
    host = rest.removeprefix("//").split("/")[0].split(":")[0]
    if scheme not in ("data", "blob") and host != "127.0.0.1":
        page.trouble.append(f"request to {address}")


def open_notebook(page: Page, lab: tuple[str, str], path: str) -> None:
    """Open `path` (below the served folder) and wait for its kernel."""
    address, token = lab
    page.goto(f"{address}/lab/tree/{path}?reset&token={token}")
    page.wait_for_function("window.jupyterapp !== undefined")
    finish(page, """const app = window.jupyterapp; await app.restored;
        const open = () => app.shell.currentWidget && app.shell.currentWidget.context;
        while (!open()) await new Promise(r => setTimeout(r, 50));
        await open().ready; await open().sessionContext.ready;
        const kernel = open().sessionContext.session.kernel; await kernel.info; return true;""")


def finish(page: Page, body: str, limit: float = 60.0):
    """Run an async JavaScript body to its end, but no longer than `limit` seconds; its result."""
    page.evaluate(f"""() => {{ window.outcome = undefined;
        (async () => {{ {body} }})().then(value => window.outcome = {{value: value ?? null}},
                                          error => window.outcome = {{error: String(error)}}); }}""")
    page.wait_for_function("window.outcome !== undefined", timeout=1000 * limit)
    outcome = page.evaluate("window.outcome")
    assert "error" not in outcome, outcome
    return outcome["value"]


def run_all(page: Page, limit: float = 180.0) -> dict:
    """Run every cell; the notebook as JSON, outputs included."""
    done = finish(page, "return await window.jupyterapp.commands.execute('notebook:run-all-cells');", limit)
    notebook = notebook_json(page)
    assert done is True or errors(notebook), "the notebook did not run to its end"
    return notebook


def run_all_by_menu(page: Page, limit: float = 60.0) -> dict:
    """The same through the menu, as a student does."""
    last = "window.jupyterapp.shell.currentWidget.content.widgets.findLast(c => c.model.type === 'code')"
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.wait_for_function(f"{last}.model.executionState === 'idle' && {last}.model.executionCount",
                           timeout=1000 * limit)
    return notebook_json(page)


def notebook_json(page: Page) -> dict:
    model = "window.jupyterapp.shell.currentWidget.context.model"
    return json.loads(page.evaluate(f"JSON.stringify({model}.toJSON())"))


def errors(notebook: dict) -> list[str]:
    """Error outputs and texts on stderr, one line each."""
    found = []
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            if output["output_type"] == "error":
                found.append(f"{cell['id']}: {output['ename']}: {output['evalue']}")
            elif output.get("name") == "stderr":
                found.append(f"{cell['id']}: stderr: {''.join(output['text'])[:300]}")
    return found


def cards(page: Page, notebook: dict) -> list[Locator]:
    """Every widget of the course on the page, scrolled to once so that it is attached."""
    found = []
    for index, cell in enumerate(notebook["cells"]):
        texts = [output.get("data", {}).get("text/plain", "") for output in cell.get("outputs", ())]
        count = sum("".join(text).startswith("Explorer ") for text in texts)
        if count:
            show_cell(page, index)
            here = page.locator(f'.jp-Cell[data-windowed-list-index="{index}"] .rlc-card')
            here.first.wait_for(state="attached")
            assert here.count() == count
            found += [here.nth(k) for k in range(count)]
    return found


def show_cell(page: Page, index: int) -> None:
    finish(page, f"await window.jupyterapp.shell.currentWidget.content.scrollToItem({index}, 'start');")


def answer_prediction(card: Locator) -> bool:
    """Choose the first option, if the widget asks for a prediction first."""
    radios = card.locator("input[type=radio]")
    if radios.count() == 0 or not radios.first.is_visible():
        return False
    radios.first.check()
    card.locator(".rlc-picture").wait_for(state="visible")
    return True


def picture_of(card: Locator) -> str:
    """A digest of the picture that the card shows."""
    return card.locator(".rlc-picture").evaluate("""async image => { await image.decode();
        const bytes = await (await fetch(image.src)).arrayBuffer();
        const digest = await crypto.subtle.digest('SHA-256', bytes);
        return [...new Uint8Array(digest)].map(b => b.toString(16)).join(''); }""")


def press_keys(card: Locator, handle: Locator, count: int, seen: set) -> tuple[list[float], list[float]]:
    """Press arrow keys one by one; milliseconds from each key to the new picture on the page.

    Returns (times of settings seen for the first time, times of settings in `seen`, whose finished
    picture the widget remembers). The slider walks to its right end and back. A key that leaves the
    picture as it was, because the frame is the same, counts in neither.
    """
    image, page = card.locator(".rlc-picture"), card.page
    image.evaluate("""image => { window.latency = null; window.pressed = null;
        if (window.watched) window.watched.disconnect();
        const frame = () => new Promise(requestAnimationFrame);
        window.watched = new MutationObserver(async () => { await image.decode(); await frame();
            if (window.pressed) { window.latency = performance.now() - window.pressed;
                                  window.pressed = null; } });
        window.watched.observe(image, {attributes: true, attributeFilter: ['src']});
        if (!window.listening) document.addEventListener('keydown', () => { window.latency = null;
            window.pressed = performance.now(); }, true);
        window.listening = true; }""")
    handle.focus()
    seen.add(setting(card))
    times, key = ([], []), "ArrowRight"
    for _ in range(count):
        place, end = (float(handle.get_attribute(f"aria-value{name}")) for name in ("now", "max"))
        key = "ArrowLeft" if place >= end else "ArrowRight" if place <= 0 else key
        page.keyboard.press(key)
        try:
            page.wait_for_function("window.latency !== null", timeout=5_000)
            times[setting(card) in seen].append(page.evaluate("window.latency"))
        except PlaywrightTimeout:
            pass
        seen.add(setting(card))
    return times


def setting(card: Locator) -> tuple[str, ...]:
    """Where every slider of the card stands."""
    return tuple(handle.get_attribute("aria-valuenow") for handle in card.locator(".noUi-handle").all())


def summary(times: tuple[list[float], list[float]]) -> str:
    """The two medians in words."""
    parts = [f"{statistics.median(some):.0f} ms ({kind}, {len(some)} keys)"
             for kind, some in zip(("new setting", "setting seen before"), times) if some]
    return "median from key to picture: " + ", ".join(parts)


def clipped_texts(card: Locator) -> list[str]:
    """Labels, buttons and captions whose text does not fit."""
    return card.evaluate("""card => [...card.querySelectorAll(
        '.widget-label, .widget-toggle-button, .widget-button, .widget-readout, .rlc-caption')]
        .filter(e => e.offsetParent !== null && e.scrollWidth > e.clientWidth + 1)
        .map(e => e.textContent)""")


def contrast(card: Locator, selector: str) -> float:
    """Contrast ratio (WCAG 2) of a text against the notebook's background."""
    return card.evaluate("""(card, selector) => {
        const paint = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
        const luminance = colour => { paint.fillStyle = colour; paint.fillRect(0, 0, 1, 1);
            const linear = [...paint.getImageData(0, 0, 1, 1).data.slice(0, 3)].map(v => v / 255)
                .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
            return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]; };
        const text = luminance(getComputedStyle(card.querySelector(selector)).color);
        const back = luminance(getComputedStyle(document.body).getPropertyValue('--jp-layout-color0'));
        return (Math.max(text, back) + 0.05) / (Math.min(text, back) + 0.05); }""", selector)


def save_shot(locator: Locator, name: str) -> Path:
    """Keep a picture of what is seen in `screenshots/`."""
    file = SCREENSHOTS / f"{name}.png"
    file.parent.mkdir(parents=True, exist_ok=True)
    locator.scroll_into_view_if_needed()
    locator.screenshot(path=file)
    return file
