"""Single calls into the virtual GPU and its NVML, as a program without PyTorch makes them; in a child."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from nanocheck.device import Device
from nanocheck.gpus import find_gpu
from nanocheck.virtual import build as building
from nanocheck.virtual import card_environment, prepare

CARD = card_environment(Device(kind="virtual", gpu=find_gpu("rtx4070")))["NANOCHECK_CARD"]

_PRELUDE = """
import ctypes
from ctypes import *
gpu, nvml = CDLL("libcuda.so.1"), CDLL("libnvidia-ml.so.1")
gpu.nanocheck_known.argtypes = [c_void_p, c_void_p, c_size_t]
"""


def call(code: str, *, card: str | None = CARD, preload: str = "") -> str:
    """What the code prints, on one line. It finds ``gpu``, ``nvml`` and the card."""
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
    return " ".join(done.stdout.split())


# CUDA's errors below: 1 is an invalid value, 2 no memory, 100 no device, 400 an invalid handle.


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
    assert int(used) == find_gpu("rtx4070").context_bytes
    assert untouched == "True"  # the caller's next entry, or whatever lies there


def test_nvml_says_how_many_process_entries_it_needs() -> None:
    code = """
        nvml.nvmlInit_v2()
        count = c_uint(0)
        print(nvml.nvmlDeviceGetComputeRunningProcesses_v3(c_void_p(0x20), byref(count), None), count.value)
    """
    assert call(code) == "7 1"


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
    compiler = [building.find_compiler(), "-shared", "-fPIC", "-xc", "-", "-o", str(library)]
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


#: A program that wrote 64 bytes, and ``launch``, which asks whether they are known before and after a kernel.
_WROTE = """
p = c_void_p()
assert gpu.cudaMalloc(byref(p), c_size_t(4096)) == 0 and gpu.cudaMemset(p, 7, c_size_t(64)) == 0
class Dim3(Structure):
    _fields_ = [("x", c_uint), ("y", c_uint), ("z", c_uint)]
gpu.cudaLaunchKernel.argtypes = [c_void_p, Dim3, Dim3, c_void_p, c_size_t, c_void_p]
gpu.__dict__["register"] = getattr(gpu, "__cudaRegisterFatBinary")
gpu.__dict__["register"].restype = c_void_p
kernel, kept = c_int(), []
def named(name):
    kept.append(create_string_buffer(name.encode()))
    function = getattr(gpu, "__cudaRegisterFunction")
    function(c_void_p(gpu.register(None)), byref(kernel), kept[-1], kept[-1], -1, *[None] * 5)
def runtime(arguments):
    return gpu.cudaLaunchKernel(addressof(kernel), Dim3(1, 1, 1), Dim3(1, 1, 1), arguments, 0, None)
def driver(arguments, extra=None):
    return gpu.cuLaunchKernel(c_void_p(0x1234), 1, 1, 1, 1, 1, 1, 0, None, arguments, extra)
def launch(function, *arguments):
    before = gpu.nanocheck_known(p, p, 64)
    print(before, function(*arguments), gpu.nanocheck_known(p, p, 64))
def at_the_end_of_a_page(data):
    libc = CDLL(None)
    libc.mmap.restype = c_void_p
    page = libc.mmap(None, c_size_t(8192), 3, 0x22, -1, c_long(0))
    assert libc.munmap(c_void_p(page + 4096), c_size_t(4096)) == 0
    memmove(page + 4096 - len(data), data, len(data))
    return page + 4096 - len(data)
