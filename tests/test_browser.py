"""The course in a real browser: JupyterLab, every lecture, every widget.

Slow, and skipped where there is no Chromium, unless RLCOURSE_REQUIRE_BROWSER=1. What was seen is
kept in screenshots/; latencies are printed (`-rP` or `-s` shows them), never asserted.
"""

import json
import os
import shutil

import nbformat
import pytest

from rlcourse.grading.notebooks import read_notebook
from rlcourse.grading.pictures import compare_pictures, pinned_matplotlib

REQUIRED = os.environ.get("RLCOURSE_REQUIRE_BROWSER") == "1"
if not REQUIRED:
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed: no browser tests")
import browser_lab as lab_tools  # noqa: E402
from browser_lab import ROOT, SCREENSHOTS  # noqa: E402

pytestmark = [pytest.mark.browser, pytest.mark.slow]
LECTURES = sorted(ROOT.glob("lectures/*.ipynb"))
KEYS = 30        # pressed on the sliders of each widget, to see every one work and to time it

TOY_CELLS = (
    "from rlcourse.notebook import start\nstart()",
    "from toy_widget import toy\ntoy(ask=True)",
    "plain = toy()\nplain",
    "from toy_training import train, draw\nfrom rlcourse.widgets.app.watch import watch\n"
    "last = watch(train(), total=40, draw=draw, every=0.05)\nlast.step",
    "from rlcourse.plots.figures import new_figure\nfigure = new_figure((6, 2))\n"
    "figure.subplots().plot([1, 3, 2])\nfigure.set_label('three points')\nfigure",
    "plain.freeze({'height': (0.0, 1.0, 2.0)})",
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    if lab_tools.chromium() is None:
        missing = "no Chromium on this machine: install chromium from the distribution's packages"
        if REQUIRED:
            pytest.fail(missing)
        pytest.skip(missing)
    home = tmp_path_factory.mktemp("lab")
    with lab_tools.jupyter_lab(home) as server:
        yield home / "course", server


@pytest.fixture
def page(lab, request):
    with lab_tools.browser_page() as page:
        yield page
        # also, and above all, after a failure
        last = SCREENSHOTS / "last-seen" / f"{request.node.name}.png"
        last.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=last)


def write_toy_notebook(folder):
    cells = [nbformat.v4.new_code_cell(source, id=f"toy-{k:03}") for k, source in enumerate(TOY_CELLS)]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    folder.mkdir(exist_ok=True)
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(notebook, folder / "toy.ipynb")


def test_a_small_notebook_in_both_themes(lab, page, capsys):
    folder, server = lab
    write_toy_notebook(folder / "lectures")
    lab_tools.open_notebook(page, server, "lectures/toy.ipynb")
    notebook = lab_tools.run_all_by_menu(page)
    assert lab_tools.errors(notebook) == []
    asking, plain = lab_tools.cards(page, notebook)

    assert not asking.locator(".rlc-picture").is_visible()
    lab_tools.save_shot(asking, "toy/question")
    assert lab_tools.answer_prediction(asking)
    assert "The answer: 4." in asking.text_content()
    assert not lab_tools.answer_prediction(plain)
    assert lab_tools.clipped_texts(asking) == lab_tools.clipped_texts(plain) == []

    first = lab_tools.picture_of(plain)
    times = lab_tools.press_keys(plain, plain.locator(".noUi-handle").first, 29, set())
    assert sum(map(len, times)) == 29
    with capsys.disabled():
        print("\ntoy widget:", lab_tools.summary(times))
    moved = lab_tools.picture_of(plain)
    assert moved != first
    caption = plain.locator(".rlc-caption").text_content()
    plain.get_by_role("button", name="square").click()
    page.wait_for_function("before => document.querySelectorAll('.rlc-caption')[1].textContent !== before",
                           arg=caption)
    assert lab_tools.picture_of(plain) not in (first, moved)

    plain.locator(".noUi-handle").nth(0).press("End")           # height 2 with 8 periods raises
    plain.locator(".noUi-handle").nth(1).press("End")
    plain.locator(".rlc-error").wait_for(state="visible")
    assert "does not break" in plain.locator(".rlc-error").text_content()
    lab_tools.save_shot(plain, "toy/error")
    plain.get_by_role("button", name="Reset").click()
    plain.locator(".rlc-error").wait_for(state="hidden")
    assert lab_tools.picture_of(plain) == first
    lab_tools.show_cell(page, 5)
    frozen = page.locator('.jp-Cell[data-windowed-list-index="5"] .rlc-card')
    slider, visible = frozen.locator(".noUi-handle"), frozen.locator(".rlc-picture:visible")
    assert visible.get_attribute("title") == "A wave with mean square 0.000."
    slider.press("ArrowRight")
    frozen.get_by_text("mean square 0.497").wait_for(state="visible")
    assert visible.get_attribute("title") == "A wave with mean square 0.497."
    lab_tools.save_shot(frozen, "toy/frozen")

    caption = plain.locator(".rlc-caption").text_content()
    assert plain.locator(".rlc-picture").get_attribute("title") == caption

    for theme in ("Dark", "Light"):          # light last: the choice is kept for the next test
        lab_tools.finish(page, f"await window.jupyterapp.commands.execute('apputils:change-theme', "
                               f"{{theme: 'JupyterLab {theme}'}});")
        for selector in (".rlc-caption p", ".rlc-controls .widget-label", ".rlc-try", ".widget-readout"):
            for _ in range(50):  # a theme's styles come a moment after the command has ended
                if (contrast := lab_tools.contrast(plain, selector)) > 4.5:
                    break
                page.wait_for_timeout(100)
            assert contrast > 4.5, (theme, selector)
        lab_tools.save_shot(plain, f"toy/widget-{theme.lower()}")
        lab_tools.save_shot(asking, f"toy/answered-{theme.lower()}")
        page.screenshot(path=SCREENSHOTS / f"toy/page-{theme.lower()}.png")
    assert page.trouble == []


