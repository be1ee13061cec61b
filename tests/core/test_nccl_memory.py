"""What NCCL takes beside PyTorch: against published figures, by what the user set, and in verdicts."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import DEVICE, peaks, result

from nanocheck.core.nccl_memory import VARIABLES, connection_bytes, taken_bytes
from nanocheck.core.process_memory import Communicators
from nanocheck.core.units import GIB, MIB
from nanocheck.core.verdict import Kind, classify

CARDS = st.sampled_from(["h100", "a100-80gb", "v100-16gb", "rtx4090", "l40s", "b200"])
COMMUNICATORS = st.lists(
    st.builds(
        lambda ranks, count, messages: Communicators(ranks=ranks, count=count, messages=min(messages, count)),
        st.integers(2, 600),
        st.integers(1, 9),
        st.integers(0, 9),
    ),
    max_size=4,
)


def one(ranks: int, messages: int = 0) -> list[Communicators]:
    return [Communicators(ranks=ranks, count=1, messages=messages)]


def test_a_connection_is_the_two_allocations_that_nccl_prints() -> None:
    """NVIDIA/nccl#1685: 10,485,760 and 2,097,152 bytes."""
    assert connection_bytes({}) == 10_485_760 + 2_097_152


@pytest.mark.parametrize(
    ("gpu", "communicators", "published_mib"),
    [
        ("a100-80gb", one(2), 544),  # NVIDIA/nccl#964, to which one number is fitted
        ("a100-80gb", one(4), 688),  # the same, not fitted
        ("h100", one(8), 1060 - 550),  # NVIDIA/nccl#1685, less a context
        ("h100", [Communicators(ranks=8, count=2)], 958),  # vllm-project/vllm#46234
        ("rtx3090", one(2), 68),  # posted messages of two ranks, less those of one GPU
    ],
)
def test_published_figures_lie_in_the_range(
    gpu: str, communicators: list[Communicators], published_mib: int
) -> None:
    least, most = taken_bytes(gpu, communicators, {})
    assert least <= published_mib * MIB <= most


def test_messages_of_eight_h100_are_what_was_read() -> None:
    """NVIDIA/nccl#1685: 3.28 GB more after the first ``all_to_all``."""
    _, most = taken_bytes("h100", one(8, messages=1), {})
    _, before = taken_bytes("h100", one(8), {})
    assert most - before == pytest.approx(3.28e9, rel=0.02)


def test_what_a_speedrun_of_nanochat_held_beside_pytorch_lies_in_the_range() -> None:
    """nanochat#443: 1,070 to 1,081 MiB with the published digits, up to 110 of which may be the context's."""
    least, most = taken_bytes("h100", one(8), {})
    assert least <= (1070 - 110) * MIB
    assert most >= 1081 * MIB


@given(CARDS, COMMUNICATORS, st.dictionaries(st.sampled_from(VARIABLES), st.text(max_size=8), max_size=4))
def test_it_is_a_range_whatever_was_set(
    gpu: str, communicators: list[Communicators], settings: dict[str, str]
) -> None:
    least, most = taken_bytes(gpu, communicators, settings)
    assert 0 <= least <= most
    assert (most > 0) == bool(communicators), "without communicators nothing is taken"
    more = taken_bytes(gpu, [*communicators, Communicators(ranks=2, count=1)], settings)
    assert least <= more[0]
    assert most < more[1]


def test_one_channel_of_eight_h100_is_a_ring_and_a_tree_and_what_sharp_keeps() -> None:
    least, most = taken_bytes("h100", one(8), {"NCCL_MAX_NCHANNELS": "1"})
    assert least == connection_bytes({})
    sharp = 16 * 2 * 8 * MIB
    assert most == pytest.approx(2 * connection_bytes({}) + 256 * MIB / 24 + sharp, abs=1)
    _, without = taken_bytes("h100", one(8), {"NCCL_MAX_NCHANNELS": "1", "NCCL_NVLS_ENABLE": "0"})
    assert most - without == sharp
    assert taken_bytes("h100-pcie", one(8), {})[0] == 0


@given(CARDS, st.integers(2, 64), st.integers(1, 9))
def test_each_communicator_takes_as_much_as_the_first(gpu: str, ranks: int, count: int) -> None:
    least, most = taken_bytes(gpu, one(ranks), {})
    assert taken_bytes(gpu, [Communicators(ranks=ranks, count=count)], {}) == (count * least, count * most)


@given(CARDS, st.integers(2, 64), st.integers(1, 64), st.integers(1, 64 * MIB))
def test_smaller_buffers_and_fewer_channels_take_less(gpu: str, ranks: int, channels: int, size: int) -> None:
    plain = taken_bytes(gpu, one(ranks, messages=1), {})
    fewer = taken_bytes(gpu, one(ranks, messages=1), {"NCCL_MAX_NCHANNELS": str(channels)})
    assert all(a <= b for a, b in zip(fewer, plain, strict=True))
    other = taken_bytes(gpu, one(ranks, messages=1), {"NCCL_BUFFSIZE": str(size)})
    order = (size > 4 * MIB) - (size < 4 * MIB)
    assert all((b - a) * order >= 0 for a, b in zip(plain, other, strict=True))


@given(reserved=st.integers(8 * GIB, 12 * GIB), least=st.integers(0, 300), spread=st.integers(0, 900))
def test_safe_leaves_room_for_the_most_and_oom_is_certain_at_the_least(
    reserved: int, least: int, spread: int
) -> None:
    least_bytes, most_bytes = least * MIB, (least + spread) * MIB
    run = result(peaks=peaks(reserved=reserved), process_bytes=reserved + DEVICE.context_bytes + least_bytes)
    (process,) = run.processes
    taken = msgspec.structs.replace(process, nccl_least_bytes=least_bytes, nccl_most_bytes=most_bytes)
    verdict = classify(msgspec.structs.replace(run, processes=(taken,)), 0)
    assert (verdict.kind is Kind.OOM) == (
        reserved + DEVICE.context_bytes + least_bytes > DEVICE.capacity_bytes
    )
    room = DEVICE.capacity_bytes - DEVICE.context_most_bytes - most_bytes
    assert (verdict.kind is Kind.SAFE) == (reserved <= room)
    assert verdict.kind is not Kind.TIGHT or not most_bytes or "NCCL" in verdict.sentence
