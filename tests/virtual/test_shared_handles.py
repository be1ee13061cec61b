"""Memory that one process creates and another maps: counted once, for the process that made it."""

from __future__ import annotations

from pathlib import Path

from rank_calls import Ranks

_CALLS = """
class Location(Structure): _fields_ = [("type", c_int), ("id", c_int)]
class Wanted(Structure): _fields_ = [("type", c_int), ("handles", c_int), ("at", Location),
                                     ("meta", c_void_p), ("flags", c_ubyte * 8)]
gpu.nanocheck_card_process.restype = c_size_t
FD, size = 1, 64 << 20
def used():
    return gpu.nanocheck_card_process(0)
def created():
    handle = c_ulonglong()
    wanted = Wanted(1, FD, Location(1, 0))
    assert gpu.cuMemCreate(byref(handle), c_size_t(size), byref(wanted), c_ulonglong()) == 0
    return handle
def mapped(handle):
    at = c_ulonglong()
    none = c_ulonglong(0)
    assert gpu.cuMemAddressReserve(byref(at), c_size_t(size), c_size_t(0), none, none) == 0
    return at, gpu.cuMemMap(at, c_size_t(size), c_size_t(0), handle, c_ulonglong(0))
memory(1)
idle, file, theirs = used(), c_int(-1), c_ulonglong()
"""
_EXPORT = """
own = created()
result = [gpu.cuMemExportToShareableHandle(byref(file), own, FD, c_ulonglong()), used() - idle]
"""
#: The other process has it by its descriptor, as one that came over a socket.
_IMPORT = """
copy = os.open("/proc/{pid}/fd/{file}", os.O_RDONLY)
result = [gpu.cuMemImportFromShareableHandle(byref(theirs), c_void_p(copy), FD)]
os.close(copy)
at, error = mapped(theirs)
result += [error, used() - idle]
released = gpu.cuMemRelease(theirs)
result += [released, gpu.cuMemUnmap(at, c_size_t(size)), gpu.cuMemRelease(theirs) != 0, used() - idle]
"""


def test_the_process_that_made_it_has_it(tmp_path: Path) -> None:
    with Ranks(tmp_path, 2) as ranks:
        ranks.all(_CALLS)
        ranks.ask(0, _EXPORT, "[os.getpid(), file.value, result]")
        pid, file, (error, taken) = ranks.answer(0)
        assert (error, taken) == (0, 64 << 20)
        ranks.ask(1, _IMPORT.format(pid=pid, file=file), "result")
        assert ranks.answer(1) == [0, 0, 0, 0, 0, True, 0]
        ranks.ask(0, "released = gpu.cuMemRelease(own)", "[released, used() - idle]")
        assert ranks.answer(0) == [0, 0]


def test_what_is_no_such_descriptor_is_no_memory(tmp_path: Path) -> None:
    """Another file, a closed one; and kinds of handles that only a fabric or Windows has."""
    with Ranks(tmp_path, 1) as ranks:
        ranks.all(_CALLS)
        do = """
own, other = created(), os.open("/dev/zero", os.O_RDONLY)
found = [gpu.cuMemImportFromShareableHandle(byref(theirs), c_void_p(each), FD) for each in (other, 9999)]
for kind in (2, 4, 8):
    found.append(gpu.cuMemExportToShareableHandle(byref(file), own, kind, c_ulonglong()))
found.append(gpu.cuMemExportToShareableHandle(byref(file), c_ulonglong(4096), FD, c_ulonglong()))
"""
        ranks.ask(0, do, "found")
        assert ranks.answer(0) == [1, 1, 801, 801, 801, 1]
