"""The card, as the C library reads it from NANOCHECK_CARD when a child initialises CUDA."""

from __future__ import annotations

from nanocheck.core.card_links import links, reads_peers
from nanocheck.core.device import Target
from nanocheck.core.scrub import scrub
from nanocheck.core.units import MIB

#: Transfers to the card up to this size are carried out; larger ones leave no value behind.
COPY_LIMIT_BYTES = 1 * MIB


def card_text(target: Target) -> str:
    """The machine's cards: one, or an empty line between its kinds, each with how many of it there are."""
    if target.machine_cards == 1:
        return _kind_text(target)
    return "\n\n".join(
        "\n".join(
            (
                _kind_text(each),
                f"cards={each.cards}",
                f"links={links(each.gpu.id)}",
                f"peers={int(reads_peers(each.gpu.name))}",
            )
        )
        for each in target.kinds
    )


def _kind_text(target: Target) -> str:
    """Lines of ``key=value``; the keys are the fields of ``nc_card`` in csrc/base/card.h. A name is one line,
    whoever made it up: a second one would be another figure.
    """
    gpu = target.gpu
    fields = {
        "name": scrub(gpu.name).replace("\n", " "),
        "total_bytes": target.device.capacity_bytes,
        "context_bytes": gpu.context_bytes,
        "reserve_bytes": target.reserve_bytes,
        "copy_limit_bytes": COPY_LIMIT_BYTES,
        "major": gpu.capability[0],
        "minor": gpu.capability[1],
        "sms": gpu.sms,
        "threads_per_sm": gpu.max_threads_per_sm,
        "blocks_per_sm": gpu.max_blocks_per_sm,
        "registers_per_sm": gpu.registers_per_sm,
        "shared_per_block": gpu.shared_per_block_bytes,
        "shared_per_block_optin": gpu.shared_per_block_optin_bytes,
        "shared_per_sm": gpu.shared_per_sm_bytes,
        "l2_bytes": gpu.l2_bytes,
        "bus_bits": gpu.bus_width_bits,
        "clock_khz": gpu.boost_mhz * 1000,
        "memory_khz": gpu.memory_mhz * 1000,
        "stand_in": int(target.device.host is not None),
    }
    return "\n".join(f"{key}={value}" for key, value in fields.items())
