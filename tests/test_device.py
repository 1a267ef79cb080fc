"""The device toggle, and the same training on the CPU and on a GPU."""

import json

import pytest
import torch

from rlcourse.core import device, workfolder
from rlcourse.core.seeding import generator
from rlcourse.nets.mlp import MLP
from rlcourse.nets.optim import Adam


@pytest.fixture(autouse=True)
def no_choice_yet(monkeypatch, tmp_path):
    """A process that has chosen nothing, outside the student's folder."""
    monkeypatch.setattr(device, "_SESSION", {})
    for name in ("RLCOURSE_DEVICE", "RLCOURSE_WORK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def pretend(monkeypatch, *names):
    """Pretend that this machine has the CPU and the devices `names`."""
    monkeypatch.setattr(device, "available", lambda name: name in ("cpu", *names))


@pytest.mark.parametrize("there, choice, expected", [
    ((), "auto", "cpu"), ((), "cpu", "cpu"), ((), "cuda", "cpu"), ((), "mps", "cpu"),
    (("cuda",), "auto", "cuda"), (("cuda",), "cpu", "cpu"), (("cuda",), "mps", "cpu"),
    (("mps",), "auto", "mps"), (("mps",), "cuda", "cpu"), (("cuda", "mps"), "auto", "cuda"),
])
def test_every_choice_works_on_every_machine(monkeypatch, there, choice, expected):
    pretend(monkeypatch, *there)
    assert device.choose(choice) == torch.device(expected)


def test_a_missing_device_never_fails_here():
    for choice in device.CHOICES:
        torch.zeros(1, device=device.choose(choice))


def test_an_unknown_name_is_refused_in_one_line(monkeypatch):
    with pytest.raises(ValueError, match="device: expected one of auto, cpu, cuda, mps, got 'gpu'"):
        device.choose("gpu")
    with pytest.raises(ValueError, match="got 'gpu'"):
        device.remember("gpu")
    monkeypatch.setenv("RLCOURSE_DEVICE", "gpu")
    with pytest.raises(ValueError, match="RLCOURSE_DEVICE: expected one of"):
        device.training_device()


def test_outside_the_students_folder_a_choice_lasts_for_the_process_only(monkeypatch, tmp_path):
    pretend(monkeypatch, "cuda")
    assert device.training_device().type == "cuda"
    device.remember("cpu")
    assert device.training_device().type == "cpu"
    assert list(tmp_path.iterdir()) == []


def test_the_students_folder_remembers_and_the_variable_overrides(monkeypatch, tmp_path):
    pretend(monkeypatch, "cuda")
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    device.remember("cpu")
    assert json.loads((folder / "device.json").read_text()) == {"device": "cpu"}
    device._SESSION.clear()                                     # a new process
    assert device.chosen() == "cpu" and device.training_device().type == "cpu"
    monkeypatch.setenv("RLCOURSE_DEVICE", "cuda")
    assert device.training_device().type == "cuda"
    monkeypatch.delenv("RLCOURSE_DEVICE")
    (folder / "device.json").write_text('{"device": "abacus"}')
    assert device.chosen() == "auto"


def test_an_empty_work_variable_remembers_nothing(monkeypatch, tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("RLCOURSE_WORK", "")
    device.remember("cpu")
    assert workfolder.work_folder() is None and list(folder.iterdir()) == []


def test_entries_of_one_file_are_kept_beside_each_other(monkeypatch, tmp_path):
    monkeypatch.setenv("RLCOURSE_WORK", str(tmp_path / "new" / "work"))
    workfolder.keep("notes.json", first="é")
    workfolder.keep("notes.json", second=2)
    assert workfolder.recall("notes.json") == {"first": "é", "second": 2}
    assert [path.name for path in (tmp_path / "new" / "work").iterdir()] == ["notes.json"]


def test_the_toggle_says_what_it_does_and_its_repr_names_no_device(monkeypatch):
    from rlcourse.widgets.app.device import DeviceToggle
    pretend(monkeypatch)
    toggle = DeviceToggle()
    text = repr(toggle)
    assert toggle.buttons.value == "auto" and "runs on: CPU" in toggle.line.value
    toggle.buttons.value = "cuda"
    assert "no cuda here: training runs on the CPU" in toggle.line.value
    assert device.chosen() == "cuda" and device.training_device().type == "cpu"
    assert repr(toggle) == text == "Device for training: auto, cpu, cuda or mps"
    monkeypatch.setenv("RLCOURSE_DEVICE", "cpu")
    forced = DeviceToggle()
    assert forced.buttons.disabled and forced.buttons.value == "cpu" and repr(forced) == text


def fitted(where: torch.device) -> list[torch.Tensor]:
    """Parameters after 25 steps of a small regression, four runs at once, in float64."""
    network = MLP((3, 16, 2), runs=4, seed=0).to(where)
    random = generator(0, "parity")         # drawn on the CPU: the same numbers everywhere
    inputs = torch.randn(4, 32, 3, generator=random, dtype=torch.float64).to(where)
    targets = torch.sin(inputs[..., :2] * inputs[..., 1:])
    adam = Adam(network.parameters(), 1e-2, clip_norm=1.0)
    for _ in range(25):
        adam.zero_grad()
        (network(inputs) - targets).square().mean((1, 2)).sum().backward()
        adam.step()
    return [parameter.detach().cpu() for parameter in network.parameters()]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_training_on_cuda_equals_training_on_the_cpu():
    for on_cpu, on_cuda in zip(fitted(torch.device("cpu")), fitted(torch.device("cuda")), strict=True):
        torch.testing.assert_close(on_cuda, on_cpu, rtol=1e-8, atol=1e-10)
