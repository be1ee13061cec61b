"""``nanocheck.run`` and ``nanocheck.measuring``: the same answers as the command line's, typed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import nanocheck
from nanocheck.core.errors import RequestError
from nanocheck.core.result import RunResult
from nanocheck.report.run_file import RunFile, load

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the virtual GPU needs Linux")

TRAIN = """
import sys, torch
torch.empty(int(sys.argv[1]) << 20, dtype=torch.uint8, device="cuda")
"""
MIB = 1 << 20


def allocate(mib: int, *, twice: bool = False) -> None:
    import torch

    held = [torch.empty(mib * MIB, dtype=torch.uint8, device="cuda")]
    if twice:
        held.append(torch.empty_like(held[0]))


def test_a_command(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(TRAIN)
    answer = nanocheck.run([sys.executable, str(script), "300"], gpu="rtx3060", device="virtual", full=True)
    assert isinstance(answer, RunResult)
    assert (answer.verdict.kind, answer.fits, answer.provenance) == ("safe", True, "virtual")
    assert answer.main.allocated_bytes == 300 * MIB
    assert answer.device.gpu == "rtx3060"
    assert "&lt;svg" in answer._repr_html_()
    assert "&lt;html" in answer._repr_html_()  # inside a frame, nothing of it is markup of the notebook's
    path = tmp_path / "run.json"
    path.write_bytes(answer.to_json())
    assert load(path) == RunFile.with_suggestions(answer.judged)


def test_a_function_of_a_module_with_its_arguments() -> None:
    answer = nanocheck.measure(allocate, args=(200,), kwargs={"twice": True}, device="virtual")
    assert answer.main.allocated_bytes == 400 * MIB


def test_a_function_that_does_not_fit_and_one_that_fails() -> None:
    died = nanocheck.measure(allocate, args=(20_000,), device="virtual")
    assert (died.verdict.kind, died.fits) == ("oom", False)
    assert "empty" in str(died)
    failed = nanocheck.measure(allocate, args=("many",), device="virtual")
    assert failed.verdict.kind == "crashed"


@pytest.mark.parametrize("how", ["script", "notebook"])
def test_a_function_of_whatever_runs(how: str, tmp_path: Path) -> None:
    if how == "notebook":
        pytest.importorskip("cloudpickle")
    text = """
import nanocheck

class Settings:
    mib = 64

def train(settings):
    import torch
    torch.empty(settings.mib << 20, dtype=torch.uint8, device="cuda")

if __name__ == "__main__":
    answer = nanocheck.measure(train, args=(Settings(),), device="virtual")
    print(answer.main.allocated_bytes, answer.verdict.kind)
"""
    script = tmp_path / "script.py"
    script.write_text(text)
    command = [sys.executable, str(script)] if how == "script" else [sys.executable, "-c", text]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout.split()[-2:] == [str(64 * MIB), "safe"], done.stderr


def test_what_makes_no_sense_is_said_before_anything_runs() -> None:
    for wrong in ({"gpu": "rtx4711"}, {"sizes": "most"}, {"cover": ["evaluation"]}, {"reserve": "much"}):
        with pytest.raises(RequestError):
            nanocheck.run(["python", "-c", ""], **wrong)  # type: ignore[arg-type]
    with pytest.raises(RequestError):
        nanocheck.run("python train.py")
    with pytest.raises(RequestError):
        nanocheck.measure(allocate, args=(lambda: 0,))


def test_the_package_is_light_until_it_is_asked() -> None:
    code = (
        "import sys, nanocheck; print([n for n in ('msgspec', 'torch', 'nanocheck.api') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
    with pytest.raises(AttributeError):
        _ = nanocheck.walk  # type: ignore[attr-defined]


STEPS = """
import torch
model = torch.nn.Linear(1024, 1024).cuda()
optimizer = torch.optim.AdamW(model.parameters())
for step in range(60):
    model(torch.randn(8, 1024, device="cuda")).square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()
"""


def test_the_time_of_a_step_comes_beside_its_kernels(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(STEPS)
    answer = nanocheck.run([sys.executable, str(script)], gpu="rtx3060", device="virtual", time=True)
    found, kernels = answer.step_time, answer.main.kernels
    assert found is not None
    assert kernels is not None
    assert (found.provenance, found.gpu) == ("modelled", "rtx3060")
    assert found.seconds >= found.floor > 0
    # The output and the weights' gradient; the input needs none.
    assert found.operations == 2 * (2 * 8 * 1024 * 1024)
    path = tmp_path / "run.json"
    path.write_bytes(answer.to_json())
    assert load(path).step_time == found
