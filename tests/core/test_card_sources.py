"""Where the cards' figures come from: none from memory without saying so; what is quoted is what stands."""

from __future__ import annotations

import re

import pytest

from nanocheck.core.card_tables import SPECIFICATION
from nanocheck.core.gpus import Gpu, load_catalog
from nanocheck.core.units import GIB, MIB

CATALOG = load_catalog()
#: What a source begins with where nobody has found the figure published.
NOT_CHECKED = "not checked: "
#: Every such figure; a further one is added here, knowingly, and to docs/limits.md.
UNCHECKED = {
    *((card, "boost_mhz") for card in ("rtx5070-laptop", "rtx5080-laptop", "rtx5090-laptop", "jetson-thor")),
    *((card, "l2_mib") for card in ("rtx3060-8gb", "rtx4000-ada", "rtx4000-sff-ada", "rtx5000-ada")),
}
#: What a data sheet's figures were found in.
FOUND_IN = re.compile(
    "TechPowerUp|Wikipedia|Hugging Face|Neowin|Wccftech|deviceQuery|nvidia-smi|torch|cudaDeviceProp|NVML|"
    "driver 595|posted|computed"
)


def test_figures_that_nobody_has_checked_say_so() -> None:
    said = {
        (gpu.id, name)
        for gpu in CATALOG.values()
        for name, source in gpu.sources.items()
        if source.startswith(NOT_CHECKED)
    }
    assert said == UNCHECKED


@pytest.mark.parametrize("figure", SPECIFICATION)
def test_a_data_sheets_figure_was_found_somewhere(figure: str) -> None:
    """A page that is only named is none."""
    unfound = {
        gpu.id: source
        for gpu in CATALOG.values()
        if (source := gpu.sources.get(figure)) and not FOUND_IN.search(source) and NOT_CHECKED not in source
    }
    assert unfound == {}


def quoted_bytes(source: str) -> list[tuple[float, float]]:
    """The sizes that a source quotes, in bytes, each with how far its last digit may be off."""
    patterns = ((r"\b(\d{5,}) bytes", 1, MIB / 2), (r"\b(\d[\d,.]*) ?M(?:i?B|Bytes)\b", MIB, 1.01 * MIB))
    found = [
        (float(number.replace(",", "").rstrip(".")) * unit, off)
        for pattern, unit, off in patterns
        for number in re.findall(pattern, source)
    ]
    return found + [(float(each) * GIB, GIB / 190) for each in re.findall(r"\b(\d+\.\d+) GiB", source)]


def sizes(gpu: Gpu) -> dict[str, int]:
    """What of a card is a size in memory, by the name of its source."""
    return {
        "l2_mib": gpu.l2_bytes,
        "nominal_mib": gpu.nominal_bytes,
        **{f"{name}_usable_mib": size for name, size in gpu.usable_bytes.items()},
        **{f"{name}_usable_most_mib": size for name, size in gpu.usable_most_bytes.items()},
    }


def test_a_quoted_size_is_the_size_that_stands() -> None:
    """Which finds a slip of the pen, and a figure that was changed without its source."""
    wrong, compared = {}, 0
    for gpu in CATALOG.values():
        for name, size in sizes(gpu).items():
            source = gpu.sources.get(name, "")
            quoted = [] if source.startswith(("computed", NOT_CHECKED)) else quoted_bytes(source)
            compared += bool(quoted)
            if quoted and not any(abs(size - each) <= off for each, off in quoted):
                wrong[f"{gpu.id} {name}"] = (size / MIB, source)
    assert compared > 150
    assert wrong == {}


def test_a_quoted_clock_or_power_is_the_one_that_stands() -> None:
    wrong, compared = {}, 0
    for gpu in CATALOG.values():
        for name, value, unit in (("boost_mhz", gpu.boost_mhz, "MHz"), ("tgp_w", gpu.tgp_w, "W")):
            quoted = re.findall(rf"(\d+) ?{unit}\b", gpu.sources[name])
            compared += bool(quoted)
            if quoted and str(value) not in quoted and "a quarter of" not in gpu.sources[name]:
                wrong[f"{gpu.id} {name}"] = (value, gpu.sources[name])
    assert compared > 15
    assert wrong == {}
