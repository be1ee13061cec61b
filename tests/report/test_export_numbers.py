"""Numbers for benchmark services and monitoring: exact, each with its own name, and only what is known."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from itertools import pairwise

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import DEVICE, oom_result, result
from made_up_exports import NAMES, SIZES, compared, of_result, runs, several_cards, side, small_table
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from nanocheck.core import anonymous
from nanocheck.core.config import StepConfig
from nanocheck.core.errors import NanocheckError, RequestError
from nanocheck.core.step_time import Interval, StepTime
from nanocheck.core.verdict import JudgedRun, Kind
from nanocheck.report.export import bencher, github_benchmark, openmetrics, stored
from nanocheck.report.export.card_run import CardRun
from nanocheck.report.export.sources import of_card, of_cell, of_diff, of_run

#: As bencher.dev/docs/reference/bencher-metric-format documents it, and nothing beside.
METRIC = {
    "type": "object",
    "properties": {name: {"type": "number"} for name in ("value", "lower_value", "upper_value")},
    "required": ["value"],
    "additionalProperties": False,
}
MEASURES = {"type": "object", "patternProperties": {"^.+$": METRIC}, "additionalProperties": False}
BENCHER = {"type": "object", "patternProperties": {"^.+$": MEASURES}, "additionalProperties": False}
MANY = st.lists(runs(), max_size=4, unique_by=lambda run: run.title)
SECRETS = re.compile(r"mallory|/home", re.IGNORECASE)


@pytest.fixture(autouse=True, scope="module")
def _mallorys_machine() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(anonymous, "known_names", lambda: NAMES)
        yield


def answers(found: list[CardRun]) -> bool:
    return any(run.verdict.is_answer for run in found)


@settings(max_examples=60)
@given(MANY)
def test_a_benchmark_has_the_documented_fields_and_a_name_that_stays_in_its_cell(
    found: list[CardRun],
) -> None:
    """As the action's ``extractCustomBenchmarkResult`` reads it; its comment puts names between backticks."""
    if not answers(found):
        with pytest.raises(NanocheckError, match="no run came to an answer"):
            github_benchmark.smaller(found)
        return
    text = github_benchmark.smaller(found)
    entries = json.loads(text)
    names = [entry["name"] for entry in entries]
    assert len(set(names)) == len(names) > 0
    for entry in entries:
        assert {"name", "unit", "value"} <= set(entry) <= {"name", "unit", "value", "range", "extra"}
        assert type(entry["value"]) in (int, float)
        assert all(isinstance(text, str) for name, text in entry.items() if name != "value")
        assert not re.search(r"[`|\n\r\x1b\u202e]", entry["name"])
        assert re.search(r"^provenance: \w", entry["extra"], re.MULTILINE)
        assert "`" not in entry["extra"]
    assert not SECRETS.search(text)


@settings(max_examples=60)
@given(MANY)
def test_bencher_s_schema_holds_and_a_value_lies_in_its_bounds(found: list[CardRun]) -> None:
    if not answers(found):
        with pytest.raises(NanocheckError):
            bencher.render(found)
        return
    text = bencher.render(found)
    read = json.loads(text)
    jsonschema.validate(read, BENCHER)
    assert set(read) == {run.title for run in found if run.verdict.is_answer}
    for name, measures in read.items():
        assert 0 < len(name) <= 1024
        assert "\n" not in name
        for slug, metric in measures.items():
            assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug)
            assert len(slug) <= 64
            bounds = [metric.get("lower_value", metric["value"]), metric["value"]]
            bounds.append(metric.get("upper_value", metric["value"]))
            assert bounds == sorted(bounds)
    assert not SECRETS.search(text)


