"""Searches on a machine with several cards: a rank on each, tokens shared out, sharding among the methods."""

from __future__ import annotations

import ast
from dataclasses import replace

import pytest
from advise_fakes import Fake, card, line

from nanocheck.core.config import StepConfig
from nanocheck.core.errors import RequestError
from nanocheck.report import advice_text, frontier_text, script_settings
from nanocheck.report.advice_data import AdviceFile, FrontierFile
from nanocheck.report.console import as_text
from nanocheck.search import advisor, frontier, step_cost, training_variants
from nanocheck.search.advice import Advice, Question

EIGHT = replace(card(), cards=8)
SMALL = StepConfig(n_embd=576, batch=1)


def need(config: StepConfig) -> float:
    """As ``line``, and 6,000 MiB of which ``zero1`` keeps half and ``fsdp2`` an eighth."""
    return line(config) + 6000 * {"none": 1, "ddp": 1, "zero1": 0.5, "fsdp2": 1 / 8}[config.sharding]


def ask(target: object = EIGHT, **fields: object) -> tuple[Advice, Fake]:
    question = Question(target=target, base=SMALL, tokens_per_step=524_288, cycle="train", **fields)  # type: ignore[arg-type]
    fake = Fake(EIGHT, need)
    return advisor.advise(question, fake), fake


def test_every_run_is_a_rank_of_the_machine_and_the_tokens_are_shared_out() -> None:
    advice, fake = ask()
    assert fake.ran
    assert {(each.ranks, each.sharding, each.cycle) for each in fake.ran} == {(8, "ddp", "train")}
    assert fake.recorded == []  # the model of time knows no communication
    for each in AdviceFile.of(advice).recommendations:
        assert 8 * each.batch * each.accumulation * 1024 == each.tokens == 524_288
        assert each.time_provenance == "computed"
        assert not each.script_must_change
    told = " ".join(as_text(advice_text.render(AdviceFile.of(advice))).split())
    assert "on 8 x NVIDIA GeForce RTX 4070" in told
    assert "without what the ranks say to each other" in told


def test_sharding_is_tried_where_the_script_may_change_and_reaches_further() -> None:
    advice, fake = ask(change_script=True, methods=("zero1", "fsdp2"))
    assert {each.sharding for each in fake.ran} == {"ddp", "zero1", "fsdp2"}
    largest = {
        how: max(t.config.batch for t in advice.trials if t.fits and t.config.sharding == how)
        for how in ("ddp", "fsdp2")
    }
    assert largest["fsdp2"] > largest["ddp"]
    for each in AdviceFile.of(advice).recommendations:
        assert each.script_must_change == (each.run.config.sharding != "ddp")
        assert each.script_must_change == bool(each.settings.changes)
    offered = training_variants.ways(SMALL, EIGHT.gpu, change_script=True, cards=8)
    assert {each.sharding for way in offered for each in way.variants} == {"ddp", "zero1", "fsdp2"}


def test_one_card_is_asked_as_ever() -> None:
    offered = training_variants.ways(SMALL, EIGHT.gpu, change_script=True)
    assert {(each.ranks, each.sharding) for way in offered for each in way.variants} == {(1, "none")}


def test_the_script_is_told_the_accumulation_of_all_ranks() -> None:
    config = replace(SMALL, batch=8, accumulation=4, ranks=8, sharding="ddp")
    found = script_settings.settings(config)
    told = dict(each.split(" = ", 1) for each in found.lines)
    assert ast.literal_eval(told["gradient_accumulation_steps"]) == 32
    assert any("--nproc_per_node=8" in note for note in found.notes)
    assert found.changes == ()


def test_a_count_of_several_ranks_is_one_ranks_time_for_all_ranks_tokens() -> None:
    alone, shared = (step_cost.cost(each, EIGHT.gpu) for each in (SMALL, training_variants.shared(SMALL, 8)))
    assert (shared.seconds, shared.tokens) == (alone.seconds, 8 * alone.tokens)
    fewer = step_cost.cost(replace(SMALL, ranks=8, sharding="zero1"), EIGHT.gpu)
    assert fewer.seconds < shared.seconds


def test_the_models_that_ranks_share_in_their_own_way_are_refused() -> None:
    chat = StepConfig.from_dict({"model": "nanochat-2026", "batch": 1})
    with pytest.raises(RequestError, match="in a way of its own"):
        training_variants.ways(chat, EIGHT.gpu, cards=8)


def test_a_frontier_has_a_column_for_each_way_of_sharding() -> None:
    model = training_variants.shared(SMALL, 8)
    chart = frontier.Chart(
        target=EIGHT, models=(model,), methods=("eager", "eager+fsdp2", "update-in-backward")
    )
    fake = Fake(EIGHT, need)
    found = FrontierFile.of(frontier.search(chart, fake))
    ddp, fsdp2, refused = found.cells
    assert 0 < ddp.largest < fsdp2.largest
    assert refused.refusal.startswith("update:")
    assert "of each of 8 ranks" in " ".join(as_text(frontier_text.render(found)).split())
