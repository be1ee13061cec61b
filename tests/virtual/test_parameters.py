"""What a kernel was handed is unknown afterwards, wherever its parameters lie."""

from __future__ import annotations

import pytest
from virtual_calls import call

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
    ],
)
def test_a_kernel_overwrites_what_it_was_handed_wherever_the_parameters_lie(launch: str) -> None:
    assert call(_WROTE, launch) == "1 0 0"


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
    assert call(_WROTE, launch) == "1 0 1"


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
    assert call(_WROTE, code) == "1 0 0"


@pytest.mark.parametrize(
    "overwrite",
    [
        "gpu.cudaMemcpy(p, q, c_size_t(1024), 3)",  # q: what a kernel wrote
        "gpu.cudaMemset(p, 1, c_size_t(2 << 20))",  # larger than what is carried out
        "gpu.cudaMemcpy2D(p, c_size_t(4096), host, c_size_t(4096), c_size_t(4096), c_size_t(512), 1)",
        "gpu.cudaMemsetAsync(p, 1, c_size_t(1024), s)",  # captured: a replay writes it
    ],
)
def test_what_is_overwritten_by_unknown_bytes_is_unknown_to_its_end(overwrite: str) -> None:
    """Also after its first 512 bytes, by which a reader is stopped, are written anew."""
    code = f"""
        p, q, s, host = c_void_p(), c_void_p(), c_void_p(), create_string_buffer(2 << 20)
        gpu.cudaMalloc(byref(p), c_size_t(4 << 20)), gpu.cudaMalloc(byref(q), c_size_t(4096))
        gpu.cudaStreamCreate(byref(s)), gpu.cudaStreamBeginCapture(s, 0)
        gpu.cudaMemset(p, 7, c_size_t(1024)), gpu.cudaMemset(q, 7, c_size_t(1024)), gpu.nanocheck_wrote(q)
        print(gpu.nanocheck_known(p, p, 1024), {overwrite})
        gpu.cudaMemset(p, 9, c_size_t(512))
        print(gpu.nanocheck_known(p, p, 512), gpu.nanocheck_known(p, p, 513))
    """
    assert call(code) == "1 0 1 0"
