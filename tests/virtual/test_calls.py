"""Single calls of the driver, the runtime and NVML: what they answer, and when they answer nothing."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from virtual_calls import CARD, call

from nanocheck.virtual import build as building
from nanocheck.virtual import prepare


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
    assert call(f"a, b = c_int(-7), c_int(-7); print(gpu.{function}, a.value)", card=card) == "100 -7"


def test_a_card_that_is_chosen_later_answers_from_then_on() -> None:
    code = f"""
        libc, a, b = CDLL(None), c_int(-7), c_int(-7)
        print(gpu.cuDeviceComputeCapability(byref(a), byref(b), 0))
        libc.setenv(b"NANOCHECK_CARD", {CARD!r}.encode(), 1)
        print(gpu.cuDeviceComputeCapability(byref(a), byref(b), 0), a.value, b.value)
        print(gpu.cudaOccupancyMaxActiveBlocksPerMultiprocessor(byref(a), None, 512, c_size_t(0)), a.value)
    """
    assert call(code, card="pending") == "100 0 8 9 0 3"


@pytest.mark.parametrize(("threads", "answer"), [(1, "24"), (64, "24"), (1024, "1"), (2048, "0")])
def test_occupancy_follows_the_cards_threads(threads: int, answer: str) -> None:
    function = "cudaOccupancyMaxActiveBlocksPerMultiprocessor"
    code = f"a = c_int(); print(gpu.{function}(byref(a), None, {threads}, c_size_t(0)), a.value)"
    assert call(code) == f"0 {answer}"


@pytest.mark.parametrize("threads", [0, -1, -(2**31)])
@pytest.mark.parametrize("api", ["cu", "cuda"])
def test_no_threads_are_no_block(api: str, threads: int) -> None:
    function = f"{api}OccupancyMaxActiveBlocksPerMultiprocessor"
    code = f"print(gpu.{function}(byref(c_int()), None, {threads}, c_size_t(0)))"
    assert call(code) == "1"


@pytest.mark.parametrize(("version", "entry"), [("", 16), ("_v2", 24), ("_v3", 24)])
def test_nvml_writes_process_entries_of_the_versions_size(version: str, entry: int) -> None:
    code = f"""
        import os
        gpu.cudaSetDevice(0)
        nvml.nvmlInit_v2()
        room, count = (c_ubyte * 64)(*[0xAA] * 64), c_uint(2)
        error = nvml.nvmlDeviceGetComputeRunningProcesses{version}(c_void_p(0x20), byref(count), room)
        data = bytes(room)
        mine = int.from_bytes(data[:4], "little") == os.getpid()
        print(error, count.value, mine, int.from_bytes(data[8:16], "little"))
        print(data[{entry}:] == bytes([0xAA]) * (64 - {entry}))
    """
    error, count, mine, used, untouched = call(code).split()
    assert (error, count, mine) == ("0", "1", "True")
    assert f"context_bytes={used}" in CARD.splitlines()
    assert untouched == "True"  # the caller's next entry, or whatever lies there


def test_nvml_says_how_many_process_entries_it_needs() -> None:
    code = """
        nvml.nvmlInit_v2()
        count = c_uint(0)
        print(nvml.nvmlDeviceGetComputeRunningProcesses_v3(c_void_p(0x20), byref(count), None), count.value)
        gpu.cudaSetDevice(0)
        print(nvml.nvmlDeviceGetComputeRunningProcesses_v3(c_void_p(0x20), byref(count), None), count.value)
    """
    assert call(code) == "0 0 7 1"  # none, before a process has a context


def test_nvml_before_init_and_after_shutdown_is_uninitialized() -> None:
    """Each function, those that would have crashed, too; it counts its users, as NVIDIA does."""
    library = prepare().folder / building.NVML
    table = subprocess.run(
        ["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True
    )
    names = [line.split()[-1] for line in table.stdout.splitlines() if " nvml" in line]
    others = [name for name in names if not name.startswith(("nvmlInit", "nvmlErrorString", "nvmlShutdown"))]
    assert len(others) > 35
    code = f"""
        def codes():
            return {{getattr(nvml, name)(*[None] * 6) for name in {others!r}}}
        print(codes(), nvml.nvmlShutdown())
        print(nvml.nvmlInit_v2(), nvml.nvmlInit(), nvml.nvmlShutdown())
        print(nvml.nvmlDeviceGetCount_v2(byref(c_uint())), nvml.nvmlShutdown(), nvml.nvmlShutdown())
        print(codes())
    """
    assert call(code) == "{1} 1 0 0 0 0 0 1 {1}"


@pytest.mark.parametrize("version", [12080, 13000])
def test_nvml_and_the_driver_give_one_cuda_version(version: int, tmp_path: Path) -> None:
    """The driver's is that of the wheels' headers, CUDA 12 or 13; a small library stands in for either."""
    source = f"int cuDriverGetVersion(int *version) {{ *version = {version}; return 0; }}"
    library = tmp_path / "driver.so"
    compiler = [*building.find_compiler(), "-shared", "-fPIC", "-xc", "-", "-o", str(library)]
    subprocess.run(compiler, input=source, text=True, check=True)
    code = """
        version = c_int()
        print(nvml.nvmlInit_v2(), nvml.nvmlSystemGetCudaDriverVersion_v2(byref(version)), version.value)
        print(nvml.nvmlSystemGetCudaDriverVersion(byref(version)), version.value)
    """
    assert call(code, preload=f"{library}:") == f"0 0 {version} 0 {version}"


def test_a_name_without_room_is_an_error() -> None:
    code = """
        nvml.nvmlInit_v2()
        room = create_string_buffer(b"xy", 2)
        print(gpu.cuDeviceGetName(byref(room, 1), 0, 0), nvml.nvmlDeviceGetName(None, byref(room, 1), 0))
        print(room.raw == b"xy", gpu.cuDeviceGetName(room, 2, 0), room.raw[1:] == bytes(1))
    """
    assert call(code) == "1 7 True 0 True"
