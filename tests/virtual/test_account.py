"""The card's account: what is refused, and that illegal calls do not move it."""

from __future__ import annotations

import pytest
from virtual_calls import call

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
def release():
    return gpu.cuMemRelease(h)
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
    assert call(_ACCOUNT, code) == "2 2 2 2 True"


def test_a_reservation_and_an_allocation_are_freed_each_by_its_own_call() -> None:
    code = """
        print(reserve(4 * MIB), gpu.cudaFree(v), address_free(4 * MIB), address_free(4 * MIB))
        unmoved()
        print(gpu.cudaMalloc(byref(v), c_size_t(64)), address_free(2 * MIB), gpu.cudaFree(v), gpu.cudaFree(v))
        unmoved()
        print(reserve(16 << 40), reserve(0))
    """
    assert call(_ACCOUNT, code) == "0 1 0 1 True 0 1 0 1 True 2 1"


@pytest.mark.parametrize(
    ("code", "printed"),
    [
        # released twice; a number that is no handle; released while mapped, and then once more
        ("print(create(64 * MIB), release(), release())", "0 0 1"),
        ("print(gpu.cuMemRelease(c_ulonglong(0)), gpu.cuMemRelease(c_ulonglong(0x1234560)))", "1 1"),
        (
            "print(reserve(4 * MIB), create(4 * MIB), map(4 * MIB), release(), release())\n"
            "print(start - left() == 4 * MIB, map(4 * MIB), unmap(4 * MIB), address_free(4 * MIB))",
            "0 0 0 0 1 True 1 0 0",
        ),
        # more than the handle has, or behind its end; beyond the reservation; where something is mapped
        (
            "print(reserve(64 * MIB), create(4 * MIB), map(64 * MIB), map(4 * MIB, offset=2 * MIB))\n"
            "print(map(4 * MIB, at=62 * MIB), map(2 * MIB, at=MIB), map(0), map(4 * MIB, at=60 * MIB))\n"
            "print(map(2 * MIB, at=62 * MIB), unmap(4 * MIB, at=60 * MIB), release())\n"
            "print(address_free(64 * MIB))",
            "0 0 1 1 1 1 1 0 1 0 0 0",
        ),
        # part of a mapping, none, the host's memory; a reservation with something in it
        (
            "print(reserve(8 * MIB), create(4 * MIB), map(4 * MIB), unmap(2 * MIB))\n"
            "print(unmap(2 * MIB, at=2 * MIB), unmap(4 * MIB, at=4 * MIB))\n"
            "print(unmap(8 * MIB), unmap(2 * MIB, at=-(2 * MIB)))\n"
            "print(gpu.cuMemUnmap(c_ulonglong(addressof(h)), c_size_t(2 * MIB)), address_free(8 * MIB))\n"
            "print(release(), unmap(4 * MIB), address_free(2 * MIB), address_free(8 * MIB))",
            "0 0 0 1 1 1 1 1 1 1 0 0 1 0",
        ),
        # mappings of two reservations that lie side by side, at once
        (
            "print(reserve(2 * MIB), create(4 * MIB), map(2 * MIB), reserve(2 * MIB))\n"
            "print(map(2 * MIB, offset=2 * MIB), unmap(4 * MIB, at=-(2 * MIB)), unmap(2 * MIB))\n"
            "print(unmap(2 * MIB, at=-(2 * MIB)), release())",
            "0 0 0 0 0 1 0 0 0",
        ),
        # memory that two addresses share is given back with the second
        (
            "print(reserve(8 * MIB), create(4 * MIB), map(4 * MIB), map(4 * MIB, at=4 * MIB))\n"
            "print(release(), unmap(4 * MIB), start - left() == 4 * MIB, unmap(4 * MIB, at=4 * MIB))\n"
            "print(address_free(8 * MIB))",
            "0 0 0 0 0 0 True 0 0",
        ),
        # allocations
        (
            "print(gpu.cudaMalloc(byref(p), c_size_t(64 * MIB)), gpu.cudaFree(c_void_p(p.value + 2 * MIB)))\n"
            "print(gpu.cudaFree(byref(h)), gpu.cudaFreeHost(p), gpu.cudaFree(p), gpu.cudaFree(p))",
            "0 1 1 1 0 1",
        ),
    ],
)
def test_illegal_calls_are_errors_and_the_account_stays_right(code: str, printed: str) -> None:
    assert call(_ACCOUNT, code, "unmoved()") == printed + " True"


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
