"""Asks ``nvidia-smi`` and NVML about the card before and after it holds something.

It knows nothing of nanocheck. ``python smi.py``
"""

import os
import subprocess

import pynvml
import torch


def smi(query):
    command = ["nvidia-smi", f"--query-{query}", "--format=csv,noheader,nounits"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


name, total = smi("gpu=name,memory.total").split(", ")
print("name", name)
print("total", int(total))
pynvml.nvmlInit()
card = pynvml.nvmlDeviceGetHandleByIndex(0)
assert pynvml.nvmlDeviceGetName(card) == name == torch.cuda.get_device_name(0)
before = pynvml.nvmlDeviceGetMemoryInfo(card)
held = torch.zeros(256, 2**20, device="cuda")
after = pynvml.nvmlDeviceGetMemoryInfo(card)
assert after.total == before.total
assert after.used - before.used >= held.numel() * 4, (before, after)
processes = {each.pid: each.usedGpuMemory for each in pynvml.nvmlDeviceGetComputeRunningProcesses(card)}
assert processes[os.getpid()] >= torch.cuda.memory_reserved(), processes
print("driver", pynvml.nvmlSystemGetDriverVersion())
print("used", smi("gpu=memory.used"))
pynvml.nvmlShutdown()
print("utilization", torch.cuda.utilization())
print("peak", torch.cuda.max_memory_allocated())
print("done", 1)
