"""Claim files: what they may say, what is told where they are wrong, and every verdict."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_up import oom_result, result

from nanocheck.claims.evaluation import needed
from nanocheck.claims.files import chosen, load_ledger, load_ledgers
from nanocheck.claims.judging import Finding, find
from nanocheck.claims.quantities import Asked
from nanocheck.core.config import StepConfig
from nanocheck.core.device import Target
from nanocheck.core.errors import RequestError
from nanocheck.core.gpus import find_gpu
from nanocheck.core.result import RunResult
from nanocheck.core.units import MIB

HEAD = '[ledger]\ntitle = "A note"\nabout = "somebody wrote it"\ngpu = "rtx4070"\n'
CLAIM = """
[claim.X1]
title = "it is large"
says = "it is larger than 10 GB"
expected = "confirmed"
confirmed_if = "size > 10 * GB"
refuted_if = "size <= 10 * GB"
[claim.X1.fact.size]
value = 12
unit = "GB"
source = "a data sheet"
[claim.X1.quote]
confirmed = "It has {size}, or {size:GiB.2}."
"""
HOME = Target(kind="virtual", gpu=find_gpu("rtx4070"))


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(HEAD + text)
    return path


def judged(
    folder: Path, text: str, records: dict[StepConfig, RunResult] | None = None, device: Target = HOME
) -> Finding:
    ledger = load_ledger(write(folder, text))
    (claim,) = ledger.claims
    found = {asked: records[asked.config] for asked in needed(claim) if records and asked.config in records}
    return find(ledger, claim, found, device)


def test_every_verdict_can_come(tmp_path: Path) -> None:
    confirmed = judged(tmp_path, CLAIM)
    assert (confirmed.verdict, confirmed.same) == ("confirmed", True)
    assert confirmed.sentence == "It has 12 GB, or 11.18 GiB."
    assert (confirmed.provenance, confirmed.why) == ("published", "")
    refuted = judged(tmp_path, CLAIM.replace("value = 12", "value = 9"))
    assert (refuted.verdict, refuted.same) == ("refuted", False)
    assert refuted.sentence == "“it is larger than 10 GB” does not hold."
    open_one = judged(tmp_path, CLAIM.replace("value = 12", "value = [9, 12]"))
    assert (open_one.verdict, open_one.same) == ("cannot tell", False)
    assert open_one.why == "the ranges overlap"


def test_a_claim_may_say_that_nobody_can_tell(tmp_path: Path) -> None:
    text = CLAIM.replace('expected = "confirmed"', 'expected = "cannot tell"\nbecause = "no {size} was seen"')
    text = text.replace('confirmed = "It', 'cannot_tell = "It')
    text = "\n".join(line for line in text.splitlines() if "_if" not in line)
    finding = judged(tmp_path, text)
    assert (finding.verdict, finding.same, finding.why) == ("cannot tell", True, "no 12 GB was seen")


RUN = CLAIM.replace("[claim.X1.fact.size]", "[claim.X1.run.it]\nbatch = 2\n[claim.X1.fact.other]").replace(
    "size > 10 * GB", "it.allocated > 10 * GB"
)
RUN = RUN.replace("size <= 10 * GB", "it.allocated <= 10 * GB").replace(
    "It has {size}, or {size:GiB.2}.", "It peaks at {it.allocated:MiB.0} and {it.ending}."
)


def test_a_run_that_gave_no_answer_decides_nothing(tmp_path: Path) -> None:
    config = StepConfig(batch=2)
    for outcome in ("crashed", "timeout", "unsupported"):
        finding = judged(tmp_path, RUN, {config: result(config, outcome=outcome, detail="it fell over")})
        assert finding.verdict == "cannot tell"
        assert "it fell over" in finding.why
    finding = judged(tmp_path, RUN, {config: oom_result(config)})
    assert finding.verdict == "cannot tell"
    assert "ran out of memory" in finding.why


def test_a_run_decides(tmp_path: Path) -> None:
    config = StepConfig(batch=2)
    finding = judged(tmp_path, RUN, {config: result(config)})
    assert (finding.verdict, finding.provenance) == ("refuted", "virtual")
    measured = judged(tmp_path, RUN, {config: result(config, provenance="measured")})
    assert measured.provenance == "measured"
    shown = {each.name: each for each in finding.shown}
    assert shown["it.allocated"].value == "8,000 MiB"
    assert shown["it.ending"].value.startswith("completes with")


def test_nothing_is_expected_on_another_card(tmp_path: Path) -> None:
    config = StepConfig(batch=2)
    for device in (
        Target(kind="virtual", gpu=find_gpu("rtx4090")),
        Target(kind="virtual", gpu=HOME.gpu, reserve_bytes=MIB),
    ):
        assert judged(tmp_path, RUN, {config: result(config)}, device).same is None
        assert judged(tmp_path, CLAIM, {}, device).same is True  # arithmetic is the same everywhere
        pinned = RUN.replace("batch = 2", 'batch = 2\ngpu = "rtx4090"')
        assert judged(tmp_path, pinned, {config: result(config)}, device).same is False


def test_what_runs_is_only_what_is_asked_for(tmp_path: Path) -> None:
    text = RUN.replace("batch = 2", 'batch = 2\nreserve = "1 GiB"\nsteps = 7')
    (claim,) = load_ledger(write(tmp_path, text)).claims
    assert needed(claim) == [Asked(config=StepConfig(batch=2), reserve_bytes=1 << 30, steps=7)]
    computed = CLAIM.replace("[claim.X1.quote]", "[claim.X1.run.it]\nbatch = 2\n[claim.X1.quote]")
    computed = computed.replace("or {size:GiB.2}", "{it.parameters} parameters")
    (claim,) = load_ledger(write(tmp_path, computed)).claims
    assert needed(claim) == []
    assert "124,373,760 parameters" in judged(tmp_path, computed).sentence


def test_a_configuration_may_be_refused(tmp_path: Path) -> None:
    table = "[claim.X1.run.it]\nn_embd = 100\nn_head = 3\nmay_be_refused = true\n[claim.X1.quote]"
    text = CLAIM.replace("[claim.X1.quote]", table).replace('"size > 10 * GB"', '"it.refused"')
    text = text.replace("or {size:GiB.2}", "{it.refusal}, {it.parameters}")
    finding = judged(tmp_path, text)
    assert finding.verdict == "confirmed"
    assert "expected a multiple of n_head, found 100 % 3 = 1, unknown" in finding.sentence


def test_quantities_of_the_file_belong_to_every_claim(tmp_path: Path) -> None:
    shared = CLAIM.replace("[claim.X1.fact.size]", "[fact.size]")
    second = '[claim.X2]\ntitle = "t"\nsays = "s"\nexpected = "refuted"\nrefuted_if = "size > GB"\n'
    second += '[claim.X2.quote]\nrefuted = "{size}"\n'
    ledger = load_ledger(write(tmp_path, shared + second))
    assert [find(ledger, claim, {}, HOME).verdict for claim in ledger.claims] == ["confirmed", "refuted"]
    assert [each.id for each in chosen([ledger], ["X2"])[0].claims] == ["X2"]
    with pytest.raises(RequestError, match="choose among X1, X2"):
        chosen([ledger], ["X3"])


def test_rules_that_both_hold_are_an_error(tmp_path: Path) -> None:
    text = CLAIM.replace("size <= 10 * GB", "size > 11 * GB")
    with pytest.raises(RequestError, match=r"mine.toml: \[claim.X1\]: expected rules of which at most one"):
        judged(tmp_path, text)


#: A change of CLAIM, the table and key that the message must name, and what it must say.
MISTAKES = [
    ("[claim.X1]", "[claim.X1", "not TOML", ""),
    ("[claim.X1]", "[claims.X1]", "unknown key 'claims'", "write claim"),
    ('title = "it is large"\n', "", "[claim.X1]: title", "text that is not empty, found nothing"),
    ('title = "it is large"', "title = 3", "[claim.X1]: title", "found 3"),
    ("says", "sais", "[claim.X1]: unknown key 'sais'", "write says"),
    ("[claim.X1]", '[claim."X 1"]', "(its id)", "letters, digits and dashes"),
    (
        'expected = "confirmed"',
        'expected = "true"',
        "[claim.X1]: expected",
        "confirmed, refuted, cannot tell",
    ),
    ('"size > 10 * GB"', '"size > 10"', "[claim.X1]: confirmed_if", "found bytes and a count"),
    ('"size > 10 * GB"', '"sise > 10 * GB"', "[claim.X1]: confirmed_if", "close: size"),
    ('"size > 10 * GB"', '"size"', "[claim.X1]: confirmed_if", "something true or false"),
    ('"size > 10 * GB"', '"size >"', "[claim.X1]: confirmed_if", "expected a formula"),
    ('"size <= 10 * GB"', '"open(1)"', "[claim.X1]: refuted_if", "no call but"),
    ("fact.size", "fact.GB", "[claim.X1.fact.GB]", "not that of a unit"),
    ("fact.size", "fact.Size", "[claim.X1.fact.Size]", "small letters"),
    ('source = "a data sheet"\n', "", "[claim.X1.fact.size]: source", "found nothing"),
    ("value = 12\n", "", "[claim.X1.fact.size]: value", "a number or a range"),
    ("value = 12", "value = [3, 2]", "[claim.X1.fact.size]: value", "a number or a range"),
    ("value = 12", "value = nan", "[claim.X1.fact.size]: value", "a number or a range"),
    ("value = 12", "value = true", "[claim.X1.fact.size]: value", "a number or a range"),
    ("value = 12", "value = 1e250", "[claim.X1.fact.size]: value", "below 1e200"),
    ('unit = "GB"', 'unit = "Gb"', "[claim.X1.fact.size]: unit", "close: GB"),
    ("It has {size}", "It has {sise}", "[claim.X1]: quote.confirmed", "{sise}"),
    ("It has {size}", "It has {size", "[claim.X1]: quote.confirmed", "braces"),
    ("It has {size}", "It has {size!r}", "[claim.X1]: quote.confirmed", "{size}"),
    ("{size:GiB.2}", "{size:days}", "[claim.X1]: quote.confirmed", "a unit of bytes"),
    ("{size:GiB.2}", "{size:,.2f}", "[claim.X1]: quote.confirmed", "a format such as"),
    ("confirmed = ", "refuted = ", "[claim.X1.quote]: confirmed", "a sentence for the expected verdict"),
    ("confirmed = ", "perhaps = ", "[claim.X1.quote]: unknown key 'perhaps'", "use these keys"),
]
TABLES = [
    ("[claim.X1.run.it]\nbatch = 0", "[claim.X1.run.it]: batch", "at least 1"),
    ("[claim.X1.run.it]\nbach = 1", "[claim.X1.run.it]: unknown key 'bach'", "write batch"),
    ('[claim.X1.run.it]\ngpu = "rtx9999"', "[claim.X1.run.it]: gpu", "rtx9999"),
    ('[claim.X1.run.it]\nreserve = "much"', "[claim.X1.run.it]: reserve", "a size such as"),
    ("[claim.X1.run.it]\nsteps = 2", "[claim.X1.run.it]: steps", "from 3 to 1000"),
    ("[claim.X1.run.it]\nmay_be_refused = 1", "[claim.X1.run.it]: may_be_refused", "true or false"),
    ('[claim.X1.card.it]\ngpu = "rtx9999"', "[claim.X1.card.it]: gpu", "rtx9999"),
    ('[claim.X1.formula.it]\nis = "size / s"\nunit = "GB"', "formula.it", "bytes per seconds"),
    ('[claim.X1.formula.it]\nis = "it + 1"', "formula.it", "needs itself"),
    ('[claim.X1.formula.it]\nis = "size > GB"\nunit = "GB"', "formula.it", "no unit"),
    ("[claim.X1.formula.it]", "[claim.X1.formula.it]: is", "a formula"),
    ("[fact.size]\nvalue = 1\nsource = 'x'", "(its name)", "no other quantity"),
    ("[claim.X1.formula]\nit = 3", "[claim.X1.formula.it]", "a table"),
]


@pytest.mark.parametrize(("old", "new", "place", "told"), MISTAKES)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, old: str, new: str, place: str, told: str) -> None:
    load_ledger(write(tmp_path, CLAIM))
    assert old in CLAIM
    with pytest.raises(RequestError) as caught:
        load_ledger(write(tmp_path, CLAIM.replace(old, new)))
    message = str(caught.value)
    assert "mine.toml" in message
    assert place in message
    assert told in message
    assert "hint:" in message


@pytest.mark.parametrize(("table", "place", "told"), TABLES)
def test_a_mistake_in_a_quantity_is_told_with_its_place(
    tmp_path: Path, table: str, place: str, told: str
) -> None:
    with pytest.raises(RequestError) as caught:
        load_ledger(write(tmp_path, f"{CLAIM}\n{table}\n"))
    message = str(caught.value)
    assert "mine.toml" in message
    assert place in message
    assert told in message


def test_files_that_are_none(tmp_path: Path) -> None:
    for name, content in (
        ("gone.toml", None),
        ("empty.toml", b""),
        ("latin.toml", b"\xff"),
        ("deep.toml", b"[" * 9999),
    ):
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(RequestError, match=name):
            load_ledger(path)


def test_an_id_is_given_once(tmp_path: Path) -> None:
    path = write(tmp_path, CLAIM)
    other = tmp_path / "other.toml"
    other.write_text(path.read_text())
    with pytest.raises(RequestError, match="found that of a claim in"):
        load_ledgers([path, other], built_in=False)
    taken = write(tmp_path, CLAIM.replace("X1", "A1"))
    with pytest.raises(RequestError, match=r"note-a\.toml"):
        load_ledgers([taken])
