"""The numbers that the text of exercise 01 prints are those of the code that stands below them."""

import re
from pathlib import Path

import pytest
import torch

from rlcourse.envs.maps import four_rooms
from rlcourse.exact.evaluation import value_iteration
from rlcourse.grading.master import read_master

MASTER = read_master(Path(__file__).resolve().parents[1] / "solutions" / "01_foundations.py")


def test_the_table_of_the_bug_hunt_is_what_its_code_gives():
    text = next(cell.source for cell in MASTER.cells if "largest change" in cell.source)
    printed = re.findall(r"^ +(\d+) +(\d\.\d{4}) +(\d\.\d{4})$", text, re.MULTILINE)
    assert len(printed) == 6
    space = {"torch": torch}
    exec(next(cell.source for cell in MASTER.cells if cell.source.startswith("def suspicious")), space)
    rooms = four_rooms()
    tables, beside = (rooms.mdp.transition_probs, rooms.mdp.reward_table), rooms.cells.index((11, 10))
    for rounds, change, value in printed:
        before, after = (space["suspicious_value_iteration"](*tables, 0.9, int(rounds) - back) for back in (1, 0))
        assert float((after - before).abs().max()) == pytest.approx(float(change), abs=5e-5)
        assert float(after[beside]) == pytest.approx(float(value), abs=5e-5)
    right, _ = value_iteration(rooms.mdp, 0.9)
    torch.testing.assert_close(after, 0.9 * right, rtol=0, atol=1e-9)  # the fixed point is γ V*
