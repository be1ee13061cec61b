"""Illegal calls of the runtime and the driver: the error that CUDA documents; the account does not move.

Each runs in a child of its own, so that a crash is a failed test. Errors: 1 invalid value, 12 invalid pitch,
21 invalid direction, 98 invalid device function, 301 file not found, 400 invalid handle,
712 registered before, 900 and 901 forbidden while a stream is captured.
"""

from __future__ import annotations

import pytest
from virtual_calls import call

_PRELUDE = """
MIB = 1 << 20
p, q, s, e, f, g = (c_void_p() for _ in range(6))
size, number, real = c_size_t(), c_int(), c_float()
host = create_string_buffer(1 << 20)
def malloc(at, bytes):
    assert gpu.cudaMalloc(byref(at), c_size_t(bytes)) == 0
def left():
    assert gpu.cudaMemGetInfo(byref(size), byref(c_size_t())) == 0
    return size.value
def capture(mode=0):
    assert gpu.cudaStreamCreate(byref(s)) == 0
    assert gpu.cudaStreamBeginCapture(s, mode) == 0
gpu.cudaMemcpy.argtypes = [c_void_p, c_void_p, c_size_t, c_int]
def copy(to, source, bytes, kind=4):
    return gpu.cudaMemcpy(to, source, c_size_t(bytes), kind)
start = left()
"""

#: What is called, before that what makes it illegal, and the error.
NO_PLACE = [
    *("cudaMalloc(None, c_size_t(1))", "cudaHostAlloc(None, c_size_t(1), 0)", "cudaMemGetInfo(None, None)"),
    *("cudaStreamCreate(None)", "cudaEventCreate(None)", "cudaGetDeviceProperties(None, 0)"),
    *("cudaGetDevice(None)", "cudaGetDeviceCount(None)", "cudaDeviceGetAttribute(None, 75, 0)"),
    *("cudaRuntimeGetVersion(None)", "cudaDriverGetVersion(None)", "cudaPointerGetAttributes(None, None)"),
    *("cudaMallocManaged(None, c_size_t(1), 1)", "cudaThreadExchangeStreamCaptureMode(None)"),
    *("cuMemCreate(None, c_size_t(2 << 20), None, c_ulonglong(0))", "cuDeviceGetCount(None)"),
    "cuMemAddressReserve(None, c_size_t(2 << 20), c_size_t(0), c_ulonglong(0), c_ulonglong(0))",
    *("cuCtxGetCurrent(None)", "cuGetErrorName(2, None)", "cuModuleGetFunction(byref(p), p, None)"),
    *("cuGetExportTable(None, None)", "cuDeviceTotalMem_v2(None, 0)", "cuCtxGetDevice(None)"),
]


@pytest.mark.parametrize("function", NO_PLACE)
def test_no_place_for_an_answer_is_an_invalid_value(function: str) -> None:
    assert call(_PRELUDE, f"print(gpu.{function}, left() == start)") == "1 True"


