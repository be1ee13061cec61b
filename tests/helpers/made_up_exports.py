"""Runs for the formats of other programs: of every verdict, and with text that means them harm."""

from __future__ import annotations

import msgspec
from hypothesis import strategies as st
from made_up import DEVICE, ENVIRONMENT, oom_result, peaks, result

from nanocheck.core.allocation_change import AllocationChange
from nanocheck.core.comparison import Comparison, ComparisonKind
from nanocheck.core.config import StepConfig
from nanocheck.core.diff_side import Side
from nanocheck.core.result import Environment, Moment, OutOfMemory, Provenance, RunResult
from nanocheck.core.run_diff import RunDiff
from nanocheck.core.stack_matching import Match
from nanocheck.core.table import Cell, CellTime, How, Runs, Setting, Table, TableCard
from nanocheck.core.units import MIB
from nanocheck.core.verdict import JudgedRun, Kind, Verdict, classify
from nanocheck.report.export.card_run import CardRun
from nanocheck.report.export.sources import of_row, of_run
from nanocheck.report.report_file import Row
from nanocheck.search.every_card import CardRow, EveryCard

#: A user, a machine and a folder of nobody, which a test takes for this machine's.
NAMES = ("mallory", "mallory-laptop", "/home/mallory")
#: Breaks out of Markdown, HTML, JSON, OpenMetrics, SARIF's links and placeholders, logs and terminals.
HOSTILE = (
    "|`x`|\n| @everyone |",
    "</script><img src=x onerror=alert(1)>",
    'a"} 1\n# EOF\nevil{b="',
    "\\",
    '\\"',
    "[click](https://example.com) {0} {{1}}",
    "::error file=x::y",
    "##[error]x",
    "\x1b[31mred\x00\u202eevil\u2028\x85",
    "/home/mallory/secret/data.bin",
    "python /home/mallory/private/train.py --out=/home/mallory/x",
    "on mallory-laptop by Mallory",
    "emoji \U0001f525, 漢字, e\u0301",
)
_ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
TEXTS = st.one_of(
    st.sampled_from(HOSTILE), _ANY, st.builds(" ".join, st.lists(st.sampled_from(HOSTILE), max_size=3))
)
#: As large as a float still counts exactly.
SIZES = st.integers(0, 1 << 53)


@st.composite
def runs(draw: st.DrawFn) -> CardRun:
    """A run of any verdict; every text of it is hostile."""
    device = msgspec.structs.replace(
        DEVICE, gpu=draw(TEXTS), name=draw(TEXTS), reserve_bytes=draw(st.integers(0, 1 << 40))
    )
    moment = Moment(
        phase="forward", step=0, where=f"{draw(TEXTS)}:{draw(st.integers(-1, 99))}", line=draw(TEXTS)
    )
    oom = OutOfMemory(
        phase=draw(TEXTS),
        step=0,
        requested_bytes=draw(SIZES),
        exact=draw(st.booleans()),
        where=moment.where,
        line=moment.line,
    )
    found = msgspec.structs.replace(
        result(
            peaks=peaks(),
            allocated_bytes=draw(SIZES),
            reserved_bytes=draw(SIZES),
            oom=draw(st.none() | st.just(oom)),
            at=moment,
        ),
        config=draw(st.none() | st.just(StepConfig())),
        command=(draw(TEXTS), draw(TEXTS)),
        test=draw(st.none() | TEXTS),
        device=device,
        provenance=draw(st.sampled_from(Provenance)),
        environment=Environment(torch=draw(TEXTS), nanocheck="0.2.0"),
    )
    verdict = Verdict(
        kind=draw(st.sampled_from(Kind)),
        process_bytes=draw(SIZES),
        headroom_bytes=draw(st.none() | st.integers(-(1 << 50), 1 << 50)),
        sentence=draw(TEXTS),
    )
    comparison = draw(st.none() | st.builds(Comparison, kind=st.sampled_from(ComparisonKind), sentence=TEXTS))
    return of_row(Row(result=found, verdict=verdict, comparison=comparison))


def of_result(found: RunResult, comparison: Comparison | None = None) -> CardRun:
    """With the verdict that it has."""
    return of_row(Row(result=found, verdict=classify(found), comparison=comparison))