def test_before_it_is_run_a_notebook_shows_the_still_pictures(lab, page):
    folder, server = lab
    write_toy_notebook(folder / "lectures")
    lab_tools.open_notebook(page, server, "lectures/toy.ipynb")
    stored = lab_tools.run_all(page)
    stored["metadata"].pop("widgets", None)                       # as committed notebooks are
    (folder / "lectures" / "stored.ipynb").write_text(json.dumps(stored))
    lab_tools.open_notebook(page, server, "lectures/stored.ipynb")
    for index, kind in ((1, "Explorer"), (3, "last picture"), (4, "figure")):
        lab_tools.show_cell(page, index)
        picture = page.locator(f'.jp-Cell[data-windowed-list-index="{index}"] .jp-OutputArea-output img')
        picture.first.wait_for(state="visible")
        assert picture.first.evaluate("image => image.naturalWidth") >= 800, kind
        lab_tools.save_shot(picture.first, f"toy/still-{index}")
    page.screenshot(path=SCREENSHOTS / "toy/unrun.png")
    assert page.trouble == []


@pytest.mark.parametrize("path", LECTURES, ids=lambda path: path.stem)
def test_a_lecture_runs_and_every_widget_moves(lab, page, path, capsys):
    folder, server = lab
    (folder / "lectures").mkdir(exist_ok=True)
    shutil.copy(path, folder / "lectures" / path.name)            # JupyterLab saves: never the original
    lab_tools.open_notebook(page, server, f"lectures/{path.name}")
    notebook = lab_tools.run_all(page)
    kept = SCREENSHOTS / "executed" / path.name
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(notebook, indent=1, ensure_ascii=False))
    assert lab_tools.errors(notebook) == []

    for number, card in enumerate(lab_tools.cards(page, notebook), start=1):
        name = f"{path.stem}/widget-{number}"
        if lab_tools.answer_prediction(card):
            lab_tools.save_shot(card, f"{name}-answered")
        assert lab_tools.clipped_texts(card) == []
        handles, seen, times = card.locator(".noUi-handle").all(), set(), ([], [])
        for k, handle in enumerate(handles):
            before = lab_tools.picture_of(card)
            new, again = lab_tools.press_keys(card, handle, -(-KEYS // len(handles)), seen)
            assert new, f"{name}: slider {k} never changed the picture"
            assert lab_tools.picture_of(card) != before or again, f"{name}: slider {k}"
            times[0].extend(new)
            times[1].extend(again)
        lab_tools.save_shot(card, name)
        with capsys.disabled():
            print(f"\n{name}:", lab_tools.summary(times))
    assert page.trouble == []

    if pinned_matplotlib(ROOT / "constraints.txt"):
        complaints = compare_pictures(read_notebook(path), notebook)
        assert not complaints, "\n".join(complaints)
