"""What a terminal and GitHub show stays short, whole and on one line each."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from made_up import oom_result, result

from nanocheck.core.comparison import Comparison, ComparisonKind
from nanocheck.core.config import StepConfig
from nanocheck.core.verdict import classify
from nanocheck.report import ci_summary
from nanocheck.report.report_file import Report, Row

REGRESSED = Comparison(
    kind=ComparisonKind.REGRESSED, sentence="worse: 50%\nby far", hint="pytest --update-baselines"
)
EQUAL = Comparison(kind=ComparisonKind.EQUAL, sentence="")


def rows(count: int, comparison: Comparison = REGRESSED) -> list[Row]:
    results = [result(StepConfig(batch=batch)) for batch in range(1, count + 1)]
    return [Row(result=each, verdict=classify(each), comparison=comparison) for each in results]


def report(each: list[Row]) -> Report:
    return Report(date="2026-11-22", command="pytest suites/", margin_bytes=0, rows=tuple(each))


def test_one_counted_sentence() -> None:
    died = oom_result()
    both = [
        *rows(2),
        Row(result=died, verdict=classify(died), comparison=EQUAL),
    ]
    assert ci_summary.sentence(report(both)) == (
        "3 configurations on NVIDIA GeForce RTX 4070 (VIRTUAL): 2 safe, 1 oom; "
        "baselines: 1 equal, 2 regressed"
    )
    assert ci_summary.sentence(report(rows(1))).startswith("1 configuration on ")


def test_failures_are_what_fails_a_suite() -> None:
    good = rows(1, EQUAL)
    stale = rows(1, Comparison(kind=ComparisonKind.STALE, sentence=""))
    crashed = result(StepConfig(batch=9), outcome="crashed")
    died = oom_result()
    bad = [Row(result=crashed, verdict=classify(crashed)), *rows(1)]
    assert ci_summary.failures(report([*good, *stale, Row(result=died, verdict=classify(died)), *bad])) == bad


@given(count=st.integers(0, 40))
def test_at_most_ten_annotations_and_none_is_forgotten(count: int) -> None:
    lines = ci_summary.annotate(rows(count), file="reports/a,b.md")
    assert len(lines) == min(count, 10)
    assert all(
        line.startswith("::error file=reports/a%2Cb.md,title=nanocheck") and "\n" not in line
        for line in lines
    )
    if count > 10:
        assert lines[-1].endswith(f"::{count - 9} more configurations failed")


def test_an_annotation_is_escaped_and_carries_the_command() -> None:
    (line,) = ci_summary.annotate(rows(1))
    assert line == (
        "::error title=nanocheck%3A gpt2-768-b1-a1-bf16-eager::"
        "worse: 50%25%0Aby far (pytest --update-baselines)"
    )


@given(
    lines=st.integers(0, 3000),
    text=st.text(alphabet="aé漢\U0001f600|", min_size=1, max_size=20),
    room=st.integers(0, 60_000),
)
def test_the_job_summary_never_passes_the_limit_and_is_cut_at_a_line(
    lines: int, text: str, room: int
) -> None:
    page = f"{text}\n" * lines
    short = ci_summary.job_summary(report(rows(1)), page, room_bytes=room)
    whole = f"{ci_summary.sentence(report(rows(1)))}.\n\n{page}"
    assert len(short.encode()) <= room
    if len(whole.encode()) <= room:
        assert short == whole
    elif short:
        assert short.endswith("(cut: the rest is in the report's file)\n")
        assert all(line in ("", text, whole.splitlines()[0]) for line in short.splitlines()[:-1])


def test_the_limit_is_githubs() -> None:
    page = "x" * 99 + "\n"
    short = ci_summary.job_summary(report(rows(1)), page * 20_000)
    assert 1024 * 1024 - 200 < len(short.encode()) < 1024 * 1024
