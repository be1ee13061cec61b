"""Tokens of a recorded step are those that its author would count, or none, with a word why."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from client_runs import environment_of
from recorded_models import MODELS

from nanocheck.core.kernels import KernelList
from nanocheck.tracing import tokens
from nanocheck.tracing.kernel_list import kernel_lists

HELPER = Path(__file__).parents[1] / "helpers" / "recorded_models.py"
WITHOUT = {"images": tokens.NO_TABLE, "labelled": tokens.OTHER_ROWS}


def _record(folder: Path, *names: str) -> dict[str, tuple[KernelList, int]]:
    ran = subprocess.run(
        [sys.executable, str(HELPER), str(folder), *names],
        env={**environment_of("rtx4090"), "TORCH_WARM_POOL": "0"},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-4000:]
    counted: dict[str, int] = json.loads(ran.stdout.splitlines()[-1])
    return {name: (kernel_lists(folder / name)[0], count) for name, count in counted.items()}


@pytest.fixture(scope="module")
def eager(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[KernelList, int]]:
    return _record(tmp_path_factory.mktemp("eager"), *MODELS)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[KernelList, int]]:
    return _record(tmp_path_factory.mktemp("compiled"), "compiled", *MODELS)


def _holds(name: str, found: tuple[KernelList, int]) -> None:
    kernels, count = found
    assert kernels.tokens == (count or None)
    assert kernels.no_tokens == WITHOUT.get(name)


@pytest.mark.parametrize("name", MODELS)
def test_of_eager_steps(name: str, eager: dict[str, tuple[KernelList, int]]) -> None:
    _holds(name, eager[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_of_compiled_steps(name: str, compiled: dict[str, tuple[KernelList, int]]) -> None:
    assert compiled[name][0].compiled
    _holds(name, compiled[name])
