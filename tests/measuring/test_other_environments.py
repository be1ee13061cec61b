"""A command of another environment: its own torch, nothing of ours installed there, nothing changed there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from paths import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the virtual GPU needs Linux")

TRAIN = """
import os, sys, torch
model = torch.nn.Linear(2048, 2048).cuda()
optimizer = torch.optim.AdamW(model.parameters())
for _ in range(8):
    model(torch.randn(64, 2048, device="cuda")).square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()
print("argv", *sys.argv[1:], flush=True)
"""


#: Nothing of ours is found by the current folder or PYTHONPATH.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
NANOCHECK = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from nanocheck.cli import main; sys.exit(main())"


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment's Python that can import torch, and no nanocheck, nor what nanocheck needs."""
    folder = tmp_path_factory.mktemp("other") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (site,) = (folder / "lib").glob("python*/site-packages")
    for name in _needs("torch"):
        for top in _top_level(name):
            if not (site / top.name).exists():
                (site / top.name).symlink_to(top)
    python = folder / "bin" / "python"
    for absent in ("nanocheck", "msgspec", "elftools"):
        tried = subprocess.run(
            [python, "-c", f"import {absent}"], env=ENVIRONMENT, cwd=folder, capture_output=True
        )
        assert tried.returncode
    return python


def _needs(name: str, seen: frozenset[str] = frozenset()) -> frozenset[str]:
    """A distribution and all that it requires here."""
    from packaging.requirements import Requirement

    try:
        required = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return seen
    seen |= {name}
    for each in map(Requirement, required):
        if each.name not in seen and (each.marker is None or each.marker.evaluate({"extra": ""})):
            seen = _needs(each.name, seen)
    return seen


def _top_level(name: str) -> set[Path]:
    files = metadata.files(name) or []
    return {
        Path(str(each.locate())).parents[len(each.parts) - 2] for each in files if len(each.parts) > 1
    } | {Path(str(each.locate())) for each in files if len(each.parts) == 1 and each.suffix == ".py"}


def run(folder: Path, *command: str, **environment: str) -> dict[str, Any]:
    out = folder / "answer.json"
    done = subprocess.run(
        [sys.executable, "-c", NANOCHECK, "run", "--json", str(out), "--", *command],
        cwd=folder,
        env={**ENVIRONMENT, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert out.exists(), done.stderr
    return {**json.loads(out.read_text()), "stdout": done.stdout, "stderr": done.stderr}


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "train.py"
    path.write_text(TRAIN)
    return path


def peaks(answer: dict[str, Any]) -> list[int]:
    return [each["allocated_bytes"] for each in answer["result"]["processes"]]


def test_another_environment_needs_what_ours_needs(bare: Path, script: Path) -> None:
    before = sorted(bare.parents[1].rglob("*"))
    ours = run(script.parent, sys.executable, "train.py")
    theirs = run(script.parent, str(bare), "train.py", "--lr", "a b")
    assert theirs["verdict"]["kind"] == ours["verdict"]["kind"] == "safe"
    assert theirs["result"]["provenance"] == "virtual"
    assert peaks(theirs) == peaks(ours)
    assert theirs["result"]["processes"][0]["groups"] == ours["result"]["processes"][0]["groups"]
    assert [each for each in before if "__pycache__" not in each.parts] == [
        each for each in sorted(bare.parents[1].rglob("*")) if "__pycache__" not in each.parts
    ]


@pytest.mark.parametrize("launcher", ["bash -c '{python} train.py; true'", "env -S '{python} -u train.py'"])
def test_whoever_starts_it(launcher: str, bare: Path, script: Path) -> None:
    import shlex

    answer = run(script.parent, *shlex.split(launcher.format(python=bare)))
    assert answer["verdict"]["kind"] == "safe"
    assert len(peaks(answer)) == 1


def test_environments_of_one_command_each_get_their_own(bare: Path, script: Path) -> None:
    """Both need the card together; neither is taken for the other."""
    answer = run(script.parent, "bash", "-c", f"{bare} train.py & {sys.executable} train.py; wait")
    assert len(peaks(answer)) == 2
    assert len(set(peaks(answer))) == 1
    assert answer["verdict"]["kind"] == "safe"


def test_a_torch_without_cuda_is_named_when_it_is_imported(tmp_path: Path, bare: Path) -> None:
    """Not where it is merely installed: a launcher may live in such an environment."""
    site = tmp_path / "site"
    (site / "torch").mkdir(parents=True)
    (site / "torch" / "__init__.py").touch()
    (site / "torch" / "version.py").write_text("__version__ = '2.9.1+cpu'\ncuda = None\n")
    imports = run(tmp_path, str(bare), "-c", "import torch", PYTHONPATH=str(site))
    assert imports["verdict"]["kind"] == "unsupported"
    assert "2.9.1+cpu" in imports["result"]["detail"]
    assert str(bare) in imports["result"]["detail"]
    leaves = run(tmp_path, str(bare), "-c", "print('no torch')", PYTHONPATH=str(site))
    assert leaves["verdict"]["kind"] == "no-gpu"


def test_no_card_is_visible_until_the_virtual_one_is_there(bare: Path, tmp_path: Path) -> None:
    """On a machine with a card, a program that we cannot observe must not run on it."""
    answer = run(tmp_path, "bash", "-c", "echo cards=$CUDA_VISIBLE_DEVICES preload=$LD_PRELOAD.")
    assert "cards=the-virtual-one preload=.\n" in answer["stdout"]
    code = "import os; print('cards=' + os.environ['CUDA_VISIBLE_DEVICES'])"
    assert "cards=0\n" in run(tmp_path, "bash", "-c", f'{bare} -c "{code}"')["stdout"]
    own = run(tmp_path, "bash", "-c", f'CUDA_VISIBLE_DEVICES=1 {bare} -c "{code}"')["stdout"]
    assert "cards=1\n" in own


def test_what_is_read_before_the_second_start_is_not_lost(bare: Path, tmp_path: Path) -> None:
    """The script may come on standard input, and its process keeps its id."""
    answer = run(tmp_path, "bash", "-c", f"echo 'import os; print(os.getppid())' | {bare} - & wait; echo $$")
    first, second = answer["stdout"].split()
    assert first == second


def doctor(python: str) -> tuple[int, dict[str, str]]:
    asked = subprocess.run(
        [sys.executable, "-c", NANOCHECK, "doctor", "--json", "--python", python],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    found = json.loads(asked.stdout)
    return asked.returncode, {each["name"]: each["status"] for each in found["checks"]}


def test_doctor_says_what_would_happen_there(bare: Path, tmp_path: Path) -> None:
    code, found = doctor(str(bare))
    assert (code, set(found.values())) == (0, {"ok"})
    code, found = doctor("/bin/sh")
    assert (code, found["Python"], found["a run on it"]) == (3, "fail", "skipped")
