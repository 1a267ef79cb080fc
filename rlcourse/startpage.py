"""The start page `work/START.ipynb`: the map of the course, the student's progress, the topic index."""

import json
import tomllib
from pathlib import Path

_INTRODUCTION = """\
# Deep reinforcement learning

Open a lecture, run it from the top (*Run ▸ Run All Cells*), read, and play with every widget before
you read on: some ask you to guess first. Then do the exercise: fill in the functions, and
`ex.check("q1")` tells you at once what is right and what is not. What you write stands in your own
copies, here in the folder `work/`; nothing overwrites them. To begin one afresh, delete it and start
the course again.
"""

_HELP = """\
## When something is wrong

In a terminal (*File ▸ New ▸ Terminal*), `python -m rlcourse doctor` says what is installed, what is
missing and how to mend it. A cell that will not end is stopped with the square button above the
notebook; *Kernel ▸ Restart* gives a fresh start and loses nothing that is written.

*This page is made anew whenever the course is started; notes made here would be lost.*
"""

_KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def start_page(root: Path, work: Path) -> str:
    """The text of START.ipynb: markdown cells only, from lectures/topics.toml and work/progress.json."""
    index = tomllib.loads((root / "lectures" / "topics.toml").read_text(encoding="utf-8"))
    cells = [_INTRODUCTION, course_map(index, work), topic_index(index, root, work), _HELP]
    notebook = {
        "cells": [{"cell_type": "markdown", "id": f"start-{number}", "metadata": {}, "source": text}
                  for number, text in enumerate(cells)],
        "metadata": {"kernelspec": _KERNEL},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def course_map(index: dict, work: Path) -> str:
    """The lectures in order, as a table: what each needs, its minutes, the exercise, the points so far."""
    points = read_progress(work)
    rows = ["## The course", "", "| | Lecture | Read before | Minutes | Exercise | Your points |",
            "| --- | :--- | :--- | ---: | :--- | :--- |"]
    for name, lecture in index["lectures"].items():
        number, title = _number(name), lecture["title"]
        there = (work / f"{name}.ipynb").exists()
        exercise = f"{name}_exercise.ipynb"
        rows.append(" | ".join([
            f"| {number}", f"[{title}]({name}.ipynb)" if there else f"{title} *(planned)*",
            ", ".join(_number(needed) for needed in lecture["needs"]), str(lecture["minutes"]) if there else "",
            f"[exercise {number}]({exercise})" if (work / exercise).exists() else "",
            _points(points.get(name, {})) + " |"]))
    newer = sorted(path.name for path in work.glob("*.new.ipynb"))
    if newer:
        links = ", ".join(f"[{name}]({name})" for name in newer)
        rows += ["", f"Newer versions, beside your own: {links}."]
    return "\n".join(rows) + "\n"


def topic_index(index: dict, root: Path, work: Path) -> str:
    """Every topic with the place where it is told and what of the library it uses; the planned ones too."""
    lines = ["## Topics", ""]
    groups = {name: f"{_number(name)} {lecture['title']}" for name, lecture in index["lectures"].items()}
    for name, heading in {**groups, "": "Across the course"}.items():
        topics = {ID: topic for ID, topic in index["topics"].items() if _lecture(ID, topic) == name}
        lines += [f"**{heading}**", ""]
        written = {ID: topic for ID, topic in topics.items() if topic["status"] == "written"}
        lines += [f"- {_told(ID, topic, root, work)}" for ID, topic in written.items()]
        planned = [f"{ID} {topic['title']}" for ID, topic in topics.items() if ID not in written]
        lines += [f"- *planned:* {' · '.join(planned)}"] if planned else []
        lines.append("")
    return "\n".join(lines)


def read_progress(work: Path) -> dict[str, dict]:
    """{exercise: {question: {"earned": …, "points": …}}}, as the checks keep it; {} if there is none."""
    try:
        kept = json.loads((work / "progress.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}  # not begun, or damaged: only this page loses by it
    return kept.get("exercises", {}) if isinstance(kept, dict) else {}


def _points(questions: dict[str, dict]) -> str:
    if not questions:
        return ""
    earned = sum(question["earned"] for question in questions.values())
    points = sum(question["points"] for question in questions.values())
    right = sum(question["earned"] == question["points"] for question in questions.values())
    return f"{earned:g} of {points:g} ({right} of {len(questions)} tried right)"


def _lecture(ID: str, topic: dict) -> str:
    return "" if ID.startswith("X") else topic["lecture"].partition(".ipynb")[0]


def _told(ID: str, topic: dict, root: Path, work: Path) -> str:
    """One line for a written topic: a link to its heading, its widget, its questions, its functions."""
    title = f"{ID} {topic['title']}"
    place = topic.get("lecture", "")
    line = f"[{title}]({place})" if place and (work / place.partition("#")[0]).exists() else title
    extras = ["widget"] if topic.get("widget") else []
    extras += [question.partition("#")[2] for question in topic.get("question", [])]
    line += f" ({', '.join(extras)})" if extras else ""
    symbols = topic.get("symbols", [])
    links = [f"[`{symbol.rpartition('.')[2]}`](../{_file(symbol, root)})" for symbol in symbols]
    return f"{line}: {', '.join(links)}" if links else line


def _file(symbol: str, root: Path) -> str:
    """The file, as seen from the root, in which a dotted name stands."""
    parts = symbol.split(".")
    candidates = ["/".join(parts[:cut]) + ".py" for cut in range(len(parts), 0, -1)]
    return next((path for path in candidates if (root / path).exists()), "/".join(parts[:-1]))


def _number(name: str) -> str:
    """Which lecture it is: "05a" of "05a_q_learning"."""
    return name.split("_")[0]
