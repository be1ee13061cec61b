"""List the cards of the catalog, or one card's figures and where each comes from."""

from __future__ import annotations

import argparse
import json
import shutil
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nanocheck.core.gpus import Gpu

_UNKNOWN = "-"
_INDENT = " " * 4


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

    if arguments.id is None:
        catalog = load_catalog(arguments.gpus)
        if arguments.json:
            print(json.dumps([asdict(gpu) for gpu in catalog.values()], indent=1))
        else:
            print(_overview(list(catalog.values())))
        return 0
    gpu = find_gpu(arguments.id, arguments.gpus)
    print(json.dumps(asdict(gpu), indent=1) if arguments.json else _details(gpu))
    return 0


def figures(gpu: Gpu) -> dict[str, str]:
    """Every figure of a card as text with its unit, under its name in the catalog's files."""
    from nanocheck.core.gpus import PLATFORMS
    from nanocheck.core.units import KIB, MIB, mib

    def optional(size_bytes: int | None) -> str:
        return "unknown" if size_bytes is None else f"{mib(size_bytes)} MiB"

    return {
        "name": gpu.name,
        "capability": f"{gpu.capability[0]}.{gpu.capability[1]}",
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
        "context_mib": optional(gpu.context_bytes),
    }


def _overview(cards: list[Gpu]) -> str:
    from tabulate import tabulate

    from nanocheck.core.gpus import PLATFORMS
    from nanocheck.core.units import GIB, MIB

    def usable(gpu: Gpu, platform: str) -> str:
        size = gpu.usable_bytes.get(platform)
        return _UNKNOWN if size is None else f"{size / GIB:.2f}"

    rows: list[dict[str, Any]] = [
        {
            "id": gpu.id,
            "name": gpu.name,
            "capability": f"{gpu.capability[0]}.{gpu.capability[1]}",
            **{f"{name} GiB": usable(gpu, name) for name in PLATFORMS},
            "context MiB": f"{gpu.context_bytes / MIB:.0f}",
            "GB/s": f"{gpu.bandwidth_gb_s:.0f}",
            "bf16 TFLOPS": _UNKNOWN if gpu.bf16_tflops is None else f"{gpu.bf16_tflops:.0f}",
        }
        for gpu in cards
    ]
    table = tabulate(rows, headers="keys", disable_numparse=True, colalign=("left", "left", *["right"] * 6))
    return (
        f"{table}\n\nGiB: what torch shows as the card's memory on that platform; context: what CUDA itself "
        "takes of it.\nnanocheck gpus ID shows where each figure comes from."
    )


def _details(gpu: Gpu) -> str:
    """A block per figure; sources are sentences, so they stand below, as wide as the terminal."""
    width = shutil.get_terminal_size((100, 24)).columns
    blocks = [gpu.id]
    for name, value in figures(gpu).items():
        source = gpu.sources.get(name, "nobody published it")
        note = textwrap.fill(
            source, max(40, width), initial_indent=_INDENT, subsequent_indent=_INDENT, break_on_hyphens=False
        )
        blocks.append(f"  {name:28}{value}\n{note}")
    return "\n".join(blocks)
