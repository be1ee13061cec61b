"""The figures of every card agree with each other, which is what finds a slip of the pen."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from nanocheck.core.card_tables import CAPABILITY_FIGURES, FIGURES, PLATFORMS
from nanocheck.core.gpus import Gpu, load_catalog
from nanocheck.core.units import KIB, MIB

CATALOG = load_catalog()

#: Dense bf16 FLOP a clock and SM, accumulated in fp32, by capability. Of GA102, AD102 and Blackwell for
#: desktops, GeForce and what is sold at its rate run at half of the chip's.
RATES = {"8.0": 2048, "8.7": 2048, "9.0": 4096, "10.0": 8192, "10.3": 8192, "11.0": 8192}
CHIP, HALF = 1024, 512
HALF_RATE = ("a10g", "l40")
#: NVIDIA rates these at a lower clock than deviceQuery prints: MHz.
RATED_MHZ = {"h100": 1830, "h100-pcie": 1620, "h100-nvl": 1545, "h200": 1830, "gh200": 1830}
RATED_MHZ |= {"b200": 1856, "b300": 1856}
#: The most L2 that a chip has for each 32 bits of its memory bus, in MiB; HBM for each 1024.
MOST_L2 = {"7.0": 1.5, "7.5": 0.5, "8.0": 8, "8.6": 0.5, "8.9": 8, "9.0": 10, "12.0": 8}
MOST_L2 |= {"10.0": 15.8125, "10.3": 15.8125}


def failures(wrong: Callable[[Gpu], str]) -> list[str]:
    return [f"{gpu.id}: {said}" for gpu in CATALOG.values() if (said := wrong(gpu))]


def test_there_are_the_cards_that_people_have() -> None:
    assert len(CATALOG) >= 100
    series = ("rtx20", "rtx30", "rtx40", "rtx50", "rtx-a", "rtxpro", "v100", "a100", "h100", "jetson")
    assert all(sum(each.startswith(name) for each in CATALOG) >= 2 for name in series)


def test_memory_clock_and_bus_give_the_bandwidth() -> None:
    def wrong(gpu: Gpu) -> str:
        computed = 2 * gpu.memory_mhz * 1e6 * gpu.bus_width_bits / 8 / 1e9
        right = gpu.bandwidth_gb_s == pytest.approx(computed, rel=0.02)
        return "" if right else f"{gpu.bandwidth_gb_s} GB/s, by clock and bus {computed:.1f}"

    assert failures(wrong) == []


def test_sms_and_clock_give_the_bf16_peak() -> None:
    def wrong(gpu: Gpu) -> str:
        if gpu.capability < (8, 0):
            return "" if gpu.bf16_tflops is None else "bf16 before Ampere"
        half = "GeForce" in gpu.name or gpu.id in HALF_RATE
        rate = RATES.get(gpu.capability_text, HALF if half else CHIP)
        computed = gpu.sms * RATED_MHZ.get(gpu.id, gpu.boost_mhz) * 1e6 * rate / 1e12
        right = gpu.bf16_tflops == pytest.approx(computed, rel=0.02)
        return "" if right else f"{gpu.bf16_tflops} TFLOPS, by SMs and clock {computed:.1f}"

    assert failures(wrong) == []


def test_the_cache_is_one_that_the_bus_can_have() -> None:
    def wrong(gpu: Gpu) -> str:
        if gpu.capability_text not in MOST_L2:
            return ""  # chips that share the host's memory
        parts = gpu.bus_width_bits / (1024 if gpu.bus_width_bits >= 3072 else 32)
        share = gpu.l2_bytes / MIB / parts
        most = MOST_L2[gpu.capability_text]
        return (
            "" if most / 4 <= share <= most else f"{share:g} MiB of L2 a part of the bus, not up to {most:g}"
        )

    assert failures(wrong) == []


def test_memory_figures_are_ordered() -> None:
    def wrong(gpu: Gpu) -> str:
        for platform, least in gpu.usable_bytes.items():
            most = gpu.usable_most_bytes[platform]
            if not 0.9 * gpu.nominal_bytes < least <= most < gpu.nominal_bytes:
                return f"{platform}: {least} to {most} of {gpu.nominal_bytes}"
            # WDDM hides next to nothing from torch; the Linux driver keeps a few hundred MiB.
            kept = gpu.nominal_bytes - most
            if platform == "windows" and not 0 < kept <= gpu.nominal_bytes - least < 2 * MIB:
                return f"windows keeps {kept}"
            if platform == "linux" and kept < 130 * MIB:
                return f"linux keeps only {kept}"
        desktop = any(word in gpu.name for word in ("GeForce", "RTX")) and gpu.id not in NO_WINDOWS
        if ("windows" in gpu.usable_bytes) != desktop or "linux" not in gpu.usable_bytes:
            return f"platforms {', '.join(gpu.usable_bytes)}"
        if not 60 * MIB <= gpu.context_bytes <= gpu.context_most_bytes <= 760 * MIB:
            return f"context {gpu.context_bytes}"
        return ""

    assert failures(wrong) == []


#: Their usable memory was read with ECC on, under Linux; the last is a server's.
NO_WINDOWS = ("quadro-rtx5000", "quadro-rtx6000", "rtxpro6000-server")


def test_limits_follow_from_the_capability() -> None:
    threads = {"7.5": 1024, "8.6": 1536, "8.7": 1536, "8.9": 1536, "11.0": 1536, "12.0": 1536, "12.1": 1536}

    def wrong(gpu: Gpu) -> str:
        # From Ampere on, the system keeps 1 KiB a block.
        kept = 0 if gpu.capability < (8, 0) else KIB
        right = (
            gpu.max_threads_per_sm == threads.get(gpu.capability_text, 2048)
            and gpu.max_blocks_per_sm in {16, 24, 32}
            and gpu.registers_per_sm == 65536
            and gpu.shared_per_block_bytes == 48 * KIB < gpu.shared_per_block_optin_bytes
            and gpu.shared_per_sm_bytes - gpu.shared_per_block_optin_bytes == kept
        )
        return "" if right else f"limits of {gpu.capability_text}"

    assert failures(wrong) == []


def test_every_figure_has_a_public_source() -> None:
    def wrong(gpu: Gpu) -> str:
        figures = set(FIGURES) - {f"{p}_usable_mib" for p in PLATFORMS if p not in gpu.usable_bytes}
        spans = [p for p, most in gpu.usable_most_bytes.items() if most > gpu.usable_bytes[p]]
        figures -= {f"{p}_usable_most_mib" for p in PLATFORMS if p not in spans}
        figures -= {"host"} if gpu.host == "x86_64" else set()
        if set(gpu.sources) != figures | (set(CAPABILITY_FIGURES) - {"source"}):
            return f"sources of {set(gpu.sources) ^ (figures | (set(CAPABILITY_FIGURES) - {'source'}))}"
        bad = [each for each in gpu.sources.values() if len(each) <= 10 or any(w in each for w in PRIVATE)]
        return f"{bad}" if bad else ""

    assert failures(wrong) == []


PRIVATE = ("../", "/work", "/home", ".csv")


def test_two_cards_of_one_name_differ_in_memory() -> None:
    """So that a real card, which says its name and its memory, is told apart."""
    for one, other in itertools.combinations(CATALOG.values(), 2):
        if one.name == other.name:
            assert abs(one.nominal_bytes - other.nominal_bytes) > 0.1 * one.nominal_bytes
