"""The published rows: what calibrates does not validate; committed files are what the scripts write."""

from __future__ import annotations

from collections import Counter

import pytest

from nanocheck.core.gpus import load_catalog
from nanocheck.timing import constants, intervals
from nanocheck.timing.card import Card


@pytest.fixture(scope="module")
def compared(script):
    return script("validate").compare()


def test_its_cards_are_those_of_the_catalog(script) -> None:
    """Two tables of one card's figures: H200's cache was 50 MiB in one of them and 60 in the other."""
    own = {row["name"]: row["id"] for row in script("rows")._read("cards.csv")}
    compared = {gpu.name: Card.of(gpu) for gpu in load_catalog().values() if gpu.name in own}
    assert len(compared) > 12
    for name, card in compared.items():
        found = script("rows").cards()[own[name]]
        assert (found.capability, found.sms, found.memory) == (card.capability, card.sms, card.memory), name
        for figure in ("boost_mhz", "tensor_tflops", "bandwidth_gb_s", "l2_bytes", "tgp_w"):
            assert getattr(found, figure) == pytest.approx(getattr(card, figure), rel=0.001), (name, figure)


def test_every_row_has_one_role_and_none_has_two(script) -> None:
    rows = script("rows")
    for table, read, total in (("kernels.csv", rows.kernels, 3), ("steps.csv", rows.steps, 3)):
        by_role = {role: read(role) for role in ("calibrate", "validate", "exclude")}
        assert sum(map(len, by_role.values())) == len(rows._read(table)), total
    declared = Counter(
        (row["table"], row["source"], row["card"])
        for row in rows._read("split.csv")
        if row["table"] != "not kept"
    )
    assert set(declared.values()) == {1}


def test_the_split_counts_the_rows_it_speaks_of(script) -> None:
    rows = script("rows")
    real = Counter((rows._table(row), row["source"], row["card"]) for row in rows._read("kernels.csv"))
    real += Counter(("steps", row["source"], row["card"]) for row in rows._read("steps.csv"))
    split = [row for row in rows._read("split.csv") if row["table"] != "not kept"]
    assert {(row["table"], row["source"], row["card"]): int(row["rows"]) for row in split} == dict(real)
    assert all(row["reason"] for row in rows._read("split.csv"))


def test_whole_steps_calibrate_nothing_but_the_pair_on_odd_dimensions(script) -> None:
    pair = script("rows").steps("calibrate")
    assert sorted(row["vocab"] for row in pair) == ["50257", "50304"]
    assert len({tuple(v for k, v in row.items() if k not in {"vocab", "milliseconds"}) for row in pair}) == 1


def test_cards_are_known_and_rows_name_source(script) -> None:
    rows = script("rows")
    for row in (*rows._read("kernels.csv"), *rows._read("steps.csv")):
        assert row["card"] in rows.cards()
        assert row["source"]


def test_the_constants_are_what_the_fit_gives(script) -> None:
    calibrate = script("calibrate")
    assert constants.FILE.read_text() == calibrate.text(calibrate.fit())


def test_scores_and_page_are_what_validation_gives(script, compared) -> None:
    tables = script("tables")
    assert intervals.FILE.read_text() == tables.scores_text(compared)
    assert tables.PAGE.read_text() == tables.page(tables.PAGE.read_text(), compared)


def test_the_model_is_nearer_than_the_roofline(compared) -> None:
    bound = [row for row in compared if not row.host_bound]
    nearer = sum(abs(row.error) < abs(row.roofline / row.real - 1) for row in bound)
    assert nearer > 0.85 * len(bound)


def test_the_formula_of_gpt2_has_the_closed_forms_operations(script) -> None:
    gpt2 = script("gpt2")
    for compiled in (True, False):
        model = gpt2.Gpt2(
            layers=12, width=768, heads=12, vocab=50304, context=1024, batch=8, accumulation=3,
            dtype="bfloat16", compiled=compiled, flash=True, fused=True,
        )  # fmt: skip
        found = gpt2.kernel_list(model)
        products = sum(one.operations * n for one, n in found if one.product)
        attention = sum(one.operations * n for one, n in found if one.attention)
        assert products == found.tokens * 6 * (12 * 12 * 768**2 + 50304 * 768)
        assert attention == found.tokens * 7 * 12 * 1024 * 768


def test_rows_that_measured_a_host_do_not_validate(script, compared) -> None:
    by_table = {
        (row.source, row.card, row.dtype, row.mode, row.segment) for row in compared if row.host_known
    }
    left_out = len(script("rows").steps("validate")) - len(compared)
    assert 0 < left_out <= len(by_table)
