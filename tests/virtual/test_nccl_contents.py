"""What ranks wrote themselves reaches the others, what nobody knows stays unknown: against numpy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rank_calls import Ranks

SIZE = 3
INT8, UINT8, INT32, INT64, HALF, FLOAT, DOUBLE, BFLOAT = 0, 1, 2, 4, 6, 7, 8, 9
NUMPY = {
    INT8: "int8",
    UINT8: "uint8",
    INT32: "int32",
    INT64: "int64",
    HALF: "float16",
    FLOAT: "float32",
    DOUBLE: "float64",
}
SUM, PRODUCT, MOST, LEAST, AVERAGE = range(5)
#: Of each: what a rank gives and takes, in units of the count.
CALLS = {
    "AllReduce": (1, 1),
    "ReduceScatter": (SIZE, 1),
    "AllGather": (1, SIZE),
    "AlltoAll": (SIZE, SIZE),
    "Broadcast": (1, 1),
    "Reduce": (1, 1),
    "Gather": (1, SIZE),
    "Scatter": (SIZE, 1),
}


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ranks]:
    with Ranks(tmp_path_factory.mktemp("machine"), SIZE) as started:
        started.all("comm = joined('property', size, rank)")
        yield started


def arguments(name: str, n: int, kind: int, operator: int, root: int) -> str:
    reduces = f", {operator}" if "Reduce" in name else ""
    rooted = f", {root}" if name in ("Broadcast", "Reduce", "Gather", "Scatter") else ""
    return f"given, taken, c_size_t({n}), {kind}{reduces}{rooted}, comm, None"


def reduced(parts: list[np.ndarray], operator: int) -> np.ndarray:
    """As NCCL documents it; floating point is rounded at the end."""
    real = parts[0].dtype.kind == "f"
    wide = np.stack(parts).astype("float64") if real else np.stack(parts)
    if operator == SUM:
        found = wide.sum(axis=0, dtype=wide.dtype)
    elif operator == PRODUCT:
        found = wide.prod(axis=0, dtype=wide.dtype)
    elif operator == AVERAGE:
        total = wide.sum(axis=0, dtype=wide.dtype)
        # Towards zero, as C divides.
        found = total / len(parts) if real else np.trunc(total.astype("float64") / len(parts))
    else:
        found = wide.max(axis=0) if operator == MOST else wide.min(axis=0)
    return found.astype(parts[0].dtype)


def expected(
    name: str, parts: list[np.ndarray], n: int, operator: int, root: int, rank: int
) -> list[np.ndarray] | None:
    """The pieces that this rank takes; None: it takes nothing."""
    own = slice(n * rank, n * (rank + 1))
    if name == "AllReduce":
        return [reduced(parts, operator)]
    if name == "ReduceScatter":
        return [reduced([part[own] for part in parts], operator)]
    if name == "AllGather":
        return parts
    if name == "AlltoAll":
        return [part[own] for part in parts]
    if name == "Broadcast":
        return [parts[root]]
    if name == "Scatter":
        return [parts[root][own]]
    if rank != root:
        return None
    return [reduced(parts, operator)] if name == "Reduce" else parts


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(data=st.data())
def test_collectives_of_known_values(ranks: Ranks, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(CALLS)))
    kind = data.draw(st.sampled_from(sorted(NUMPY)))
    operator = data.draw(st.integers(SUM, AVERAGE))
    root = data.draw(st.integers(0, SIZE - 1))
    unknown = data.draw(st.sets(st.integers(0, SIZE - 1), max_size=1))
    # What follows unknown bytes within the same 512 is unknown, too (csrc/values/known.c).
    n = 512 if unknown else data.draw(st.sampled_from([1, 3, 64, 700]))
    gives, takes = CALLS[name]
    generator = np.random.default_rng(data.draw(st.integers(0, 1000)))
    low = 0 if kind == UINT8 else -50
    parts = [generator.integers(low, 50, n * gives).astype(NUMPY[kind]) for _ in range(SIZE)]
    piece = n * parts[0].itemsize
    found = ranks.all(
        [
            f"given, taken = holding(bytes.fromhex('{part.tobytes().hex()}'), {rank not in unknown}), "
            f"holding(b'?' * {piece * takes})\n"
            f"result = gpu.nccl{name}({arguments(name, n, kind, operator, root)})"
            for rank, part in enumerate(parts)
        ],
        f"[result, [content(taken, {piece}, start) for start in range(0, {piece * takes}, {piece})]]",
    )
    for rank, (result, contents) in enumerate(found):
        assert result == 0
        pieces = expected(name, parts, n, operator, root, rank)
        if pieces is None:
            continue
        whose = [set(range(SIZE))] if "Reduce" in name else [{root}] if len(pieces) == 1 else None
        for index, (piece_found, piece_expected) in enumerate(zip(contents, pieces, strict=True)):
            nobody = (whose[0] if whose else {index}) & unknown
            assert piece_found == (None if nobody else piece_expected.tobytes().hex())


def test_half_precision_is_rounded_to_the_nearest_even(ranks: Ranks) -> None:
    """bfloat16 has eight bits: 256 + 1 is between two of them, and 1 + 2 is not."""
    one, two, big = (int(np.float32(v).view("uint32")) >> 16 for v in (1, 2, 256))
    words = [np.array([big, one], "uint16"), np.array([one, two], "uint16"), np.array([0, 0], "uint16")]
    code = [
        f"given = holding(bytes.fromhex('{w.tobytes().hex()}')); "
        f"gpu.ncclAllReduce(given, given, c_size_t(2), {BFLOAT}, 0, comm, None)"
        for w in words
    ]
    three = int(np.float32(3).view("uint32")) >> 16
    assert ranks.all(code, "content(given, 4)") == [np.array([big, three], "uint16").tobytes().hex()] * SIZE


def test_only_the_known_beginning_arrives(ranks: Ranks) -> None:
    """A pickled object in a tensor that was made longer: its end was never written."""
    found = ranks.all(
        "given, taken = holding(b'a' * 600), holding(b'?' * 1800)\n"
        "gpu.nanocheck_lost(given.value + 520, 80); "
        "gpu.ncclAllGather(given, taken, c_size_t(600), 1, comm, None)",
        "[content(taken, 520), content(taken, 521)]",
    )
    assert found == [["61" * 520, None]] * SIZE


def test_a_scaled_sum(ranks: Ranks) -> None:
    found = ranks.all(
        "import struct; given = holding(struct.pack('2f', 4, rank)); by, operator = c_float(.5), c_int(); "
        "gpu.ncclRedOpCreatePreMulSum(byref(operator), byref(by), 7, 1, comm); "
        "gpu.ncclAllReduce(given, given, c_size_t(2), 7, operator, comm, None)",
        "struct.unpack('2f', bytes.fromhex(content(given, 8)))",
    )
    assert found == [[6.0, 1.5]] * SIZE


def test_all_of_a_group_is_said_before_anybody_waits(ranks: Ranks) -> None:
    """A ring: each sends to the next and receives from the one before; more than fits unread."""
    found = ranks.all(
        "given = holding(bytes([rank]) * (1 << 20)); taken = [memory(1 << 20) for _ in range(6)]\n"
        "gpu.ncclGroupStart()\n"
        "for each in taken:\n"
        "    gpu.ncclRecv(each, c_size_t(1 << 20), 1, (rank - 1) % size, comm, None)\n"
        "    gpu.ncclSend(given, c_size_t(1 << 20), 1, (rank + 1) % size, comm, None)\n"
        "result = gpu.ncclGroupEnd()",
        "[result, [content(each, 3) for each in taken]]",
    )
    assert found == [[0, [f"{(rank - 1) % SIZE:02x}" * 3] * 6] for rank in range(SIZE)]


def test_many_small_messages_overwrite_nothing_that_is_unread(ranks: Ranks) -> None:
    """Rank 0 broadcasts 600 numbers and waits for nobody, but for room; the others read them late."""
    code = (
        "late = 0 if rank == 0 else .2; time.sleep(late); seen = []\n"
        "for number in range(600):\n"
        "    at = holding(number.to_bytes(4, 'little') if rank == 0 else bytes(4))\n"
        "    gpu.ncclBroadcast(at, at, c_size_t(4), 1, 0, comm, None)\n"
        "    seen.append(content(at, 4)); gpu.cudaFree(at)"
    )
    right = [number.to_bytes(4, "little").hex() for number in range(600)]
    assert ranks.all(code, "seen") == [right] * SIZE


def test_of_large_contents_only_the_size_is_said_and_nobody_waits(ranks: Ranks) -> None:
    large = (1 << 20) + 512
    for rank in range(SIZE):  # one after the other: a wait would never end
        ranks.ask(
            rank,
            f"given = holding(bytes({large})); "
            f"result = gpu.ncclAllReduce(given, given, c_size_t({large}), 1, 0, comm, None)",
            "[result, content(given, 512)]",
        )
        assert ranks.answer(rank) == [0, None]


def test_unknown_contents_wait_for_nobody(ranks: Ranks) -> None:
    for rank in range(SIZE):
        ranks.ask(
            rank,
            "given = holding(bytes(64), known=False); "
            "gpu.ncclAllReduce(given, given, c_size_t(64), 1, 0, comm, None)",
            "content(given, 64)",
        )
        assert ranks.answer(rank) is None
