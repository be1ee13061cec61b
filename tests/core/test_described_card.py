"""A card in words: what is given counts, what is not is that of a card it is like, and slips are refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanocheck.core.baselines import profile_of
from nanocheck.core.described_card import DescribedCard
from nanocheck.core.device import Target
from nanocheck.core.device_selection import CardQuestion
from nanocheck.core.errors import RequestError
from nanocheck.core.gpus import Gpu, find_gpu, load_catalog
from nanocheck.core.units import GIB, MIB
from nanocheck.virtual.card import card_text

CATALOG = load_catalog()


def built(text: str) -> Gpu:
    card = DescribedCard.parse(text)
    return find_gpu(card.id, [card])


def problem(text: str) -> RequestError:
    with pytest.raises(RequestError) as caught:
        built(text)
    assert caught.value.exit_code == 2
    assert caught.value.hint
    return caught.value


def test_what_is_given_counts_and_the_rest_is_that_of_the_card_it_is_like() -> None:
    gpu, like = (
        built("name=Big 4090, memory=48GiB, like=rtx4090, sms=114, l2=64MiB, tgp=400"),
        CATALOG["rtx4090"],
    )
    assert (gpu.id, gpu.name, gpu.nominal_bytes) == ("big-4090", "Big 4090", 48 * GIB)
    assert (gpu.sms, gpu.l2_bytes, gpu.tgp_w) == (114, 64 * MIB, 400)
    assert (gpu.capability, gpu.bandwidth_gb_s, gpu.boost_mhz) == (
        like.capability,
        like.bandwidth_gb_s,
        like.boost_mhz,
    )
    assert gpu.bf16_tflops == pytest.approx(like.bf16_tflops * 114 / 128)
    assert gpu.context_bytes < like.context_bytes
    assert gpu.sources["boost_mhz"].startswith("as rtx4090: ")
    assert "--card" in gpu.sources["sms"]
    assert gpu.computed("linux")


def test_without_a_card_it_is_like_the_nearest_of_its_capability_stands_in() -> None:
    gpu = built("memory=20GiB, capability=8.9")
    nearest = min(
        (each for each in CATALOG.values() if each.capability == (8, 9)),
        key=lambda each: abs(each.nominal_bytes - 20 * GIB),
    )
    assert (gpu.sms, gpu.name) == (nearest.sms, "own card")
    assert nearest.id in gpu.note


def test_usable_memory_is_predicted_unless_it_is_given() -> None:
    predicted = built("memory=24GiB, like=rtx4090")
    assert predicted.usable_bytes["linux"] < predicted.usable_most_bytes["linux"] < 24 * GIB
    read = built("memory=24GiB, like=rtx4090, usable=23.5GiB")
    assert read.usable_bytes["linux"] == read.usable_most_bytes["linux"] == int(23.5 * GIB)
    assert read.computed("linux") is None
    same = built("like=rtx4090, name=another")
    assert same.usable_bytes == CATALOG["rtx4090"].usable_bytes


def test_bus_and_bandwidth_stay_in_relation() -> None:
    half = built("like=rtx4090, name=half, bus=192")
    assert half.bandwidth_gb_s == pytest.approx(CATALOG["rtx4090"].bandwidth_gb_s / 2, rel=0.01)
    fast = built("like=rtx4090, name=fast, bandwidth=1500")
    assert 2 * fast.memory_mhz * fast.bus_width_bits / 8e3 == pytest.approx(1500, rel=0.01)


def test_a_result_says_that_the_card_was_described() -> None:
    device = Target(kind="virtual", gpu=built("memory=24GiB, like=rtx4090")).device
    assert any("--card" in note and "rtx4090" in note for note in device.notes)
    assert any("predicted" in note for note in device.notes)
    # Of how a figure is known a profile says nothing: notes are no part of what a card is.
    plain = Target(kind="virtual", gpu=CATALOG["rtx4090"]).device
    assert profile_of(plain) != profile_of(device)


def test_a_question_finds_it_beside_the_catalogs_cards() -> None:
    card = DescribedCard.parse("name=mine, memory=24GiB, like=rtx4090")
    question = CardQuestion(gpu=card.id, gpus=(card,), device="virtual")
    assert question.select().target.gpu.nominal_bytes == 24 * GIB
    assert set(load_catalog([card])) == {*CATALOG, "mine"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "expected like=CARD, or memory= and capability=, found nothing"),
        ("memory=24GiB", "expected like=CARD, or memory= and capability=, found memory"),
        ("memory 24GiB, like=rtx4090", "found 'memory 24GiB'"),
        ("memroy=24GiB, like=rtx4090", "found 'memroy=24GiB'"),
        ("memory=24, like=rtx4090", "memory: expected a size from 1GiB"),
        ("memory=lots, like=rtx4090", "memory: expected a size from 1GiB"),
        ("memory=24GiB, memory=48GiB, like=rtx4090", "expected memory= once"),
        ("memory=24GiB, like=rtx9090", "like: expected an id"),
        ("memory=24GiB, capability=13.0", "capability: expected one of 7.0"),
        ("memory=24GiB, capability=ten", "capability: expected a compute capability"),
        ("memory=24GiB, like=rtx4090, sms=0", "sms: expected a number"),
        ("memory=24GiB, like=rtx4090, sms=", "sms: expected a number"),
        ("memory=24GiB, like=rtx4090, usable=25GiB", "usable: expected at most the memory"),
        ("name=RTX 4090, like=rtx4090", "expected a name of its own, found that of rtx4090"),
        ("name=a\nmajor=1, like=rtx4090", "name: expected up to 100 printable characters"),
        ("name=\u202egnp, like=rtx4090", "name: expected up to 100 printable characters"),
        (f"name={'a' * 101}, like=rtx4090", "name: expected up to 100 printable characters"),
        ("memory=1GiB, like=rtx4090, sms=1024", "expected memory for what CUDA itself takes"),
    ],
)
def test_slips_are_refused_with_what_was_expected(text: str, expected: str) -> None:
    assert expected in problem(text).problem


def test_a_misspelt_word_is_met_with_the_right_one() -> None:
    assert problem("memroy=24GiB, like=rtx4090").hint == "write memory="
    assert "rtx4090" in str(problem("like=rtx4091, memory=8GiB").hint)


@given(st.text(max_size=60))
def test_any_words_are_a_card_or_a_request_error(words: str) -> None:
    try:
        gpu = built(f"like=rtx4090, memory=8GiB, name={words}")
    except RequestError:
        return
    # One line for each figure of the virtual card, whatever the name says.
    lines = card_text(Target(kind="virtual", gpu=gpu)).split("\n")
    assert all("=" in line for line in lines)
    assert len({line.partition("=")[0] for line in lines}) == len(lines)
