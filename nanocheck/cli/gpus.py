"""List the cards of the catalog, or one card's figures and where each comes from."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from nanocheck.core.scrub import disarm_json

if TYPE_CHECKING:
    from nanocheck.core.gpus import Gpu
    from nanocheck.report.blocks import Block

_UNKNOWN = "-"
_PREDICTED = "~"


def prepare_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", nargs="?", metavar="GPU", help="a card's id: show every figure and its source")
    parser.add_argument(
        "--gpus",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="a TOML file with further cards (may be given several times)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON; sizes in bytes")


def run(arguments: argparse.Namespace) -> int:
    """
    Raises:
        RequestError: an unknown card, or a catalog file that is wrong.
    """
    from nanocheck.core.gpus import find_gpu, load_catalog
    from nanocheck.report.console import show

    if arguments.id is None:
        cards = list(load_catalog(arguments.gpus).values())
        if arguments.json:
            print(disarm_json(json.dumps([asdict(gpu) for gpu in cards], indent=1)))
        else:
            show(_overview(cards))
        return 0
    gpu = find_gpu(arguments.id, arguments.gpus)
    if arguments.json:
        print(disarm_json(json.dumps(asdict(gpu), indent=1)))
    else:
        show(_details(gpu))
    return 0


def figures(gpu: Gpu) -> dict[str, str]:
    """Every figure of a card as text with its unit, under its name in the catalog's files."""
    from nanocheck.core.gpus import PLATFORMS
    from nanocheck.core.units import KIB, MIB, mib, span

    def optional(size_bytes: int | None) -> str:
        return "unknown" if size_bytes is None else f"{mib(size_bytes)} MiB"

    return {
        "name": gpu.name,
        "capability": gpu.capability_text,
        "sms": str(gpu.sms),
        "max_threads_per_sm": str(gpu.max_threads_per_sm),
        "max_blocks_per_sm": str(gpu.max_blocks_per_sm),
        "registers_per_sm": str(gpu.registers_per_sm),
        "shared_per_sm_kib": f"{gpu.shared_per_sm_bytes // KIB} KiB",
        "shared_per_block_kib": f"{gpu.shared_per_block_bytes // KIB} KiB",
        "shared_per_block_optin_kib": f"{gpu.shared_per_block_optin_bytes // KIB} KiB",
        "l2_mib": f"{gpu.l2_bytes / MIB:g} MiB",
        "bus_width_bits": f"{gpu.bus_width_bits} bits",
        "bandwidth_gb_s": f"{gpu.bandwidth_gb_s:g} GB/s",
        "boost_mhz": f"{gpu.boost_mhz} MHz",
        "memory_mhz": f"{gpu.memory_mhz} MHz",
        "tgp_w": f"{gpu.tgp_w} W",
        "bf16_tflops": "none" if gpu.bf16_tflops is None else f"{gpu.bf16_tflops:g} TFLOPS",
        "nominal_mib": optional(gpu.nominal_bytes),
        **{f"{name}_usable_mib": optional(gpu.usable_bytes.get(name)) for name in PLATFORMS},
        **{
            f"{name}_usable_most_mib": optional(most)
            for name, most in gpu.usable_most_bytes.items()
            if most > gpu.usable_bytes[name]
        },
        "context_mib": span(optional(gpu.context_bytes), optional(gpu.context_most_bytes)),
        **({"host": gpu.host} if "host" in gpu.sources else {}),
    }


def _overview(cards: list[Gpu]) -> list[Block]:
    from nanocheck.core.gpus import PLATFORMS
    from nanocheck.core.units import GIB, MIB, span
    from nanocheck.report.blocks import prose, stack
    from nanocheck.report.terminal_table import table

    def usable(gpu: Gpu, platform: str) -> str:
        least, most = gpu.usable_bytes.get(platform), gpu.usable_most_bytes.get(platform)
        if least is None or most is None:
            return _UNKNOWN
        mark = _PREDICTED if gpu.computed(platform) else ""
        return mark + span(f"{least / GIB:.2f}", f"{most / GIB:.2f}")

    rows = [
        {
            "id": gpu.id,
            "name": gpu.name,
            "capability": gpu.capability_text,
            **{f"{name} GiB": usable(gpu, name) for name in PLATFORMS},
            "context MiB": span(f"{gpu.context_bytes / MIB:.0f}", f"{gpu.context_most_bytes / MIB:.0f}"),
            "GB/s": f"{gpu.bandwidth_gb_s:.0f}",
            "bf16 TFLOPS": _UNKNOWN if gpu.bf16_tflops is None else f"{gpu.bf16_tflops:.0f}",
        }
        for gpu in cards
    ]
    meaning = (
        "GiB: what torch shows as the card's memory on that platform, by the driver where two figures stand; "
        f"{_PREDICTED}: predicted from the card's size, at one end at least, since nobody published it; "
        "context: what CUDA itself takes of it. SAFE holds at the least memory and the most context."
    )
    return [
        table(rows, whole=["id"], left=["name"]),
        stack(prose(meaning), prose("nanocheck gpus ID shows where each figure comes from.")),
    ]


def _details(gpu: Gpu) -> list[Block]:
    """A line per figure; sources are sentences, so they stand below."""
    from nanocheck.report.blocks import prose, stack

    lines = [prose(gpu.id, style="bold")]
    for name, value in figures(gpu).items():
        lines.append(prose(f"{name:28}{value}", indent=2))
        lines.append(prose(gpu.sources.get(name, "nobody published it"), indent=4))
    return [stack(*lines)]
