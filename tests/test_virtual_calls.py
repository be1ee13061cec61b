"""Single calls into the virtual GPU and its NVML, as a program without PyTorch makes them: ctypes in a child."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

from nanocheck.device import Device
from nanocheck.gpus import find_gpu
from nanocheck.virtual import card_environment, prepare

CARD = card_environment(Device(kind="virtual", gpu=find_gpu("rtx4070")))["NANOCHECK_CARD"]

_PRELUDE = """
import ctypes
from ctypes import *
gpu, nvml = CDLL("libcuda.so.1"), CDLL("libnvidia-ml.so.1")
gpu.nanocheck_known.argtypes = [c_void_p, c_void_p, c_size_t]
"""


def call(code: str, *, card: str | None = CARD, preload: str = "") -> list[str]:
    """The words that the code prints; it finds ``gpu`` and ``nvml``, and the card unless there is none."""
    environment = {**os.environ, **prepare().launch_environment()}
    environment["LD_PRELOAD"] = preload + environment["LD_PRELOAD"]
    del environment["NANOCHECK_CARD"]
    if card is not None:
        environment["NANOCHECK_CARD"] = card
    done = subprocess.run(
        [sys.executable, "-S", "-c", _PRELUDE + textwrap.dedent(code)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (done.returncode, done.stderr)
    return done.stdout.split()


NO_DEVICE, INVALID_VALUE = "100", "1"


@pytest.mark.parametrize("card", [None, "pending"])
@pytest.mark.parametrize(
    "function",
    [
        "cuDeviceComputeCapability(byref(a), byref(b), 0)",
        "cuDeviceGetAttribute(byref(a), 75, 0)",
        "cudaDeviceGetAttribute(byref(a), 75, 0)",
        "cuOccupancyMaxActiveBlocksPerMultiprocessor(byref(a), None, 128, c_size_t(0))",
        "cuOccupancyMaxActiveClusters(byref(a), None, None)",
        "cudaOccupancyMaxActiveBlocksPerMultiprocessor(byref(a), None, 128, c_size_t(0))",
        "cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(byref(a), None, 128, c_size_t(0), 0)",
        "cudaFuncGetAttributes(create_string_buffer(1024), None)",
        "cudaGetDeviceProperties(create_string_buffer(4096), 0)",
        "cudaMemGetInfo(create_string_buffer(8), create_string_buffer(8))",
        "cudaMalloc(create_string_buffer(8), c_size_t(1))",
        "cuMemCreate(create_string_buffer(8), c_size_t(2 << 20), None, c_ulonglong(0))",
    ],
)
def test_before_a_card_is_chosen_calls_fail_by_an_error(function: str, card: str | None) -> None:
    assert call(f"a, b = c_int(-7), c_int(-7); print(gpu.{function}, a.value)", card=card) == [
        NO_DEVICE,
        "-7",
    ]


def test_a_card_that_is_chosen_later_answers_from_then_on() -> None:
    code = f"""
        libc, a, b = CDLL(None), c_int(-7), c_int(-7)
        print(gpu.cuDeviceComputeCapability(byref(a), byref(b), 0))
        libc.setenv(b"NANOCHECK_CARD", {CARD!r}.encode(), 1)
        print(gpu.cuDeviceComputeCapability(byref(a), byref(b), 0), a.value, b.value)
        print(gpu.cudaOccupancyMaxActiveBlocksPerMultiprocessor(byref(a), None, 512, c_size_t(0)), a.value)
    """
    assert call(code, card="pending") == [NO_DEVICE, "0", "8", "9", "0", "3"]


@pytest.mark.parametrize(("threads", "answer"), [(1, "24"), (64, "24"), (1024, "1"), (2048, "0")])
def test_occupancy_follows_the_cards_threads(threads: int, answer: str) -> None:
    function = "cudaOccupancyMaxActiveBlocksPerMultiprocessor"
    assert call(f"a = c_int(); print(gpu.{function}(byref(a), None, {threads}, c_size_t(0)), a.value)") == [
        "0",
        answer,
    ]


@pytest.mark.parametrize("threads", [0, -1, -(2**31)])
@pytest.mark.parametrize("api", ["cu", "cuda"])
def test_no_threads_are_no_block(api: str, threads: int) -> None:
    function = f"{api}OccupancyMaxActiveBlocksPerMultiprocessor"
    code = f"print(gpu.{function}(byref(c_int()), None, {threads}, c_size_t(0)))"
    assert call(code) == [INVALID_VALUE]
