"""What NCCL itself takes of a card for its communicators, outside PyTorch's allocator, as a range.

The parts are those of NCCL's source (github.com/NVIDIA/nccl at 5067397, June 2026). A rank that sends to
another over NVLink or PCI Express has a buffer of each protocol at the receiver, for each channel
(``src/transport/p2p.cc``, sizes in ``src/init.cc`` and ``src/include/device.h``): LL 512 KiB, LL128 4.7
MiB, Simple 4 MiB (``NCCL_BUFFSIZE``), in pieces of 2 MiB: 10 MiB, and 2 at the sender, which are the two
sizes of allocations that nccl#1685 lists. A ring has one such connection in and one out; a tree adds up to
as much; NVLink SHARP keeps 2 MiB for each of its 16 channels and ranks (``src/transport/nvls.cc``).
Connections are made when a collective first needs them, so the least is a ring's. Messages between two
ranks (``all_to_all``, pipelines) have connections of their own, to each other rank and to itself.

The virtual card takes the least away while a communicator has its connections, by the same rules in C
(``csrc/answers/nccl_used.c``): an out-of-memory that follows is one at whatever the range's true value is.
NCCL connects when a collective first needs an algorithm (``comm->runtimeConn`` in ``src/init.cc`` and
``src/enqueue.cc``, since 2.22; TensorRT-LLM sets ``NCCL_RUNTIME_CONNECT=0`` so as to know what is free after
init), before that when the communicator is made.

Fitted, one number: what a channel takes beside its connections, from the two ranks of nccl#964 (4 x A100,
544 MB a communicator: 24 channels x 12 MiB leave 256 MiB). Not fitted, November 2026:

* nccl#964, more than two ranks: 688 MB; the range is 288 to 832.
* nccl#1685, 8 x H100: 1.06 GB with the context (about 0.55) before the first ``all_to_all``: 192 to 1,088.
  3.28 GB more after it, where the most is 3.22 GB: **above the range**, by 2 %.
* vllm#46234, 8 GPUs: 958 MiB freed by suspending the communicators of tensor and expert parallel, two of
  them: 384 to 2,176 for two of an H100's.
* nanochat#443, 8 x H100: 1,070 to 1,081 MiB more in use (72.48 GiB) than our process at the same request, of
  which up to 110 may be the context's (``suites/claims``, C1): 192 to 1,088.
* two ranks on PCI Express (posted messages, see ``cuda_context``): some 20 to 130 MiB more than trainings on
  one GPU: 0 to 91. **Reaches above the range.**

Not used: nccl#864 (1.6 GB with one communicator, 6 GB with three or more; neither card nor what else it
counts is said).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nanocheck.core.process_memory import Communicators
from nanocheck.core.units import KIB, MIB

#: What the user may have set, of what changes a size here.
VARIABLES = (
    *("NCCL_BUFFSIZE", "NCCL_LL_BUFFSIZE", "NCCL_LL128_BUFFSIZE"),
    *("NCCL_MAX_NCHANNELS", "NCCL_MAX_CTAS", "NCCL_MAX_P2P_NCHANNELS"),
    *("NCCL_NVLS_ENABLE", "NCCL_P2P_DISABLE"),
)
_LL, _LL128, _SIMPLE = 512 * KIB, 4_915_200, 4 * MIB
_PIECE = 2 * MIB
#: Beside its connections, a channel's.
_BESIDE = -(-256 * MIB // 24)
_NVLS_CHANNELS, _NVLS_BYTES = 16, 2 * MIB
#: A machine has no more cards in one NVLink domain or on one board, as far as was read.
_NODE = 8


@dataclass(frozen=True)
class Wiring:
    """How many channels the cards of one kind use: the least and the most for collectives, the most for
    messages; ``sharp``: with NVLink SHARP.
    """

    least: int
    most: int
    messages: int
    sharp: bool = False


#: By the card's id: those that NVLink joins by switches; cards in slots, with a bridge or without, are not.
#: Logs of NCCL say 24 channels for A100, 16 and 24 for H100, 32 for messages on H100 (nccl#1453, nccl#1685);
#: the others are guessed from them.
_NVLINK = {
    "v100-16gb": Wiring(8, 12, 12),
    "v100-32gb": Wiring(8, 12, 12),
    "a100-40gb": Wiring(24, 24, 24),
    "a100-80gb": Wiring(24, 24, 24),
    "h100": Wiring(16, 24, 32, sharp=True),
    "h200": Wiring(16, 24, 32, sharp=True),
    "b200": Wiring(16, 32, 32, sharp=True),
}
#: On PCI Express 2 to 4; where cards may not read each other's memory, all of it is the host's.
_PCIE = Wiring(0, 4, 4)


def taken_bytes(
    gpu: str, communicators: Iterable[Communicators], settings: Mapping[str, str]
) -> tuple[int, int]:
    """The least and the most bytes that NCCL takes of a card in one process; (0, 0) without communicators.

    Args:
        gpu: the card's id in the catalog.
        settings: of ``VARIABLES`` those that were set.
    """
    wiring = _NVLINK.get(gpu, _PCIE)
    least = most = 0
    for each in communicators:
        low, high = _one(wiring, each.ranks, settings)
        least, most = least + low * each.count, most + high * each.count
        if each.messages:
            low, high = _messages(wiring, each.ranks, settings)
            least, most = least + low * each.messages, most + high * each.messages
    return least, most


def least_channels(gpu: str) -> int:
    """By how many a card of this id reaches others' memory in collectives; 0: by the host's memory alone."""
    return _NVLINK.get(gpu, _PCIE).least


def connection_bytes(settings: Mapping[str, str]) -> int:
    """Of one channel to one rank and from one, both ends that lie on this card."""
    buffers = (
        _number(settings, "NCCL_LL_BUFFSIZE", _LL)
        + _number(settings, "NCCL_LL128_BUFFSIZE", _LL128)
        + _number(settings, "NCCL_BUFFSIZE", _SIMPLE)
    )
    return -(-buffers // _PIECE) * _PIECE + _PIECE


def _one(wiring: Wiring, ranks: int, settings: Mapping[str, str]) -> tuple[int, int]:
    cap = min(_number(settings, "NCCL_MAX_NCHANNELS", 64), _number(settings, "NCCL_MAX_CTAS", 64))
    connection = connection_bytes(settings)
    least = min(wiring.least, cap) * connection
    if settings.get("NCCL_P2P_DISABLE") == "1":
        least = 0
    # A ring; a tree beside it where there are more than two; and another one's ends where a node ends.
    ways = 1 if ranks == 2 else 2 if ranks <= _NODE else 3
    most = min(wiring.most, cap) * (ways * connection + _BESIDE)
    if wiring.sharp and ranks > 2 and settings.get("NCCL_NVLS_ENABLE") != "0":
        most += _NVLS_CHANNELS * _NVLS_BYTES * min(ranks, _NODE)
    return least, most


def _messages(wiring: Wiring, ranks: int, settings: Mapping[str, str]) -> tuple[int, int]:
    channels = min(wiring.messages, _number(settings, "NCCL_MAX_P2P_NCHANNELS", 64))
    return 0, channels * min(ranks, _NODE) * connection_bytes(settings)


def _number(settings: Mapping[str, str], name: str, default: int) -> int:
    """What the user set, as NCCL reads it; anything else is as if it had not been set."""
    text = settings.get(name, "")
    return int(text) if text.isdecimal() and 0 < int(text) < 1 << 40 else default