@pytest.mark.parametrize(
    ("before", "function", "error"),
    [
        ("malloc(p, 2 * MIB)", "copy(p, host, 3 * MIB, 1)", 1),
        ("malloc(p, 2 * MIB); malloc(q, 2 * MIB)", "copy(p.value + 2 * MIB - 4, host, 8, 1)", 1),
        ("malloc(p, 2 * MIB)", "copy(host, p.value + 2 * MIB - 4, 8, 2)", 1),
        ("malloc(p, 2 * MIB); malloc(q, 2 * MIB)", "gpu.cudaMemset(p, 1, c_size_t(2 * MIB + 1))", 1),
        ("malloc(p, 64); gpu.cudaFree(p)", "copy(p, host, 64, 1)", 1),
        ("malloc(p, 64); gpu.cudaFree(p)", "copy(host, p, 64, 2)", 1),
        ("", "copy(None, host, 64, 1)", 1),
        ("malloc(p, 64)", "copy(p, host, 64, 77)", 21),
        (
            "malloc(p, 4096)",
            "gpu.cudaMemcpy2D(p, c_size_t(4), host, c_size_t(4), c_size_t(32), c_size_t(1), 1)",
            12,
        ),
        (
            "malloc(p, 4096)",
            "gpu.cudaMemcpy2D(p, c_size_t(MIB), host, c_size_t(4), c_size_t(4), c_size_t(9), 1)",
            1,
        ),
        ("malloc(p, 64)", "gpu.cuMemsetD8Async(p, 1, c_size_t(2 * MIB + 1), None)", 1),
        ("malloc(p, 64)", "gpu.cuMemsetD32Async(p, 1, c_size_t(MIB), None)", 1),
        ("malloc(p, 64)", "gpu.cuMemcpyHtoD_v2(p, host, c_size_t(2 * MIB + 1))", 1),
        ("malloc(p, 64); gpu.cudaFree(p)", "gpu.cuMemcpyDtoH_v2(host, p, c_size_t(64))", 1),
        ("", "gpu.cudaHostRegister(None, c_size_t(1), 0)", 1),
        ("gpu.cudaHostRegister(host, c_size_t(64), 0)", "gpu.cudaHostRegister(host, c_size_t(64), 0)", 712),
        ("", "gpu.cudaMallocManaged(byref(p), c_size_t(64), 0)", 1),
        ("", "gpu.cudaDeviceGetAttribute(byref(number), 9999, 0)", 1),
        ("", "gpu.cuModuleLoad(byref(p), b'/no/such/file')", 301),
        (
            "gpu.cudaEventCreate(byref(e)); gpu.cudaEventCreate(byref(f))",
            "gpu.cudaEventElapsedTime(byref(real), e, f)",
            400,
        ),
        ("capture()", "gpu.cudaMalloc(byref(p), c_size_t(1))", 900),
        ("capture()", "gpu.cudaDeviceSynchronize()", 900),
        ("capture()", "gpu.cudaDeviceReset()", 900),
        ("capture(2)", "gpu.cudaStreamQuery(s)", 900),
        ("capture(); gpu.cudaMalloc(byref(p), c_size_t(1))", "gpu.cudaStreamEndCapture(s, byref(g))", 901),
    ],
)
def test_an_illegal_call_is_the_documented_error(before: str, function: str, error: int) -> None:
    printed = call(_PRELUDE, before or "pass", "held = left()", f"print({function}, left() == held)")
    assert printed == f"{error} True"


@pytest.mark.parametrize(("blocks", "error"), [((32, 1, 1), 98), ((2048, 1, 1), 98)])
def test_a_kernel_that_nobody_registered_is_none(blocks: tuple[int, int, int], error: int) -> None:
    code = f"""
        class dim3(Structure):
            _fields_ = [(name, c_uint) for name in "xyz"]
        launch = gpu.cudaLaunchKernel
        launch.argtypes = [c_void_p, dim3, dim3, c_void_p, c_size_t, c_void_p]
        print(launch(0x999, dim3(1, 1, 1), dim3(*{blocks}), None, 0, None))
        print(launch(None, dim3(1, 1, 1), dim3(*{blocks}), None, 0, None))
    """
    assert call(_PRELUDE, code) == f"{error} {error}"


def test_a_thread_that_knows_may_allocate_while_a_stream_is_captured() -> None:
    """As PyTorch's allocator does for the private pools of CUDA graphs."""
    code = """
        capture()
        mode = c_int(2)
        print(gpu.cudaThreadExchangeStreamCaptureMode(byref(mode)), mode.value)
        print(gpu.cudaMalloc(byref(p), c_size_t(1)), gpu.cudaStreamEndCapture(s, byref(g)), bool(g.value))
    """
    assert call(_PRELUDE, code) == "0 0 0 0 True"