@settings(max_examples=60)
@given(MANY)
def test_openmetrics_parser_reads_back_every_label_and_every_byte(found: list[CardRun]) -> None:
    text = openmetrics.render(found)
    families = {family.name: family for family in text_string_to_metric_families(text)}
    about = (
        {
            (each.labels["run"], each.labels["card"], each.labels["provenance"])
            for each in families["nanocheck_run"].samples
        }
        if found
        else set()
    )
    assert about == {(run.name, run.place, run.provenance) for run in found}
    for field, name in (("allocated_bytes", "peak_allocated"), ("reserved_bytes", "peak_reserved")):
        family = families.get(f"nanocheck_{name}_bytes")
        samples = [] if family is None else family.samples
        read = {
            (each.labels["run"], each.labels["card"], each.labels["provenance"]): each.value
            for each in samples
        }
        assert read == {
            (run.name, run.place, run.provenance): getattr(run, field)
            for run in found
            if run.verdict.is_answer and getattr(run, field) is not None
        }
        assert family is None or (family.unit, family.type) == ("bytes", "gauge")
    assert not SECRETS.search(text)


@settings(max_examples=60)
@given(MANY)
def test_gitlab_reads_a_value_for_each_name_with_labels(found: list[CardRun]) -> None:
    """It splits a line as a shell does, and compares the first word's value with the target branch's."""
    lines = [line for line in openmetrics.render(found).splitlines() if not line.startswith("#")]
    words = [shlex.split(line) for line in lines]
    assert all(len(each) == 2 and each[0].startswith("nanocheck_") for each in words)
    assert all(float(each[1]) is not None for each in words)
    assert len({each[0] for each in words}) == len(words)


@given(SIZES, SIZES)
def test_no_byte_is_lost_on_the_way(allocated: int, reserved: int) -> None:
    run = of_result(result(allocated_bytes=allocated, reserved_bytes=reserved, process_bytes=1 << 30))
    shown = {
        entry["name"].rpartition(": ")[2]: entry["value"]
        for entry in json.loads(github_benchmark.smaller([run]))
    }
    assert (shown["peak-allocated"], shown["peak-reserved"]) == (allocated, reserved)
    assert float(shown["peak-allocated"]) == allocated  # what JavaScript and Rust make of it
    metrics = json.loads(bencher.render([run]))[run.title]
    assert (metrics["peak-allocated"], metrics["peak-reserved"]) == (
        {"value": allocated},
        {"value": reserved},
    )


def test_the_range_of_memory_is_that_of_the_context() -> None:
    run = of_result(result(process_bytes=9000 << 20))
    metrics = json.loads(bencher.render([run]))[run.title]
    context = DEVICE.context_most_bytes - DEVICE.context_bytes
    drivers = DEVICE.capacity_bytes - DEVICE.sure_capacity_bytes
    assert context > 0
    for name, more in (("process-memory", context), ("headroom", context + drivers)):
        metric = metrics[name]
        assert metric["value"] == metric["lower_value"] == metric["upper_value"] - more
    assert metrics["headroom"]["value"] == run.verdict.headroom_bytes


def test_of_a_real_card_and_of_several_cards_no_range_is_known() -> None:
    measured = of_result(result(provenance="measured", device=made_real(), process_bytes=9 << 30))
    found = several_cards(Kind.SAFE)
    (row,) = [of_card(found, each) for each in found.cards]
    for run in (measured, row):
        metrics = json.loads(bencher.render([run]))[run.title]
        assert set(metrics["process-memory"]) == set(metrics["headroom"]) == {"value"}
        assert not [name for name in openmetrics.render([run]).split() if "_most" in name or "_least" in name]


def made_real() -> object:
    return msgspec.structs.replace(DEVICE, kind="real")


def test_what_ran_out_of_memory_has_no_peak_but_does_not_fit() -> None:
    """What was reached before would look like an improvement."""
    died, crashed = of_result(oom_result()), of_result(result(outcome="crashed", detail="ValueError: x"))
    assert json.loads(bencher.render([died])) == {died.title: {"does-not-fit": {"value": 1}}}
    assert [entry["value"] for entry in json.loads(github_benchmark.smaller([died]))] == [1]
    with pytest.raises(NanocheckError):
        github_benchmark.bigger([died])
    with pytest.raises(NanocheckError):
        bencher.render([crashed])
    text = openmetrics.render([crashed])
    assert 'verdict="crashed"' in text
    assert "does_not_fit{" not in text
    assert "does_not_fit{" in openmetrics.render([of_result(result())])


