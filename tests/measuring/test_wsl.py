"""A real driver is there, as in /usr/lib/wsl/lib under WSL2: the virtual card can still be chosen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from paths import QUICK, ROOT

from nanocheck.core.device_selection import RealCard, find_real_card
from nanocheck.virtual import build as building

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the virtual GPU needs Linux")

NAME = "NVIDIA GeForce RTX 4070"
#: As much of a driver as is asked before a run; any use of its card would end the process.
DRIVER = f"""
#include <stdlib.h>
#include <string.h>
int cuInit(unsigned flags) {{ return 0; }}
int cuDeviceGetCount(int *count) {{ *count = 1; return 0; }}
int cuDeviceGet(int *device, int ordinal) {{ *device = ordinal; return 0; }}
int cuDeviceGetName(char *name, int length, int device) {{ strncpy(name, "{NAME}", length); return 0; }}
int cuDeviceTotalMem_v2(size_t *bytes, int device) {{ *bytes = (size_t)12282 << 20; return 0; }}
int cuDriverGetVersion(int *version) {{ *version = 13000; return 0; }}
void *cuGetProcAddress_v2(void) {{ abort(); }}
int cuDevicePrimaryCtxRetain(void) {{ abort(); }}
"""
TRAIN = """
import torch
model = torch.nn.Linear(1024, 1024).cuda()
optimizer = torch.optim.SGD(model.parameters())
for _ in range(6):
    model(torch.randn(8, 1024, device="cuda")).square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()
"""


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "wsl" / "lib"
    folder.mkdir(parents=True)
    output = ["-Wl,-soname,libcuda.so.1", "-o", str(folder / "libcuda.so.1")]
    command = [*building.find_compiler(), "-shared", "-fPIC", "-w", "-xc", "-", *output]
    subprocess.run(command, input=DRIVER, text=True, check=True)
    (folder / "libcuda.so").symlink_to("libcuda.so.1")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(folder))
    return folder


def test_the_driver_is_noticed(driver: Path) -> None:
    found = find_real_card()
    assert isinstance(found, RealCard)
    assert (found.name, found.virtual) == (NAME, False)


@pytest.mark.parametrize("launcher", [[], ["bash", "-c", '"$@"; true', "bash"]], ids=["itself", "by a shell"])
def test_the_virtual_card_is_used_where_it_was_chosen(
    launcher: list[str], driver: Path, tmp_path: Path
) -> None:
    (tmp_path / "train.py").write_text(TRAIN)
    out = tmp_path / "answer.json"
    ours = [sys.executable, "-m", "nanocheck", "run", "--device", "virtual", "--json", str(out), "--"]
    done = subprocess.run(
        [*ours, *launcher, sys.executable, "train.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{QUICK}:{ROOT}"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert out.exists(), done.stderr
    answer = json.loads(out.read_text())
    assert answer["result"]["provenance"] == "virtual"
    assert answer["verdict"]["kind"] == "safe"
