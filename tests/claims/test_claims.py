"""A claim as a function: every verdict, what its figures say, and every mistake with its place."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
from made_up import oom_result, result
from msgspec.structs import replace
from paths import ROOT
from timed_runs import timed

from nanocheck.claims.claim import Check, Claim, Decision, Note
from nanocheck.claims.finding import Finding
from nanocheck.claims.interval import Interval, span
from nanocheck.claims.run_figures import OF_CARD, OF_CONFIG, RUN_FIGURES
from nanocheck.claims.truth import UNKNOWN
from nanocheck.core.config import StepConfig
from nanocheck.core.described_card import described
from nanocheck.core.device import Target
from nanocheck.core.errors import RequestError
from nanocheck.core.gpus import find_gpu
from nanocheck.core.result import RunResult
from nanocheck.core.run_request import RunRequest
from nanocheck.core.units import MIB

NOTE = Note(title="A note", about="somebody wrote it", gpu="rtx4070")
HOME = Target(kind="virtual", gpu=find_gpu("rtx4070"))
DOC = (ROOT / "docs" / "add-a-claim.md").read_text()


def claim(function: Callable[[Check], Any], *, expected: str = "confirmed", **declared: Any) -> Claim:
    return NOTE.claim("X1", "it is larger than 10 GB", expected=expected, **declared)(function)


def judged(made: Claim, records: dict[StepConfig, RunResult] | None = None, device: Target = HOME) -> Finding:
    made.rehearse(find_gpu)
    known = {each: records[each.config] for each in made.requests if records and each.config in records}
    return made.evaluate(known, find_gpu, device)


def of_size(value: Any) -> Callable[[Check], Decision]:
    def larger_than_10_gb(c: Check) -> Decision:
        size = c.fact("size", value, "GB", source="a data sheet")
        limit = c.said("limit", 10, "GB")
        return c.decide(confirmed=size > limit, sentence=f"It has {size}, or {size:GiB.2}.")

    return larger_than_10_gb


def test_every_verdict_can_come() -> None:
    confirmed = judged(claim(of_size(12)))
    assert (confirmed.verdict, confirmed.as_expected) == ("confirmed", True)
    assert confirmed.sentence == "It has 12 GB, or 11.18 GiB."
    assert (confirmed.provenance, confirmed.why, confirmed.title) == ("published", "", "larger than 10 gb")
    assert confirmed.rules == [("confirmed if", "size > limit"), ("refuted if", "not size > limit")]
    refuted = judged(claim(of_size(9)))
    assert (refuted.verdict, refuted.as_expected) == ("refuted", False)
    assert refuted.sentence == "“it is larger than 10 GB” does not hold."
    nobody_knows = judged(claim(of_size((9, 12))))
    assert (nobody_knows.verdict, nobody_knows.as_expected) == ("cannot tell", False)
    assert nobody_knows.why == "the ranges overlap"


def test_a_claim_may_say_that_nobody_can_tell() -> None:
    def never_seen(c: Check) -> Decision:
        """a title
        and more of it
        """
        size = c.assumed("size", 12, "GB", why="a guess")
        return c.decide(because=f"no {size} was seen", sentence="Nobody knows.", remark=f"not even {size}")

    finding = judged(claim(never_seen, expected="cannot tell"))
    assert (finding.verdict, finding.as_expected, finding.why) == ("cannot tell", True, "no 12 GB was seen")
    assert (finding.title, finding.provenance, finding.rules) == ("a title", "assumed", [])
    assert finding.remark == "not even 12 GB"


def peaks_below_10_gb(c: Check) -> Decision:
    limit = c.said("limit", 10, "GB")
    return c.decide(
        confirmed=c.it.allocated > limit,
        refuted=c.it.allocated <= limit,
        sentence={
            "refuted": f"It peaks at {c.it.allocated:MiB.0} and {c.it.ending}.",
            "cannot tell": f"It {c.it.ending}; {c.it.headroom} is left.",
        },
    )


CONFIG = StepConfig(batch=2)
IT = {"it": {"batch": 2}}


def test_a_run_decides() -> None:
    made = claim(peaks_below_10_gb, expected="refuted", runs=IT)
    finding = judged(made, {CONFIG: result(CONFIG)})
    assert (finding.verdict, finding.provenance, finding.as_expected) == ("refuted", "virtual", True)
    assert finding.card == "NVIDIA GeForce RTX 4070"
    measured = judged(made, {CONFIG: result(CONFIG, provenance="measured")})
    assert measured.provenance == "measured"
    rows = {row.name: row for row in finding.figures}
    assert rows["it.allocated"].value == "8,000 MiB"
    assert rows["it.ending"].value.startswith("completes with")
    assert rows["limit"].provenance == "said"
    assert rows["it.allocated"].how == (
        "peak allocated of gpt2-768-b2-a1-bf16-eager on NVIDIA GeForce RTX 4070"
    )


def test_a_run_that_gave_no_answer_decides_nothing() -> None:
    made = claim(peaks_below_10_gb, expected="refuted", runs=IT)
    for outcome in ("crashed", "timeout", "unsupported"):
        finding = judged(made, {CONFIG: result(CONFIG, outcome=outcome, detail="it fell over")})
        assert finding.verdict == "cannot tell"
        assert finding.why == f"gpt2-768-b2-a1-bf16-eager {outcome}: it fell over"
        assert finding.sentence == "It unknown; unknown is left."
    finding = judged(made, {CONFIG: oom_result(CONFIG)})
    assert finding.verdict == "cannot tell"
    assert "ran out of memory, so there is no peak allocated" in finding.why


def test_nothing_is_expected_on_another_card() -> None:
    records = {CONFIG: result(CONFIG)}
    here = claim(peaks_below_10_gb, runs=IT)
    elsewhere = claim(peaks_below_10_gb, runs={"it": {"batch": 2, "gpu": "rtx4090"}})
    for device in (
        Target(kind="virtual", gpu=find_gpu("rtx4090")),
        Target(kind="virtual", gpu=HOME.gpu, reserve_bytes=MIB),
        Target(kind="virtual", gpu=HOME.gpu, platform="windows"),
    ):
        assert judged(here, records, device).as_expected is None
        assert judged(claim(of_size(12)), {}, device).as_expected is True  # arithmetic is the same everywhere
        assert judged(elsewhere, records, device).as_expected is False


def test_what_runs_can_be_read_without_running() -> None:
    made = claim(peaks_below_10_gb, runs={"it": {"batch": 2, "reserve": "1 GiB", "steps": 7}})
    assert made.requests == (RunRequest(config=CONFIG, reserve_bytes=1 << 30, steps=7),)

    def counted(c: Check) -> Decision:
        return c.decide(confirmed=c.it.parameters > 10**8, sentence=f"{c.it.parameters} parameters")

    looked_at = claim(counted, configs=IT)
    assert looked_at.requests == ()
    assert judged(looked_at).sentence == "124,373,760 parameters"


def test_a_configuration_may_be_refused() -> None:
    def refused(c: Check) -> Decision:
        return c.decide(confirmed=c.it.refused, sentence=f"{c.it.refusal}, {c.it.parameters}")

    impossible = {"n_embd": 100, "n_head": 3, "may_be_refused": True}
    finding = judged(claim(refused, configs={"it": impossible}))
    assert finding.verdict == "confirmed"
    assert finding.sentence == "n_embd: expected a multiple of n_head, found 100 % 3 = 1, unknown"
    possible = judged(claim(refused, configs=IT))
    assert (possible.verdict, possible.figures[0].value) == ("refuted", "no")


def test_figures_have_provenance_and_source() -> None:
    def everything(c: Check) -> Decision:
        laptop = c.card("rtx4070-laptop", "laptop")
        ratio = c.computed("ratio", laptop.power * 2 / c.card("rtx4070").power, "percent")
        c.computed("plain", 12 * 768**2, how="12 * 768 ** 2")
        c.computed("either", span(1, c.assumed("guess", 3, why="it is wide")))
        return c.decide(confirmed=ratio > 0, sentence=f"{ratio}")

    finding = judged(claim(everything))
    rows = {row.name: (row.value, row.provenance, row.how) for row in finding.figures}
    assert rows["plain"] == ("7,077,888", "computed", "12 * 768 ** 2")
    assert rows["ratio"][1:] == ("computed", "laptop.power * 2 / rtx4070.power")
    assert rows["either"] == ("1 to 3", "computed", "span(1, guess)")
    assert rows["laptop.power"][1] == "published"
    assert rows["laptop.power"][2].startswith("NVIDIA GeForce RTX 4070 Laptop GPU: TechPowerUp")
    assert finding.provenance == "computed + published + assumed"


def test_every_figure_is_there_before_and_after_the_run_and_in_the_documentation() -> None:
    config = StepConfig(batch=16)
    for outcome in (None, result(config), oom_result(config), result(config, outcome="crashed")):

        def look(c: Check) -> Decision:
            for figure in (*OF_CONFIG, *RUN_FIGURES, "refused", "refusal"):
                assert f"`{figure}`" in DOC
                assert str(getattr(c.it, figure))
            for figure in OF_CARD:
                assert f"`{figure}`" in DOC
                assert str(getattr(c.card("rtx4070"), figure)) != "unknown"
            return c.decide(confirmed=True)

        made = claim(look, runs={"it": {"batch": 16, "time": True}})
        judged(made, {} if outcome is None else {config: outcome})


def test_a_steps_time_is_known_of_a_card_that_only_the_session_knows() -> None:
    like = find_gpu("rtx4070")
    fast = f"bf16={2 * (like.bf16_tflops or 0):g}, bandwidth={2 * like.bandwidth_gb_s:g}"
    (card,) = described([f"name=Mine, memory=12GiB, like=rtx4070, {fast}"])
    ran = timed(0.0)
    mine = replace(ran, device=replace(ran.device, gpu=card.id))

    def look(c: Check) -> Decision:
        return c.decide(confirmed=c.mine.step_estimate < c.theirs.step_estimate)

    runs = {name: {"batch": batch, "time": True} for name, batch in (("mine", 16), ("theirs", 8))}
    made = claim(look, runs=runs)
    find = functools.partial(find_gpu, extra=[card])
    made.rehearse(find)
    results = dict(zip(made.requests, (mine, ran), strict=True))
    assert made.evaluate(results, find, HOME).verdict == "confirmed"
    with pytest.raises(RequestError, match="found 'mine'"):
        made.evaluate(results, find_gpu, HOME)


def test_steps_are_seen() -> None:
    def steady(c: Check) -> Decision:
        return c.decide(confirmed=c.it.steady_from == 1, sentence=f"{c.it.steps}: {c.it.last_step:MiB.0}")

    made = claim(steady, runs=IT)
    assert judged(made, {CONFIG: result(CONFIG)}).sentence == "3: 8,000 MiB"
    assert (
        judged(made, {CONFIG: result(CONFIG, peaks=result(CONFIG).main.peaks[:3])}).verdict == "cannot tell"
    )


# --- mistakes ----------------------------------------------------------------------------------------------


def body(action: Callable[[Check], Any]) -> Callable[[Check], Any]:
    def mistaken(c: Check) -> Any:
        return action(c)

    return mistaken


#: A function, what its message must say, and its hint.
IN_THE_BODY: list[tuple[Callable[[Check], Any], str, str]] = [
    (
        lambda c: c.decide(confirmed=c.fact("s", 1, "GB", source="x") > 10),
        "found bytes and a plain number",
        "unit",
    ),
    (lambda c: c.fact("s", 1, "Gb", source="x"), "expected a unit, found 'Gb'", "write GB"),
    (
        lambda c: c.fact("s", (3, 2), "GB", source="x"),
        "expected a range from low to high",
        "edit test_claims.py",
    ),
    (
        lambda c: c.fact("s", "much", "GB", source="x"),
        "expected a number, found 'much'",
        "edit test_claims.py",
    ),
    (
        lambda c: c.said("s", 1) and c.said("s", 2),
        "expected one figure of that name, found 1",
        "another name",
    ),
    (lambda c: c.computed("s", 3), "expected how it was computed", "how="),
    (lambda c: c.computed("s", Interval(3, unit="GB")), "expected a unit of bytes, found none", "edit"),
    (lambda c: c.card("rtx9999").power, "expected a GPU of the catalog, found 'rtx9999'", "nanocheck gpus"),
    (lambda c: c.card("rtx4070").watts, "expected a figure of a card, found 'watts'", "tflops"),
    (lambda c: c.ti.allocated, "expected a name under runs= or configs=, found 'ti'", "use one of it"),
    (lambda c: c.it.alocated, "it.alocated: expected a figure, found 'alocated'", "write one of allocated"),
    (lambda c: f"{c.it.allocated:days}", "expected a unit of bytes, found days", "edit"),
    (lambda c: c.decide(), "expected a rule, or because=", "edit"),
    (
        lambda c: c.decide(confirmed=True, refuted=True),
        "found that both do: True; True",
        "exclude each other",
    ),
    (
        lambda c: c.decide(confirmed=True, sentence={"yes": "x"}),
        "expected a verdict, found 'yes'",
        "confirmed",
    ),
    (lambda c: c.decide(confirmed=not c.it.fits), "nobody knows whether it.fits (it has not run)", "& | ~"),
    (lambda c: "refuted", "expected that it returns c.decide(...), found 'refuted'", "edit"),
    (
        lambda c: c.decide(confirmed=UNKNOWN),
        "it: expected that a figure of this run decides",
        "under configs=",
    ),
]


@pytest.mark.parametrize(("action", "expected", "hint"), IN_THE_BODY)
def test_a_mistake_in_the_function_has_its_place(action: Any, expected: str, hint: str) -> None:
    with pytest.raises(RequestError) as caught:
        claim(body(action), runs=IT).rehearse(find_gpu)
    line = body.__code__.co_firstlineno + 1
    assert caught.value.problem.startswith(f"test_claims.py:{line}: claim X1: ")
    assert expected in caught.value.problem
    assert hint in str(caught.value.hint)


DECLARED: list[tuple[dict[str, Any], str, str]] = [
    ({"runs": {"it": {"bach": 1}}}, "it: expected fields of a configuration, found 'bach'", "write batch"),
    ({"runs": {"it": {"batch": 0}}}, "it: batch: expected at least 1, found 0", "edit"),
    ({"runs": {"it": {"reserve": "much"}}}, "it: reserve: expected a size such as", "MiB"),
    ({"runs": {"it": {"reserve": 3}}}, "it: reserve: expected text, found 3", "edit"),
    ({"runs": {"it": {"platform": "dos"}}}, "it: platform: expected one of linux, windows", "edit"),
    ({"runs": {"it": {"steps": 2}}}, "it: steps: expected a number from 3 to 1000, found 2", "edit"),
    ({"runs": {"it": {"may_be_refused": 1}}}, "it: may_be_refused: expected True or False", "edit"),
    ({"configs": {"it": {"steps": 7}}}, "it: expected fields of a configuration, found 'steps'", "fields"),
    (
        {"runs": {"card": {}}},
        "card: expected small letters, digits and _ as a run's name, and none of",
        "edit",
    ),
    ({"runs": {"It": {}}}, "It: expected small letters", "edit"),
    ({"runs": IT, "configs": IT}, "it: expected it under runs= or configs=, found it under both", "edit"),
    ({"expected": "true"}, "expected=: expected one of confirmed, refuted, cannot tell", "edit"),
]


@pytest.mark.parametrize(("declared", "expected", "hint"), DECLARED)
def test_a_mistake_in_what_is_declared(declared: dict[str, Any], expected: str, hint: str) -> None:
    with pytest.raises(RequestError) as caught:
        claim(of_size(1), **declared)
    assert caught.value.problem.startswith("test_claims.py:")
    assert expected in caught.value.problem
    assert hint in str(caught.value.hint)


@pytest.mark.parametrize(("name", "says"), [("X 1", "something"), ("", "something"), ("X1", "  ")])
def test_an_id_and_a_quotation_are_needed(name: str, says: str) -> None:
    with pytest.raises(RequestError, match="expected"):
        NOTE.claim(name, says, expected="refuted")(of_size(1))


def test_unknown_cards_are_found_before_anything_runs() -> None:
    with pytest.raises(RequestError, match="'rtx9999'"):
        claim(peaks_below_10_gb, runs={"it": {"gpu": "rtx9999"}}).rehearse(find_gpu)
    other = Note(title="t", about="a", gpu="rtx9998").claim("X1", "s", expected="refuted")(of_size(1))
    with pytest.raises(RequestError, match="'rtx9998'"):
        other.rehearse(find_gpu)


def test_a_figure_of_a_run_needs_a_run() -> None:
    with pytest.raises(RequestError) as caught:
        claim(peaks_below_10_gb, configs=IT).rehearse(find_gpu)
    assert caught.value.hint == "declare it under runs= instead of configs="


def test_what_python_looks_for_is_no_mistake_of_a_claim() -> None:
    check = Check(claim(of_size(1), runs=IT), {}, find_gpu)
    assert not hasattr(check, "__len__")
    assert not hasattr(check.it, "_repr_html_")
