"""What validation found, as the tables of docs/time.md and the scores that intervals are read from."""

from __future__ import annotations

import math
import re
import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from rows import cards, excluded
from rows import kernels as kernel_rows
from validate import TORCH, Row, coverage, line, scores

from nanocheck.core.kernels import Product
from nanocheck.timing import constants, intervals
from nanocheck.timing.product import product_seconds

PAGE = Path(__file__).parents[2] / "docs" / "time.md"
HEAD = "| rows | n | median | p90 | worst | bias (median, signed) |\n|---|---|---|---|---|---|"


def write(rows: Sequence[Row]) -> None:
    """Both files; they are the script's output, to the byte."""
    intervals.FILE.write_text(scores_text(rows))
    intervals.load.cache_clear()
    PAGE.write_text(page(PAGE.read_text(), rows))


def scores_text(rows: Sequence[Row]) -> str:
    """``scores.toml``."""
    lines = [
        "# Written by benchmarks/timing/validate.py: log of real / modelled, one for each source and card.",
        "",
    ]
    for kind, source, card, score in scores(rows):
        lines += [
            "[[scores]]",
            f'kind = "{kind}"',
            f'source = "{source}"',
            f'card = "{card}"',
            f"score = {score:.4f}",
            "",
        ]
    return "\n".join(lines)


def page(text: str, rows: Sequence[Row]) -> str:
    """The page with its tables as they come out now."""
    for name, table in (
        ("validation", validation(rows)),
        ("constants", constants_table()),
        ("excluded", excluded_table()),
    ):
        text = re.sub(
            rf"(<!-- time: {name} -->\n).*?(<!-- time end -->)",
            lambda found, table=table: found[1] + table + "\n" + found[2],
            text,
            flags=re.DOTALL,
        )
    return text


def validation(rows: Sequence[Row]) -> str:
    """Strata, with roofline and old count on the same rows."""
    bound = [row for row in rows if not row.host_bound]
    goal = [row for row in bound if row.unseen and row.kind.endswith("half")]
    compiled = [row for row in goal if row.mode == "compiled"]
    parts = [HEAD]
    parts += [
        line("**bf16, the card decides, cards that calibrated nothing**", goal),
        line("... compiled", compiled),
        line(
            "... compiled, without the two that are slow for their class by the collection's own note",
            [row for row in compiled if row.card not in SLOW],
        ),
        line("... eager", [row for row in goal if row.mode == "eager"]),
        line("plain roofline on these rows", goal, lambda row: row.roofline),
        line(
            "bf16, the card decides, cards with a kernel in the fit",
            [row for row in bound if not row.unseen and row.kind.endswith("half")],
        ),
        line(
            "fp32, the card decides, cards that calibrated nothing",
            [row for row in bound if row.unseen and row.kind.endswith("single")],
        ),
        line(
            "fp32, the card decides, cards with a kernel in the fit",
            [row for row in bound if not row.unseen and row.kind.endswith("single")],
        ),
        line("the card decides, all", bound),
        line("plain roofline on these rows", bound, lambda row: row.roofline),
        line(
            "the host decides, its time for a launch from another row of the table",
            [row for row in rows if row.host_bound and row.host_known],
        ),
        line(
            "the host decides, its time is not known, and left out",
            [row for row in rows if row.host_bound and not row.host_known],
        ),
        line("all rows", list(rows)),
        line(
            "GPT-2 with flash attention, cards of the catalog, the host's rows too",
            [row for row in rows if row.old is not None],
        ),
        line("old count on these rows", rows, lambda row: row.old),
    ]
    parts += ["", "By card, where the card decides:", "", HEAD]
    parts += [
        line(f"{name}{'' if unseen else ' (in the fit)'}", found)
        for (name, unseen), found in _by(bound, lambda row: (row.card, row.unseen))
    ]
    parts += ["", "By source, where the card decides:", "", HEAD]
    parts += [line(name, found) for name, found in _by(bound, lambda row: row.source)]
    by_source = [
        statistics.median(row.error for row in found) for _, found in _by(bound, lambda row: row.source)
    ]
    parts += [
        "",
        f"Signed bias across the {len(by_source)} sources: median {statistics.median(by_source):+.1%} "
        "(of each source's median).",
    ]
    parts += ["", "Kernels of cards kept out of the fit:", "", HEAD, *_kernels()]
    parts += [
        "",
        "The 80 % interval, each source asked against all others:",
        "",
        "| steps | groups | inside | no interval (fewer than 9 groups left) |",
        "|---|---|---|---|",
    ]
    found_scores = scores(rows)
    for kind, (inside, asked, none) in sorted(coverage(found_scores).items()):
        share = f"{inside} of {asked} ({inside / asked:.0%})" if asked else "-"
        parts.append(f"| {kind} | {asked + none} | {share} | {none} |")
    return "\n".join(parts)


#: The collection's own notes: slow for their class, by host or power limit.
SLOW = {"l40", "h100-nvl"}


def _by(rows: Sequence[Row], key) -> Iterator:
    groups = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    yield from sorted(groups.items())


def _kernels() -> Iterator[str]:
    """Products of cards that calibrated nothing, by dtype."""
    known = constants.load()
    groups = defaultdict(list)
    for row in kernel_rows("validate"):
        if row["kind"] == "product":
            m, n, k = map(int, row["shape"].split())
            figure = float(row["figure"])
            real = 2e-12 * m * n * k / figure if row["unit"] == "TFLOPS" else figure * 1e-3
            modelled = product_seconds(
                cards()[row["card"]], Product(m=m, n=n, k=k), TORCH[row["dtype"]], known
            )
            groups[row["dtype"]].append(modelled / real - 1)
    for dtype, errors in sorted(groups.items()):
        sizes = sorted(map(abs, errors))
        p90 = sizes[math.ceil(0.9 * len(sizes)) - 1]
        yield (
            f"| products, {dtype} | {len(sizes)} | {statistics.median(sizes):.1%} | {p90:.1%} | "
            f"{sizes[-1]:.1%} | {statistics.median(errors):+.1%} |"
        )


def constants_table() -> str:
    """Each constant in words."""
    lines = ["| constant | value | meaning | from |", "|---|---|---|---|"]
    for name, one in constants.load().described.items():
        fitted = f"{one.rows} rows: {one.source}" if one.rows else one.source
        lines.append(f"| `{name}` | {one.value:g} {one.unit} | {one.meaning} | {fitted} |")
    return "\n".join(lines)


def excluded_table() -> str:
    """Rows left out, by reason."""
    groups = defaultdict(lambda: [0, set()])
    for row in excluded():
        groups[row["reason"]][0] += int(row["rows"])
        groups[row["reason"]][1].add(row["source"].split("@")[0].split(" (")[0])
    lines = ["| reason | rows | sources |", "|---|---|---|"]
    for reason, (count, sources) in sorted(groups.items(), key=lambda item: -item[1][0]):
        shown = sorted(sources)[:3]
        lines.append(f"| {reason} | {count} | {', '.join(shown)}{' ...' if len(sources) > 3 else ''} |")
    return "\n".join(lines)
