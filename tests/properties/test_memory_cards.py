"""How much memory the card has decides whether a run fits, and nothing else about it."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from nanocheck.core.config import StepConfig
from nanocheck.core.verdict import classify
from properties.configurations import configurations, explored
from properties.laboratory import CARD, FIELDS, Laboratory, card_with, compare, peak_bytes

GRANULE = 2 << 20  # cudaMalloc's unit here
ORDER = {"oom": 0, "tight": 1, "safe": 2}


@explored(long=4)
@given(
    configs=configurations(long=4, cycle="train"),
    places=st.lists(st.floats(0, 1), min_size=2, max_size=4),
    margin=st.integers(0, 64).map(lambda granules: granules * GRANULE),
)
def test_less_memory_never_turns_out_of_memory_into_a_fit(
    lab: Laboratory, configs: list[StepConfig], places: list[float], margin: int
) -> None:
    """Cards between what the tensors ask for at once and what the allocator takes when it may."""
    for config, natural in zip(configs, lab.results(configs), strict=True):
        low, high = peak_bytes(natural, "requested_bytes"), peak_bytes(natural, "reserved_bytes")
        drawn = {round(low + place * (high + margin - low)) // GRANULE for place in places}
        sizes = sorted({each for size in drawn for each in (size, size + 1)})
        results = lab.on_cards(config, [card_with(size * GRANULE) for size in sizes])
        found = [
            f"{size * 2} MiB: {each.outcome}, {each.main.retries} retries"
            for size, each in zip(sizes, results, strict=True)
        ]
        ranks = [ORDER[classify(each, margin).kind] for each in results]
        assert ranks == sorted(ranks), (config.id, found)


@explored()
@given(configs=configurations(cycle="train"), more=st.integers(0, 1000))
def test_what_it_takes_when_it_may_is_enough_and_what_it_asks_for_is_needed(
    lab: Laboratory, configs: list[StepConfig], more: int
) -> None:
    for config, natural in zip(configs, lab.results(configs), strict=True):
        reserved, requested = (peak_bytes(natural, field) for field in ("reserved_bytes", "requested_bytes"))
        cards = [card_with(reserved + more * GRANULE), card_with(requested - 1)]
        enough, too_little = lab.on_cards(config, cards)
        assert (enough.outcome, enough.main.retries) == ("completed", 0), config.id
        assert enough.main.peaks == natural.main.peaks, [compare(natural, enough, field) for field in FIELDS]
        assert too_little.outcome == "oom", config.id


@explored()
@given(configs=configurations(cycle="train"), place=st.floats(0, 1.2))
def test_a_reserve_is_a_smaller_card(lab: Laboratory, configs: list[StepConfig], place: float) -> None:
    """What a desktop holds counts as if the card had that much less."""
    for config, natural in zip(configs, lab.results(configs), strict=True):
        low, high = peak_bytes(natural, "requested_bytes"), peak_bytes(natural, "reserved_bytes")
        available = round(low + place * (high - low)) // GRANULE * GRANULE
        reserve = CARD.available_bytes - available
        smaller, shared = lab.on_cards(config, [card_with(available), replace(CARD, reserve_bytes=reserve)])
        assert smaller.outcome == shared.outcome, config.id
        assert smaller.main.peaks == shared.main.peaks, [compare(smaller, shared, field) for field in FIELDS]
        assert (smaller.main.retries, smaller.main.ooms) == (shared.main.retries, shared.main.ooms), config.id