def command_run(where: str | None, line: str | None = None, **changes: object) -> CardRun:
    """A command that ran out of memory on a line."""
    found = oom_result(**changes)
    main = found.main
    assert main.oom is not None
    oom = msgspec.structs.replace(main.oom, where=where, line=line)
    return of_run(
        JudgedRun.of(
            msgspec.structs.replace(
                found,
                config=None,
                command=("python", "train.py"),
                processes=(msgspec.structs.replace(main, oom=oom),),
            )
        )
    )


def side(allocated: int, kind: Kind = Kind.SAFE, **changes: object) -> Side:
    """Of a comparison; its bytes besides are the allocated ones and some more."""
    values = {
        "provenance": Provenance.VIRTUAL,
        "torch": "2.14.1",
        "verdict": kind,
        "sentence": "a sentence",
        "allocated_bytes": allocated,
        "reserved_bytes": allocated + 1,
        "process_bytes": allocated + 2,
        "headroom_bytes": None if kind is Kind.OOM else 1 << 30,
        "exact": kind is not Kind.OOM,
        "phase": "forward",
        "step": 0,
    }
    return Side(**values | changes)  # type: ignore[arg-type]


def changed(where: str | None, line: str | None, before: int, after: int) -> AllocationChange:
    """What a line held at the peak."""
    return AllocationChange(
        group="logits and loss",
        where=where,
        line=line,
        match=Match.FUNCTION,
        before_bytes=before,
        after_bytes=after,
        most_before_bytes=before,
        most_after_bytes=after,
        before_count=1,
        after_count=1,
    )


def compared(before: Side, after: Side, *changes: AllocationChange, worse: bool = True) -> RunDiff:
    return RunDiff(
        id="python train.py",
        gpu="rtx4070",
        card=DEVICE.name,
        before=before,
        after=after,
        changes=changes,
        known=True,
        worse=worse,
        moved=True,
        why=("peak allocated grew by 7 bytes",) if worse else (),
    )


def small_table(*kinds: Kind) -> Table:
    """One setting on as many cards; a card's number makes its bytes others."""
    settings = (Setting(id="gpt2-x", group="g", why="why", config=StepConfig(), parameters=1),)
    cards = tuple(
        TableCard(
            gpu=f"card{number}",
            name=f"Card {number}",
            capability="8.9",
            sms=46,
            nominal_bytes=9 << 30,
            usable_bytes=(8 << 30) - 7,
            usable_most_bytes=8 << 30,
            usable_source="read",
            context_bytes=100,
            context_most_bytes=300,
        )
        for number, _ in enumerate(kinds)
    )
    cells = tuple(
        Cell(
            setting="gpt2-x",
            gpu=f"card{number}",
            verdict=Verdict(
                kind=kind,
                process_bytes=5 << 30,
                headroom_bytes=None if kind is Kind.OOM else 3 << 30,
                sentence="a sentence",
            ),
            allocated_bytes=(4 << 30) + number,
            reserved_bytes=5 << 30,
            attention="flash",
            how=How.DERIVED,
            run_on="h100",
            provenance=Provenance.VIRTUAL,
            command="nanocheck table",
            time=CellTime(
                seconds=0.5,
                low=0.4,
                high=0.6,
                tokens_per_second=1.0,
                mfu=0.5,
                decided_by="card",
                recorded_on="h100",
            ),
        )
        for number, kind in enumerate(kinds)
    )
    return Table(
        environment=ENVIRONMENT,
        date="2026-01-02",
        platform="linux",
        margin_bytes=1 << 29,
        reserve_bytes=0,
        settings=settings,
        cards=cards,
        cells=cells,
        runs=Runs(with_room=1),
    )


def several_cards(*kinds: Kind) -> EveryCard:
    """A command on as many cards."""
    rows = [
        CardRow(
            gpu=f"card{number}",
            name=f"Card {number}",
            capacity_bytes=8192 * MIB,
            verdict=Verdict(
                kind=kind,
                process_bytes=5000 * MIB + number,
                headroom_bytes=None if kind is Kind.OOM else 3000 * MIB - number,
                sentence="a sentence",
            ),
            allocated_bytes=4000 * MIB + number,
            reserved_bytes=4500 * MIB + number,
            provenance=Provenance.VIRTUAL,
        )
        for number, kind in enumerate(kinds)
    ]
    return EveryCard(
        command=("python", "train.py"),
        platform="linux",
        reserve_bytes=0,
        complete=True,
        cards=tuple(rows),
        not_run=(),
    )