word = lambda value: value.to_bytes(8, "little")
v = c_void_p(p.value)  # a parameter, in memory of its own
pointers = lambda *values: (c_void_p * len(values))(*values)
"""


@pytest.mark.parametrize(
    "launch",
    [
        # ctypes, as torch.cuda._compile_kernel and numba launch: array and parameters on the heap
        "launch(driver, pointers(addressof(v)))",
        "n = c_int(3); launch(driver, pointers(addressof(n), addressof(v)))",
        # the last words before memory that is not there: read no further
        "v = at_the_end_of_a_page(word(p.value)); launch(driver, c_void_p(at_the_end_of_a_page(word(v))))",
        "n = at_the_end_of_a_page(bytes(4)); launch(driver, pointers(n, addressof(v)))",
        # packed parameters
        "b = create_string_buffer(bytes(8) + word(p.value)); n = c_size_t(16)\n"
        "launch(driver, None, pointers(1, addressof(b), 2, addressof(n), 0))",
        # kernels of the runtime: a pointer, a structure over the end of a page, one that nobody named
        "named('_Z6kernelPf'); launch(runtime, pointers(addressof(v)))",
        "named('_Z6kernel6Params'); b = create_string_buffer(3 * 4096); a = -addressof(b) % 4096 + 4032\n"
        "memmove(addressof(b) + a + 128, addressof(p), 8); launch(runtime, pointers(addressof(b) + a))",
        "named('_Z6kernelN8internal6ParamsE'); launch(runtime, pointers(addressof(v)))",
        "named('_Z6kernelPf'); b = create_string_buffer(16); memmove(addressof(b) + 1, addressof(p), 8)\n"
        "launch(runtime, pointers(addressof(b) + 1))",
        "named('plain'); launch(runtime, pointers(addressof(v)))",
        "launch(runtime, pointers(addressof(v)))",
    ],
)
def test_a_kernel_overwrites_what_it_was_handed_wherever_the_parameters_lie(launch: str) -> None:
    assert call(_WROTE + launch) == "1 0 0"


@pytest.mark.parametrize(
    "launch",
    [
        "named('_Z6kernelPKfi'); n = c_int()\nlaunch(runtime, pointers(addressof(v), addressof(n)))",
        "launch(driver, None)",
        "launch(driver, c_void_p(at_the_end_of_a_page(word(0x10))))",
        "q = c_void_p(); gpu.cudaMalloc(byref(q), c_size_t(64)); launch(driver, pointers(addressof(q)))",
    ],
)
def test_what_a_kernel_was_not_handed_stays_known(launch: str) -> None:
    assert call(_WROTE + launch) == "1 0 1"


def test_where_memory_may_not_be_read_everything_is_unknown() -> None:
    """A seccomp filter that refuses process_vm_readv, as some containers' do (system call 310 on x86-64)."""
    code = """
        import struct
        code = [(0x20, 0, 0, 0), (0x15, 0, 1, 310), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7FFF0000)]
        program = b"".join(struct.pack("<HBBI", *each) for each in code)
        room = create_string_buffer(program)
        filter = create_string_buffer(word(len(code)) + word(addressof(room)))
        libc = CDLL(None)
        assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, filter, 0, 0) == 0
        n = c_int()
        launch(driver, pointers(addressof(n)))
    """
    assert call(_WROTE + textwrap.dedent(code)) == "1 0 0"


@pytest.mark.parametrize("size", ["4 << 30", "1 << 50", "2**64 - 1"])
@pytest.mark.parametrize("function", ["cudaMallocManaged", "cudaHostAlloc"])
def test_host_memory_that_is_refused_is_an_error(function: str, size: str) -> None:
    """The operating system refuses (here by a limit on data; a program with many holes meets another), or it
    is more than there are addresses: never success without memory."""
    code = f"""
        import resource
        p = c_void_p()
        print(gpu.{function}(byref(p), c_size_t(1), 1), p.value is not None, gpu.cudaGetLastError())
        resource.setrlimit(resource.RLIMIT_DATA, (1 << 30, 1 << 30))
        print(gpu.{function}(byref(p), c_size_t({size}), 1), p.value, gpu.cudaGetLastError())
        print(gpu.{function}(byref(p), c_size_t(1), 1), p.value is not None)
    """
    assert call(code) == "0 True 0 2 None 2 0 True"


def test_managed_memory_of_no_size_is_an_invalid_value() -> None:
    assert call("print(gpu.cudaMallocManaged(byref(c_void_p()), c_size_t(0), 1))") == "1"


#: ``left()``: what the card has, and that it is what it was when nothing was taken.
_ACCOUNT = """
h, v, p, total = c_ulonglong(), c_ulonglong(), c_void_p(), c_size_t()
def left():
    free = c_size_t()
    assert gpu.cudaMemGetInfo(byref(free), byref(total)) == 0
    return free.value
start = left()
def unmoved():
    print(left() == start)
def create(size):
    return gpu.cuMemCreate(byref(h), c_size_t(size), None, c_ulonglong(0))
def reserve(size):
    return gpu.cuMemAddressReserve(byref(v), c_size_t(size), c_size_t(0), c_ulonglong(0), c_ulonglong(0))
def map(size, offset=0, at=0):
    return gpu.cuMemMap(c_ulonglong(v.value + at), c_size_t(size), c_size_t(offset), h, c_ulonglong(0))
def unmap(size, at=0):
    return gpu.cuMemUnmap(c_ulonglong(v.value + at), c_size_t(size))
def address_free(size):
    return gpu.cuMemAddressFree(v, c_size_t(size))
MIB = 1 << 20
"""


@pytest.mark.parametrize("size", ["2**64 - 450887680 - (2 << 20)", "2**64 - (2 << 20)", "2**63"])
def test_a_size_that_wraps_around_does_not_fit(size: str) -> None:
    code = f"""
        context = total.value - start
        for size in ({size}, 2**64 - context - (2 << 20)):
            print(create(size & ~(2 * MIB - 1)), gpu.cudaMalloc(byref(p), c_size_t(size)))
        unmoved()
    """
    assert call(_ACCOUNT + textwrap.dedent(code)) == "2 2 2 2 True"


def test_a_reservation_and_an_allocation_are_freed_each_by_its_own_call() -> None:
    code = """
        print(reserve(4 * MIB), gpu.cudaFree(v), address_free(4 * MIB), address_free(4 * MIB))
        unmoved()
        print(gpu.cudaMalloc(byref(v), c_size_t(64)), address_free(2 * MIB), gpu.cudaFree(v), gpu.cudaFree(v))
        unmoved()
        print(reserve(16 << 40), reserve(0))
    """
    assert call(_ACCOUNT + textwrap.dedent(code)) == "0 1 0 1 True 0 1 0 1 True 2 1"
