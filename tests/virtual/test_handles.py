"""Handles of streams, events, graphs, cuBLAS and NCCL that are none are errors, as CUDA documents."""

from __future__ import annotations

import re

import pytest
from virtual_calls import call

_HANDLES = """
s, e, g, x, b, c = (c_void_p() for _ in range(6))
gpu.cudaStreamCreate(byref(s)), gpu.cudaEventCreate(byref(e)), gpu.cublasCreate_v2(byref(b))
gpu.ncclCommInitAll(byref(c), 1, None)
gpu.cudaStreamBeginCapture(s, 1), gpu.cudaStreamEndCapture(s, byref(g))
room = create_string_buffer(64)
"""


#: For each object of the program above: how it is destroyed, what takes its handle, and the error.
_CALLS = {
    "s": (
        "cudaStreamDestroy",
        """cudaStreamQuery({}), cudaStreamSynchronize({}), cudaStreamGetPriority({}, room),
        cudaStreamGetFlags({}, room), cudaStreamGetId({}, room), cudaStreamWaitEvent({}, e, 0),
        cudaStreamBeginCapture({}, 1), cudaStreamIsCapturing({}, room), cudaEventRecord(e, {}),
        cudaLaunchHostFunc({}, None, None), cudaStreamDestroy({})""",
        400,
    ),
    "e": (
        "cudaEventDestroy",
        """cudaEventRecord({}, None), cudaEventQuery({}), cudaEventSynchronize({}), cudaEventDestroy({}),
        cudaEventElapsedTime(room, {}, e), cudaEventElapsedTime(room, e, {}),
        cudaStreamWaitEvent(None, {}, 0)""",
        400,
    ),
    "g": (
        "cudaGraphDestroy",
        """cudaGraphGetNodes({}, None, room), cudaGraphDestroy({}),
        cudaGraphInstantiateWithFlags(room, {}, c_ulonglong(0))""",
        1,
    ),
    "b": (
        "cublasDestroy_v2",
        """cublasSetStream_v2({}, None), cublasGetStream_v2({}, room), cublasSetMathMode({}, 1),
        cublasSgemm_v2({}, 0, 0, 1, 1, 1, room, room, 1, room, 1, room, room, 1), cublasDestroy_v2({})""",
        1,
    ),
    "c": ("ncclCommDestroy", "ncclCommCuDevice({}, room)", 4),
}


@pytest.mark.parametrize("handle", list(_CALLS))
def test_handles_that_are_none_are_errors(handle: str) -> None:
    """NULL, numbers, other memory, the inside of another object, other objects, and what was destroyed."""
    destroy, functions, error = _CALLS[handle]
    bad = {"c_void_p(0x1234567)", "byref(create_string_buffer(64))", "c_void_p(s.value + 8)", "e", "g", "s"}
    bad |= {"None"} - ({"None"} if handle == "s" else set())  # that is the default stream
    calls = re.findall(r"\w+\([^()]*(?:\(\d\))?[^()]*\)", functions)
    assert len(calls) == functions.count("{}")
    print_all = "".join(f"print(gpu.{each.format(value)})\n" for each in calls for value in bad - {handle})
    afterwards = "".join(f"print(gpu.{each.format(handle)})\n" for each in calls)
    seen = call(_HANDLES, print_all, f"print(gpu.{destroy}({handle}))", afterwards).split()
    assert seen.count("0") == 1  # the destruction
    assert set(seen) == {"0", str(error)}
    assert len(seen) > len(calls) * len(bad)


def test_a_destroyed_handle_stays_invalid_while_others_are_made() -> None:
    code = """
        gpu.cudaEventDestroy(e)
        for _ in range(2000):
            made = c_void_p()
            gpu.cudaEventCreate(byref(made)), gpu.cudaEventDestroy(made)
            assert made.value != e.value
        print(gpu.cudaEventQuery(e))
        kept = set()
        for _ in range(30000):
            made = c_void_p()
            gpu.cudaEventCreate(byref(made)), gpu.cudaEventDestroy(made)
            kept.add(made.value)
        print(len(kept) < 10000)  # slots are used again
    """
    assert call(_HANDLES, code) == "400 True"


@pytest.mark.parametrize(
    ("library", "error"), [("cusolverDn", 3), ("cusparse", 3), ("cudnn", 2000), ("cublas", 7)]
)
def test_a_stream_that_goes_nowhere_is_an_invalid_value(library: str, error: int) -> None:
    """``cusolverDnGetStream(handle, NULL)`` and its like."""
    version = "_v2" if library == "cublas" else ""
    code = f"""
        handle, stream = c_void_p(), c_void_p()
        print(gpu.{library}Create{version}(byref(handle)))
        print(gpu.{library}GetStream{version}(handle, None))
        print(gpu.{library}GetStream{version}(handle, byref(stream)))
    """
    assert call(code).split() == ["0", str(error), "0"]