def test_a_reset_frees_whatever_the_process_holds() -> None:
    """Allocations, physical memory that is mapped or only held, reservations; streams are none any more."""
    code = """
        v, h = c_ulonglong(), c_ulonglong()
        malloc(p, 64 * MIB)
        reserve = gpu.cuMemAddressReserve
        print(reserve(byref(v), c_size_t(8 * MIB), c_size_t(0), c_ulonglong(0), c_ulonglong(0)))
        print(gpu.cuMemCreate(byref(h), c_size_t(4 * MIB), None, c_ulonglong(0)))
        print(gpu.cuMemMap(v, c_size_t(4 * MIB), c_size_t(0), h, c_ulonglong(0)))
        print(gpu.cuMemCreate(byref(c_ulonglong()), c_size_t(4 * MIB), None, c_ulonglong(0)))
        gpu.cudaStreamCreate(byref(s))
        print(start - left() == 72 * MIB, gpu.cudaDeviceReset(), left() == start)
        print(gpu.cudaFree(p), gpu.cuMemRelease(h), gpu.cudaStreamQuery(s))
        malloc(p, 64)
        print(gpu.cudaFree(p), left() == start)
    """
    assert call(_PRELUDE, code) == "0 0 0 0 True 0 True 1 1 400 0 True"


def test_addresses_are_used_again_when_there_are_no_more() -> None:
    """A thousand turnovers of the card: 11 TiB, where an arena has 8. What is held meanwhile stays whole."""
    code = """
        malloc(q, 64)
        copy(q, b"kept", 4, 1)
        errors = set()
        for _ in range(1000):
            errors.add(gpu.cudaMalloc(byref(p), c_size_t(10 << 30)))
            errors.add(gpu.cudaMemset(p, 7, c_size_t(64)))
            errors.add(gpu.cudaFree(p))
        print(errors, gpu.cudaMalloc(byref(p), c_size_t(3 * MIB)))
        known = gpu.nanocheck_known(p, p, c_size_t(1))
        print(known, copy(host, p, 3, 2), host.raw[:3] == bytes(3), copy(host, q, 3, 2), host.raw[:3])
        print(gpu.cudaFree(p), gpu.cudaFree(q), left() == start)
    """
    assert call(_PRELUDE, code) == "{0} 0 0 0 True 0 b'kep' 0 0 True"


def test_a_copy_reaches_only_what_is_mapped() -> None:
    """Of a reservation of 8 MiB, whose first 4 MiB have memory behind them, as expandable segments do."""
    code = """
        v, h = c_ulonglong(), c_ulonglong()
        gpu.cuMemAddressReserve(byref(v), c_size_t(8 * MIB), c_size_t(0), c_ulonglong(0), c_ulonglong(0))
        print(copy(v.value, host, 4, 1))
        gpu.cuMemCreate(byref(h), c_size_t(4 * MIB), None, c_ulonglong(0))
        gpu.cuMemMap(v, c_size_t(4 * MIB), c_size_t(0), h, c_ulonglong(0))
        print(copy(v.value + 4 * MIB - 4, host, 4, 1), copy(v.value + 4 * MIB - 4, host, 8, 1))
        gpu.cuMemUnmap(v, c_size_t(4 * MIB))
        print(copy(v.value, host, 4, 1))
    """
    assert call(_PRELUDE, code) == "1 0 1 1"


def test_a_reservation_beyond_every_address_does_not_fit() -> None:
    code = """
        v = c_ulonglong()
        reserve = lambda size: gpu.cuMemAddressReserve(
            byref(v), c_size_t(size), c_size_t(0), c_ulonglong(0), c_ulonglong(0)
        )
        print(reserve(16 << 40), sorted({reserve(1 << 40) for _ in range(9)}))
        print(gpu.cuMemAddressFree(v, c_size_t(1 << 40)), reserve(1 << 40))
    """
    assert call(_PRELUDE, code) == "2 [0, 2] 0 0"
