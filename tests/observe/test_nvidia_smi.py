"""nvidia-smi and NVML of the virtual card, asked by a program that knows nothing of nanocheck."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nanocheck.core.device import Target
from nanocheck.core.device_selection import CardQuestion
from nanocheck.core.gpus import find_gpu
from nanocheck.core.units import MIB
from nanocheck.observe import nvidia_smi
from nanocheck.virtual import card_environment, prepare
from nanocheck.virtual.card import card_text

BIN = Path(nvidia_smi.__file__).parent / "bin"

_SCRIPT = """
import ctypes, json, os, subprocess, torch
kept = torch.empty(1 << 30, dtype=torch.uint8, device="cuda")
def smi(*arguments):
    ran = subprocess.run(["nvidia-smi", *arguments], capture_output=True, text=True, check=True)
    assert not ran.stderr, ran.stderr
    return ran.stdout.strip()
nvml = ctypes.CDLL("libnvidia-ml.so.1")
device, rates, memory = ctypes.c_void_p(), (ctypes.c_uint * 2)(7, 7), (ctypes.c_ulonglong * 3)()
asked = [nvml.nvmlInit_v2(), nvml.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(device)),
         nvml.nvmlDeviceGetUtilizationRates(device, rates), nvml.nvmlDeviceGetMemoryInfo(device, memory),
         nvml.nvmlDeviceGetFanSpeed(device, rates)]
print(json.dumps({
    "list": smi("-L"),
    "csv": smi("--query-gpu=name,memory.total,memory.used,no.such,utilization.gpu", "--format=csv"),
    "number": int(smi("--query-gpu=memory.used", "--format=csv,noheader,nounits", "-i", "0")),
    "apps": smi("--query-compute-apps=pid,used_memory", "--format=csv,noheader"),
    "table": smi(),
    "pid": os.getpid(),
    "nvml": asked, "rates": list(rates), "memory": list(memory),
    "free": torch.cuda.mem_get_info()[0],
}))
"""


def test_a_script_asks_nvidia_smi_and_nvml(tmp_path: Path) -> None:
    card = find_gpu("rtx4070")
    environment = {
        **os.environ,
        **prepare().launch_environment(),
        **card_environment(Target(kind="virtual", gpu=card)),
        "NANOCHECK_RUN": str(tmp_path),
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    }
    (tmp_path / "used-999999999").write_bytes((1 << 40).to_bytes(8, "little"))  # of a process that is gone
    ran = subprocess.run(
        [sys.executable, "-c", _SCRIPT], env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    used = (card.context_bytes + (1 << 30)) // MIB
    total = card.usable_bytes["linux"] // MIB
    assert found["list"] == f"GPU 0: {card.name} (UUID: {nvidia_smi.uuid(0)})"
    assert found["csv"].splitlines() == [
        "name, memory.total [MiB], memory.used [MiB], no.such, utilization.gpu [%]",
        f"{card.name}, {total} MiB, {used} MiB, [N/A], 0 %",
    ]
    assert found["number"] == used
    assert found["apps"] == f"{found['pid']}, {used} MiB"
    assert f"{used}MiB / {total}MiB" in found["table"]
    assert len({len(line) for line in found["table"].splitlines() if line}) == 1
    assert found["nvml"] == [0, 0, 0, 0, 3]  # 3: no such sensor
    assert found["rates"] == [0, 0]
    assert found["memory"] == [
        card.usable_bytes["linux"],
        found["free"],
        card.usable_bytes["linux"] - found["free"],
    ]


def test_without_a_card_it_fails_as_without_a_driver(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NANOCHECK_CARD", "pending")
    assert nvidia_smi.main(["-L"]) == 9
    assert "couldn't communicate" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code"), [(["-i", "1"], 6), (["--query-gpu=name"], 2), (["-q"], 0), (["--version"], 0)]
)
def test_exit_codes_are_those_of_nvidia_smi(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int
) -> None:
    device = Target(kind="virtual", gpu=find_gpu("h100"))
    monkeypatch.setenv("NANOCHECK_CARD", card_environment(device)["NANOCHECK_CARD"])
    assert nvidia_smi.main(arguments) == code


def test_a_machine_with_several_cards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    target = CardQuestion(gpu="1xrtx4090,2xrtx3060").select().target
    monkeypatch.setenv("NANOCHECK_CARD", card_text(target))
    monkeypatch.setenv("NANOCHECK_CARDS", "3")
    monkeypatch.setenv("NANOCHECK_RUN", str(tmp_path))
    held = [0, 0, 5 * MIB, *[0] * 61]
    (tmp_path / f"used-{os.getpid()}").write_bytes(b"".join(each.to_bytes(8, "little") for each in held))

    def said(*arguments: str) -> list[str]:
        assert nvidia_smi.main(arguments) == 0
        return capsys.readouterr().out.splitlines()

    asked = ("--query-gpu=index,count,name,memory.used,gpu_bus_id", "--format=csv,noheader,nounits")
    names = [find_gpu(each).name for each in ("rtx4090", "rtx3060", "rtx3060")]
    rows = [
        f"{index}, 3, {names[index]}, {held[index] // MIB}, 00000000:0{index + 1}:00.0" for index in range(3)
    ]
    assert said(*asked) == rows
    assert said(*asked, "-i", "2,0") == [rows[0], rows[2]]
    assert said(*asked, f"--id={nvidia_smi.uuid(1)}") == [rows[1]]
    assert [line[:6] for line in said("-L")] == ["GPU 0:", "GPU 1:", "GPU 2:"]
    apps = said("--query-compute-apps=pid,gpu_uuid,used_memory", "--format=csv,noheader")
    assert apps == [f"{os.getpid()}, {nvidia_smi.uuid(2)}, 5 MiB"]
    assert nvidia_smi.main(["-i", "3"]) == 6
