"""The marker ``fits`` and the fixture ``gpu_memory``: the example project and small ones, real children."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import msgspec
import pytest
from documents import DOCS
from paths import QUICK, ROOT

from nanocheck.core.baselines import Baseline, dumps
from nanocheck.pytest_plugin.gpu_tests import further_arguments
from nanocheck.report.run_file import load

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the virtual GPU needs Linux")

UNCHANGED = "test_memory.py::test_a_step_needs_what_it_needed"
#: The parent, which has no GPU, is spared torch, and the children what an optimizer imports beside it: two
#: seconds each. The example project has both.
SMALL = """
import asyncio, pytest

class Torch:
    def __getattr__(self, name):
        import torch
        return getattr(torch, name)

torch = Torch()

def train(rows, width=1024):
    model = torch.nn.Linear(width, width, device="cuda")
    model(torch.empty(rows, width, device="cuda")).sum().backward()
    for each in model.parameters():
        each.data.sub_(each.grad, alpha=0.1)
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("CI", "GITHUB", "PYTEST_"))
    }
    return subprocess.run(
        [sys.executable, "-m", "pytest", "--device", "virtual", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env={**environment, "PYTHONPATH": f"{QUICK}:{ROOT}"},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


def outcomes(folder: Path, text: str, *arguments: str) -> tuple[dict[str, str], dict[str, str]]:
    """Of a small test module: test -> outcome, test -> what it said."""
    (folder / "test_small.py").write_text(SMALL + text)
    done = run(folder, "test_small.py", "--junitxml=junit.xml", *arguments)
    (folder / "out.txt").write_text(done.stdout)
    found, said = {}, {}
    for case in ElementTree.parse(folder / "junit.xml").iter("testcase"):
        kinds = [each for each in case if each.tag in ("failure", "error", "skipped")]
        found[str(case.get("name"))] = kinds[0].tag if kinds else "passed"
        said[str(case.get("name"))] = "".join(f"{each.get('message')}\n{each.text}" for each in kinds)
    assert found, done.stdout
    return found, said


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The project of the documentation."""
    folder = tmp_path / "fits"
    shutil.copytree(DOCS / "examples" / "fits", folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def test_the_example_passes_and_a_forgotten_copy_fails_with_its_line_until_it_is_accepted(
    example: Path,
) -> None:
    """One after the other: what is stored first is what the copy is compared with."""
    shutil.rmtree(example / "baselines", ignore_errors=True)
    assert run(example, "--update-baselines", "-q", "-k", "needs").returncode == 0
    (stored,) = (example / "baselines" / "tests" / "rtx4070").glob("*.json")
    assert str(example) not in stored.read_text()
    done = run(example, "-v", "-n", "2")
    assert done.returncode == 0, done.stdout
    ids = ("promise[rtx3060]", "promise[rtx4070]", "needed", "test_any_batch[1]", "test_any_batch[2]")
    for each in ids:
        assert re.search(rf"PASSED \S*{re.escape(each)}", done.stdout), each

    model = (example / "model.py").read_text()
    changed = model.replace(
        "logits = self.head(x)\n", "logits = self.head(x)\n        copy = logits.float()\n"
    )
    (example / "model.py").write_text(changed.replace("cross_entropy(logits[", "cross_entropy(copy["))
    done = run(example, "-q", UNCHANGED)
    assert done.returncode == 1
    assert "forward allocated: expected 2,4" in done.stdout
    assert "+512.00 MiB logits and loss at `copy = logits.float()`" in done.stdout
    assert run(example, "-q", UNCHANGED, "--update-baselines").returncode == 0
    assert run(example, "-q", UNCHANGED).returncode == 0


def test_what_does_not_fit_fails_with_the_line_and_who_holds_the_rest(tmp_path: Path) -> None:
    found, said = outcomes(
        tmp_path,
        """
@pytest.mark.fits("rtx4070", "rtx4090")
def test_wide():
    held = torch.empty(8 << 30, dtype=torch.uint8, device="cuda")
    torch.empty(5 << 30, dtype=torch.uint8, device="cuda")  # the second

@pytest.mark.fits("rtx4090", margin="21GiB")
def test_within_the_margin():
    train(1 << 18)
""",
        "--nanocheck-results=results",
    )
    assert found == {
        "test_wide[rtx4070]": "failure",
        "test_wide[rtx4090]": "passed",
        "test_within_the_margin": "failure",
    }
    assert "found oom" in said["test_wide[rtx4070]"]
    assert "# the second" in said["test_wide[rtx4070]"]
    assert re.search(r"8,192\.00 .*test_small\.py:\d+ +held = ", said["test_wide[rtx4070]"])
    assert "found tight" in said["test_within_the_margin"]
    kept = [load(each) for each in (tmp_path / "results").iterdir()]
    assert {(each.result.id, each.verdict.kind) for each in kept} == {
        ("test_small.py::test_wide[rtx4070]", "oom"),
        ("test_small.py::test_wide[rtx4090]", "safe"),
        ("test_small.py::test_within_the_margin", "tight"),
    }
    for each in (tmp_path / "results").iterdir():
        assert str(tmp_path) not in each.read_text()
        assert sys.executable not in each.read_text()


def test_the_child_is_a_test_like_any_other(tmp_path: Path) -> None:
    """Its skips and failures are the test's; fixtures are made in the child alone."""
    found, said = outcomes(
        tmp_path,
        """
@pytest.fixture
def cuda():
    assert torch.cuda.is_available()
    yield torch.device("cuda")

@pytest.mark.fits("rtx4070")
def test_skips(cuda):
    pytest.skip("not today")

@pytest.mark.fits("rtx4070")
def test_fails(cuda):
    train(8)
    assert cuda.type == "tpu"

@pytest.mark.fits("rtx4070")
def test_uses_no_gpu():
    pass

@pytest.mark.fits("rtx4070")
async def test_async(cuda):
    pass

@pytest.mark.fits("rtx4070", magrin="1GiB")
def test_typing_error(cuda):
    pass

@pytest.mark.fits("rtx4711")
def test_no_such_card(cuda):
    pass

def test_plain():
    assert not torch.cuda.is_available()
""",
    )
    wrong = ("fails", "uses_no_gpu", "async", "typing_error", "no_such_card")
    assert found == {"test_skips": "skipped", "test_plain": "passed"} | {
        f"test_{each}": "failure" for each in wrong
    }
    assert "not today" in said["test_skips"]
    assert "assert 'cuda' == 'tpu'" in said["test_fails"]
    assert "no-gpu" in said["test_uses_no_gpu"]
    assert "asyncio.run" in said["test_async"]
    assert "magrin" in said["test_typing_error"]
    assert "rtx4711" in said["test_no_such_card"]


def test_without_a_marker_or_the_fixture_nothing_is_different(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text(
        "def test_other(request):\n    assert 'torch' not in request.keywords\n"
    )
    done = run(tmp_path, "-q")
    assert done.returncode == 0
    assert "nanocheck" not in done.stdout


def test_what_the_parent_was_asked_reaches_the_child_and_what_is_its_own_does_not(tmp_path: Path) -> None:
    """An option of the project's own decides; what is expected to fail is the parent's business."""
    (tmp_path / "conftest.py").write_text(
        "import pytest\n"
        "def pytest_addoption(parser):\n    parser.addoption('--batch', type=int, default=1)\n"
        "def pytest_collection_modifyitems(items):\n"
        "    [each.add_marker(pytest.mark.fits('rtx4070')) for each in items if 'later' in each.name]\n"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -W error -m 'not gpu'\nmarkers = gpu: x\n")
    found, said = outcomes(
        tmp_path,
        """
@pytest.mark.gpu
@pytest.mark.fits("rtx4070")
def test_batch(request):
    torch.empty(request.config.getoption("--batch") << 30, dtype=torch.uint8, device="cuda")

@pytest.mark.gpu
def test_marked_later():
    train(8)

@pytest.mark.gpu
@pytest.mark.xfail(strict=True)
@pytest.mark.fits("rtx4070")
def test_passes_after_all():
    train(8)

@pytest.mark.gpu
@pytest.mark.fits("rtx4070")
def test_skips_what_does_not_fit():
    try:
        torch.empty(100 << 30, dtype=torch.uint8, device="cuda")
    except torch.OutOfMemoryError:
        pytest.skip("too large")
""",
        "-m",
        "gpu",
        "--batch",
        "20",
    )
    assert found == {
        "test_batch": "failure",
        "test_marked_later": "passed",
        "test_passes_after_all": "failure",
        "test_skips_what_does_not_fit": "failure",
    }
    assert "found oom" in said["test_batch"]
    assert "XPASS" in said["test_passes_after_all"]
    assert (
        "found oom" in said["test_skips_what_does_not_fit"] or "lost" in said["test_skips_what_does_not_fit"]
    )


def test_cards_that_would_be_dropped_are_refused(tmp_path: Path) -> None:
    found, said = outcomes(
        tmp_path,
        """
import unittest

class TestOfUnittest(unittest.TestCase):
    @pytest.mark.fits("rtx5090", "t4")
    def test_two(self):
        train(8)

@pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.fits("rtx5090", "t4"))])
def test_parameter(x):
    train(8)

@pytest.mark.fits("t4")
@pytest.mark.fits("rtx5090")
def test_stacked():
    train(8)

def test_asked_for_later(request):
    request.getfixturevalue("gpu_memory")
""",
    )
    assert set(found.values()) <= {"failure", "error"}
    for each in ("test_two", "test_parameter[1]"):
        assert "rtx5090, t4" in said[each]
    assert "found several" in said["test_stacked"]
    assert "among the arguments" in said["test_asked_for_later"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (["a.py", "-k", "x", "--batch", "3", "-n2", "--junitxml=j.xml", "-x"], ["--batch", "3"]),
        (["-m", "gpu", "--batch=3", "-vv", "-W", "error", "a.py::t"], ["--batch=3", "-W", "error"]),
    ],
)
def test_which_options_go_on(given: list[str], kept: list[str]) -> None:
    assert further_arguments(given, ["a.py", "a.py::t"]) == kept


def test_results_are_properties_of_the_report_and_bytes_of_another_torch_no_silence(tmp_path: Path) -> None:
    text = """
def test_needs(gpu_memory):
    train(1024)
    assert gpu_memory.peak >= 4 << 20
    gpu_memory.assert_unchanged()
"""
    outcomes(tmp_path, text, "--update-baselines")
    (case,) = ElementTree.parse(tmp_path / "junit.xml").iter("testcase")
    properties = {each.get("name"): each.get("value") for each in case.iter("property")}
    assert (properties["gpu"], properties["provenance"], properties["verdict"]) == (
        "rtx4070",
        "virtual",
        "safe",
    )
    assert int(json.loads(str(properties["peak_allocated_bytes"]))) >= 12 << 20
    (stored,) = (tmp_path / "baselines" / "tests" / "rtx4070").glob("*.json")
    kept = json.loads(stored.read_text())
    kept["environment"]["torch"] = "2.13.0"
    older = load_baseline_as(stored, kept)
    assert older.exists()
    outcomes(tmp_path, text)
    assert "no bytes were compared" in (tmp_path / "out.txt").read_text()
    found, _ = outcomes(tmp_path, text, "--nanocheck-stale=fail")
    assert found == {"test_needs": "failure"}


def load_baseline_as(path: Path, kept: dict[str, Any]) -> Path:
    """The baseline under another torch's name, as that torch would have written it."""
    text = msgspec.json.encode(
        {name: value for name, value in kept.items() if name not in ("schema", "sha256")}
    )
    older = path.with_name("linux-torch2.13.0-virtual.json")
    older.write_text(dumps(msgspec.json.decode(text, type=Baseline)))
    path.unlink()
    return older
