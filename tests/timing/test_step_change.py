"""Which kernels made a step slower: the rows account for all of the difference."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from made_up import device
from timed_runs import timed
from timing_kernels import CARDS, cards, memory_kernel, product_kernel, step, steps

from nanocheck.cli import main
from nanocheck.core.kernels import Kernel, KernelKind, KernelList
from nanocheck.core.verdict import JudgedRun
from nanocheck.report.run_file import RunFile
from nanocheck.timing.card import Card
from nanocheck.timing.estimate import estimate
from nanocheck.timing.step_change import changes


@given(steps, steps, cards)
def test_the_rows_account_for_the_difference_of_the_cards_time(
    before: KernelList, after: KernelList, card: Card
) -> None:
    rows = changes(before, after, card)
    whole = sum(kind.seconds for kind in estimate(after, card).kinds)
    whole -= sum(kind.seconds for kind in estimate(before, card).kinds)
    assert sum(row.seconds for row in rows) == pytest.approx(whole, abs=1e-9, rel=1e-6)
    assert len({(row.kind, row.phase, row.name, row.dtype, row.shape) for row in rows}) == len(rows)


@given(steps, cards)
def test_a_step_beside_itself_is_the_same(kernels: KernelList, card: Card) -> None:
    assert {(row.what, row.seconds) for row in changes(kernels, kernels, card)} == {("same", 0.0)}


def test_a_new_kernel_one_that_is_gone_and_one_that_grew_are_told_apart() -> None:
    kept, gone = product_kernel(512, 512, 512), product_kernel(256, 256, 256)
    new = memory_kernel(KernelKind.SOFTMAX, 2**20)
    rows = changes(step(([kept, gone], 2)), step(([kept, kept, new], 2)), CARDS[0])
    assert {(row.kind, row.shape): row.what for row in rows} == {
        (KernelKind.PRODUCT, "(512, 512) x (512, 512)"): "changed",
        (KernelKind.PRODUCT, "(256, 256) x (256, 256)"): "gone",
        (KernelKind.SOFTMAX, ""): "new",
    }
    (grown,) = [row for row in rows if row.what == "changed"]
    assert grown.before is not None
    assert grown.after is not None
    assert (grown.before.launches, grown.after.launches) == (2, 4)


def test_the_number_of_a_generated_kernel_is_no_difference() -> None:
    def generated(name: str) -> Kernel:
        return msgspec.structs.replace(memory_kernel(KernelKind.TRITON, 2**20), name=name)

    one, other = (step(([generated(f"triton_poi_fused_add_{number}")], 1)) for number in (3, 17))
    assert [row.what for row in changes(one, other, CARDS[0])] == ["same"]


def saved(path: Path, kernels: KernelList | None, gpu: str = "rtx4070") -> str:
    run = timed(0.001)
    main_ = msgspec.structs.replace(run.main, kernels=kernels)
    run = msgspec.structs.replace(run, processes=(main_,), device=device(gpu=gpu))
    path.write_bytes(msgspec.json.encode(RunFile.with_suggestions(JudgedRun.of(run))))
    return str(path)


def test_two_run_files_are_compared_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = step(([product_kernel(512, 512, 512)], 4))
    slower = step(([product_kernel(512, 512, 512), memory_kernel(KernelKind.SOFTMAX, 2**28)], 4))
    before, after = saved(tmp_path / "a.json", plain), saved(tmp_path / "b.json", slower)
    assert main(["compare", before, before]) == 0
    assert "every kernel is issued as before" in capsys.readouterr().out
    out, page = tmp_path / "d.json", tmp_path / "d.md"
    assert main(["compare", before, after, "--json", str(out), "--md", str(page)]) == 1
    found = msgspec.json.decode(out.read_bytes())
    assert (found["kind"], found["gpu"], found["provenance"]) == ("compared steps", "rtx4070", "modelled")
    first = found["rows"][0]
    assert (first["what"], first["kind"], first["after"]["launches"]) == ("new", "softmax", 4)
    old, new = found["card_seconds"]
    assert sum(row["seconds"] for row in found["rows"]) == pytest.approx(new - old)
    assert f"{1e3 * first['seconds']:+,.2f}" in capsys.readouterr().out
    assert f"{1e3 * first['seconds']:+,.2f}" in page.read_text().replace("&#43;", "+")


def test_runs_that_cannot_be_compared_say_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = step(([product_kernel(512, 512, 512)], 4))
    one = saved(tmp_path / "a.json", plain)
    assert main(["compare", one, saved(tmp_path / "b.json", None)]) == 0
    said = capsys.readouterr().out
    assert "equal to the byte" in said
    assert "only one run has the kernels of a step" in said
    assert main(["compare", one, saved(tmp_path / "c.json", plain, "h100")]) == 2
    assert "found rtx4070 and h100" in capsys.readouterr().err
