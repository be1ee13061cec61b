"""What ``--gpu`` says of a machine with several cards."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanocheck.cli import build_parser, options
from nanocheck.core.device_selection import CardQuestion
from nanocheck.core.errors import RequestError
from nanocheck.core.gpus import find_gpu
from nanocheck.core.machine import MOST_CARDS, Alike, machine_of
from nanocheck.virtual.card import card_text

KINDS = st.sampled_from(["h100", "rtx4090", "rtx3090", "a100-40gb", "t4"])


@given(st.lists(st.builds(Alike, st.integers(1, 16), KINDS), min_size=1, max_size=4))
def test_a_machine_reads_as_it_is_written(machine: list[Alike]) -> None:
    assert machine_of(",".join(map(str, machine))) == tuple(machine)


@pytest.mark.parametrize("text", ["rtx4070", "all", "rtx4070,rtx4090", "rtx4070-laptop", "xh100"])
def test_cards_without_a_number_are_questions_of_their_own(text: str) -> None:
    assert machine_of(text) is None


@pytest.mark.parametrize(
    "text",
    ["0xh100", f"{MOST_CARDS + 1}xh100", "40xh100,40xh100", "2xh100,0xt4", "8xall", "2xh100,t4", "2xh100,"],
)
def test_no_such_machine_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="--gpu"):
        machine_of(text)


def test_an_unknown_card_of_a_machine_is_refused() -> None:
    with pytest.raises(RequestError, match="h1000"):
        CardQuestion(gpu="2xh1000").select()


def test_real_cards_are_refused_where_several_are_asked_for() -> None:
    with pytest.raises(RequestError, match="--device"):
        CardQuestion(gpu="2xh100", device="real").select()


@given(st.lists(st.builds(Alike, st.integers(1, 9), KINDS), min_size=1, max_size=3))
def test_every_card_of_a_machine_has_its_own_figures(machine: list[Alike]) -> None:
    target = CardQuestion(gpu=",".join(map(str, machine))).select().target
    cards = sum(each.cards for each in machine)
    assert target.machine_cards == cards
    assert sum(each.cards for each in target.machine) == (cards if cards > 1 else 0)
    blocks = card_text(target).split("\n\n")
    assert [f"name={find_gpu(each.gpu).name}" for each in machine] == [
        block.splitlines()[0] for block in blocks
    ]


@pytest.mark.parametrize(
    ("verb", "machine", "taken"),
    [
        (["advise", "--tokens-per-step", "1024"], "2xrtx4070", True),
        (["advise", "--tokens-per-step", "1024"], "1xrtx4070,1xrtx4090", False),
        (["run", "--", "true"], "1xrtx4070,1xrtx4090", True),
        (["drift", "--torch", "2.9", "--", "true"], "2xrtx4070", True),
        (["diff", "--at", "HEAD", "--", "true"], "1xrtx4070,1xrtx4090", True),
        (["plan", "--tokens", "1B"], "2xrtx4070", False),
    ],
)
def test_which_verbs_take_which_machines(verb: list[str], machine: str, taken: bool) -> None:
    at = verb.index("--") if "--" in verb else len(verb)
    arguments = build_parser().parse_args([*verb[:at], "--gpu", machine, *verb[at:]])
    if taken:
        assert options.card(arguments).gpu == machine
    else:
        with pytest.raises(RequestError, match=r"expected (one card|cards of one kind), .*`nanocheck run`"):
            options.card(arguments)