def test_headroom_alone_is_better_bigger() -> None:
    run = of_result(result())
    (entry,) = json.loads(github_benchmark.bigger([run]))
    assert entry["name"].endswith(": headroom")
    assert entry["value"] == run.verdict.headroom_bytes
    assert "headroom" not in github_benchmark.smaller([run])


@pytest.mark.parametrize("known", [True, False])
def test_a_modelled_step_brings_its_interval_where_there_is_one(known: bool) -> None:
    interval = Interval(low=0.2, high=0.31, level=0.8, groups=9) if known else None
    time = StepTime(
        gpu="rtx4070", seconds=0.25, card_seconds=0.2, host_seconds=None, tokens_per_second=None,
        operations=1.0, floor_operations=0.1, floor_memory=0.1, mfu_exact=0.5, mfu_palm=None, parts=(),
        kinds=(), decided_by="card", bottleneck="", interval=interval,
        no_interval=None if known else "too few",
    )  # fmt: skip
    run = of_run(JudgedRun.of(result()), time)
    metric = json.loads(bencher.render([run]))[run.title]["modelled-step"]
    assert metric == {"value": 0.25} | ({"lower_value": 0.2, "upper_value": 0.31} if known else {})
    (entry,) = [each for each in json.loads(github_benchmark.smaller([run])) if each["unit"] == "seconds"]
    assert entry.get("range") == ("0.2 to 0.31" if known else None)
    assert entry["extra"].startswith("provenance: modelled")
    samples = {
        each.name: (each.value, each.labels["provenance"])
        for family in text_string_to_metric_families(openmetrics.render([run]))
        for each in family.samples
        if "step" in each.name
    }
    assert samples["nanocheck_modelled_step_seconds"] == (0.25, "modelled")
    assert ("nanocheck_modelled_step_most_seconds" in samples) == known


def test_runs_that_differ_in_the_machine_have_other_names_and_equal_ones_are_refused() -> None:
    devices = [
        DEVICE,
        msgspec.structs.replace(DEVICE, platform="windows"),
        msgspec.structs.replace(DEVICE, reserve_bytes=2 << 30),
        msgspec.structs.replace(DEVICE, gpu="t4"),
    ]
    found = [of_result(result(device=device)) for device in devices]
    found.append(of_result(result(provenance="measured")))
    found.append(of_result(result(StepConfig(batch=2))))
    assert stored.unique(found) == found
    assert all(a.title != b.title for a, b in pairwise(sorted(found, key=lambda run: run.title)))
    with pytest.raises(RequestError, match="found two"):
        stored.unique([*found, found[0]])


def test_of_a_comparison_the_newer_side_counts_and_only_true_peaks() -> None:
    grown = of_diff(compared(side(5 << 30), side(6 << 30)))
    died = of_diff(compared(side(5 << 30), side(9 << 30, Kind.OOM)))
    in_room = of_diff(compared(side(5 << 30), side(9 << 30, Kind.OOM, exact=True, in_room=True)))
    peaks = [
        json.loads(bencher.render([run]))[run.title].get("peak-allocated") for run in (grown, died, in_room)
    ]
    assert peaks == [{"value": 6 << 30}, None, {"value": 9 << 30}]


def test_a_cell_of_a_table_has_its_peak_though_it_does_not_fit_and_the_range_of_its_card() -> None:
    table = small_table(Kind.SAFE, Kind.OOM)
    fits, died = [of_cell(table, card, cell) for card, cell in zip(table.cards, table.cells, strict=True)]
    metrics = json.loads(bencher.render([fits, died]))
    assert metrics[fits.title]["process-memory"] == {
        "value": 5 << 30,
        "lower_value": 5 << 30,
        "upper_value": (5 << 30) + 200,
    }
    assert metrics[fits.title]["headroom"]["upper_value"] == (3 << 30) + 207
    assert metrics[fits.title]["modelled-step"] == {"value": 0.5, "lower_value": 0.4, "upper_value": 0.6}
    assert metrics[died.title]["peak-allocated"] == {"value": (4 << 30) + 1}
    assert metrics[died.title]["does-not-fit"] == {"value": 1}
    assert not {"headroom", "process-memory"} & set(metrics[died.title])
