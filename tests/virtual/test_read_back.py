"""A count that the host knows is told before PyTorch reads it; what the host computed is known."""

from __future__ import annotations

from virtual_calls import call

_MEMORY = """
p = c_void_p()
assert gpu.cudaMalloc(byref(p), c_size_t(4096)) == 0
gpu.nanocheck_sizes_made_up.restype = c_ulonglong
def tell(value):
    return gpu.nanocheck_tell_read(value, c_size_t(len(value)))
def read(size):
    host = create_string_buffer(size)
    assert gpu.cudaMemcpy(host, p, c_size_t(size), 2) == 0
    return int.from_bytes(host.raw, "little")
number = lambda value, size: value.to_bytes(size, "little")
"""


def test_the_next_read_of_that_many_bytes_gets_what_was_told_and_only_that() -> None:
    done = call(
        _MEMORY,
        """
        print(read(4), tell(number(77, 4)), read(8), read(4), read(4))
        print(tell(number(99, 8)), gpu.nanocheck_read_waits(), read(4), gpu.nanocheck_read_waits(), read(4))
        print(tell(number(5, 4)), tell(b""), read(4), gpu.nanocheck_sizes_made_up())
        print(tell(bytes(64)), tell(b""), tell(bytes(65)), read(4))
        """,
    )
    # A read of eight bytes is not the one of four that was told; eight that were told are a number of any
    # width. Five were made up.
    assert done == "1 1 1 77 1 1 1 99 0 1 1 1 1 5 1 1 0 1"


def test_another_thread_reads_its_own() -> None:
    done = call(
        _MEMORY,
        """
        import threading
        tell(number(77, 4))
        thread = threading.Thread(target=lambda: print(read(4), end=" "))
        thread.start(); thread.join()
        print(read(4))
        """,
    )
    assert done == "1 77"


def test_what_was_computed_is_known_until_it_is_written_or_lost() -> None:
    done = call(
        _MEMORY,
        """
        known = lambda size: gpu.nanocheck_known(p, p, size)
        computed = lambda size, guessed: gpu.nanocheck_computed(p, c_size_t(size), guessed)
        computed(1000, 0); print(known(1000), known(1001), end=" ")
        computed(100, 1); print(known(100), known(101), end=" ")  # shorter, and by a rule
        computed(1000, 0); gpu.nanocheck_lost(p, c_size_t(1000)); print(known(1), end=" ")
        computed(1000, 0); gpu.nanocheck_wrote(p); print(known(1))
        """,
    )
    assert done == "1 0 2 0 0 0"
