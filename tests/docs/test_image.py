"""The image: its recipe copies what is there, and leaves out of torch only what no virtual run opens."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from paths import ROOT

PATTERNS = [
    line
    for line in (ROOT / "docker" / "never-loaded.txt").read_text().splitlines()
    if line and not line.startswith("#")
]
#: Convolutions are what asks cuDNN for most.
SCRIPT = """
import json, pathlib, torch
layers = torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.Flatten(), torch.nn.Linear(288, 8)
net = torch.nn.Sequential(*layers)
x = torch.randn(4, 3, 8, 8, device="cuda")
optimizer = torch.optim.AdamW(net.cuda().parameters(), fused=True)
torch.compile(net)(x).square().mean().backward()
net(x).square().mean().backward()
optimizer.step()
torch.linalg.eigh(torch.eye(8, device="cuda")); torch.fft.fft(x)
opened = {line.split()[-1] for line in open("/proc/self/maps") if ".so" in line}
pathlib.Path("opened.json").write_text(json.dumps(sorted(opened)))
"""


def site_packages() -> Path:
    import torch

    return Path(torch.__file__).parents[1]


def test_each_pattern_matches_what_is_installed() -> None:
    """The image installs the newest torch: what moved there fails its build."""
    if not (site_packages() / "nvidia").is_dir():
        pytest.skip("torch's libraries are not from wheels here: pip install torch runs it")
    assert [each for each in PATTERNS if not list(site_packages().glob(each))] == []


def test_no_run_opens_what_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SCRIPT)
    verb = [sys.executable, "-m", "nanocheck", "run", "--device", "virtual", "--full", "--"]
    done = subprocess.run(
        [*verb, sys.executable, "train.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    opened = {Path(each).resolve() for each in json.loads((tmp_path / "opened.json").read_text())}
    assert any(each.name.startswith("libtorch_cuda") for each in opened)
    left_out = {path.resolve() for each in PATTERNS for path in site_packages().glob(each)}
    assert opened & left_out == set()


def test_what_it_copies_is_there_and_sent() -> None:
    recipe = (ROOT / "Dockerfile").read_text()
    copied = [
        word
        for line in re.findall(r"^COPY (?!--from)(.*) \S+$", recipe, re.MULTILINE)
        for word in line.split()
    ]
    sent = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert [each for each in (*copied, *sent) if not (ROOT / each).exists()] == []
    assert [each for each in copied if each != "." and each.split("/")[0] not in sent] == []


def test_a_pattern_without_a_match_stops_the_build(tmp_path: Path) -> None:
    """Run in a folder that stands for site-packages."""
    for name in ("lib/used.so", "lib/unused.so.9"):
        (tmp_path / "site" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "site" / name).write_text("")
    python = tmp_path / "python3"
    python.write_text(f"#!/bin/sh\necho {tmp_path / 'site'}\n")
    python.chmod(0o755)
    shell = shutil.which("sh") or "sh"

    def trim(*patterns: str) -> int:
        chosen = tmp_path / "list.txt"
        chosen.write_text("# what goes\n" + "".join(f"{each}\n" for each in patterns))
        path = f"{tmp_path}:{sysconfig.get_path('scripts')}:/usr/bin:/bin"
        command = [shell, str(ROOT / "docker" / "trim.sh"), str(chosen)]
        return subprocess.run(command, env={"PATH": path}, capture_output=True, check=False).returncode

    assert trim("lib/unused.so.*") == 0
    assert [path.name for path in (tmp_path / "site" / "lib").iterdir()] == ["used.so"]
    assert trim("lib/unused.so.*") != 0
