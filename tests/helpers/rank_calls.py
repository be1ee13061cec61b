"""Ranks without PyTorch: a process each, which calls the virtual GPU's NCCL by ctypes, line by line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from virtual_calls import CARD

from nanocheck.virtual import prepare

#: NCCL's numbers of errors.
SYSTEM, ARGUMENT, USAGE, REMOTE = 2, 4, 5, 6

_WORKER = """
import json, os, signal, sys, threading, time
from ctypes import *
gpu = CDLL("libcuda.so.1")
gpu.nanocheck_known.argtypes = [c_void_p, c_void_p, c_size_t]
gpu.nanocheck_lost.argtypes = [c_void_p, c_size_t]
gpu.ncclGetLastError.restype = c_char_p
class Id(Structure):
    _fields_ = [("internal", c_char * 128)]
def memory(size):
    at = c_void_p()
    assert gpu.cudaMalloc(byref(at), c_size_t(max(size, 1))) == 0
    return at
def holding(data, known=True):
    at = memory(len(data))
    assert gpu.cudaMemcpy(at, data, c_size_t(len(data)), 1) == 0
    if not known:
        gpu.nanocheck_lost(at, len(data))
    return at
def content(at, size, start=0):  # None: nobody knows it
    if not gpu.nanocheck_known(at.value + start, at.value + start, size):
        return None
    return string_at(at.value + start, size).hex()
def joined(name, ranks, rank):
    comm = c_void_p()
    assert gpu.ncclCommInitRank(byref(comm), ranks, Id(name.encode()), rank) == 0, said()
    return comm
def said():
    return gpu.ncclGetLastError(None).decode()
def offset(at, size):
    return c_void_p(at.value + size)
rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
for line in sys.stdin:
    request = json.loads(line)
    exec(request["do"], globals())
    print(json.dumps(eval(request["say"], globals())), flush=True)
"""


class Ranks:
    """So many ranks of a run in this folder; ``here`` are those that have a process."""

    def __init__(
        self, folder: Path, size: int, here: Iterable[int] | None = None, **environment: str
    ) -> None:
        self.folder = folder
        self.size = size
        base = {**os.environ, **prepare().launch_environment(), "NANOCHECK_CARD": CARD}
        self.processes = {
            rank: subprocess.Popen(
                [sys.executable, "-S", "-c", _WORKER],
                env=base
                | {"RANK": str(rank), "WORLD_SIZE": str(size), "NANOCHECK_MACHINE": str(folder)}
                | environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for rank in (range(size) if here is None else here)
        }

    def __enter__(self) -> Ranks:
        return self

    def __exit__(self, kind: type | None, error: Exception | None, trace: TracebackType | None) -> None:
        for process in self.processes.values():
            process.kill()
            process.communicate()

    def ask(self, rank: int, do: str, say: str = "None") -> None:
        """Let one rank do something, and go on."""
        pipe = self.processes[rank].stdin
        assert pipe is not None
        pipe.write(json.dumps({"do": do, "say": say}) + "\n")
        pipe.flush()

    def answer(self, rank: int) -> Any:
        """What it says, once it has done so."""
        process = self.processes[rank]
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            assert process.stderr is not None
            raise AssertionError(f"rank {rank} ended: {process.stderr.read()}")
        return json.loads(line)

    def answer_after_start(self, rank: int) -> None:
        """Once its process is there."""
        self.ask(rank, "pass")
        self.answer(rank)

    def all(self, do: str | Sequence[str], say: str = "None") -> list[Any]:
        """Let all that are there do it at the same time; a text each where they differ."""
        for index, rank in enumerate(self.processes):
            self.ask(rank, do if isinstance(do, str) else do[index], say)
        return [self.answer(rank) for rank in self.processes]

    def files(self) -> list[str]:
        """What communicators have left in the run's folder."""
        return sorted(path.name for path in self.folder.glob("nccl-*") if path.name != "nccl-ranks")
