"""What a run of a revision says of the repository: paths from its top, and whether its own code ran."""

from __future__ import annotations

import contextlib
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import diff_project
import pytest
from made_up import device, oom_result, peaks, result
from msgspec.structs import replace as changed

from nanocheck.core.described_card import described
from nanocheck.core.device import CardsAlike
from nanocheck.core.device_selection import CardQuestion
from nanocheck.core.gpus import Gpu, find_gpu, load_catalog
from nanocheck.core.result import OutOfMemory, RunResult
from nanocheck.core.stacks import CodeFrame, StackHolding
from nanocheck.core.verdict import JudgedRun
from nanocheck.measuring import revision_runs
from nanocheck.measuring.background_run import Variation
from nanocheck.measuring.request import Request
from nanocheck.measuring.revision import Repository
from nanocheck.measuring.revision_runs import (
    card_with_room,
    code_from_here,
    from_the_root,
    run_states,
    states,
)

#: Cards in words; the second belongs to a host that is not x86.
_MINE = described(
    [
        "name=Mine, memory=20GiB, like=rtx4090, sms=100, l2=5MiB, bandwidth=700",
        "name=Arm, memory=90GiB, like=gb10",
    ]
)
CARDS = [*load_catalog().values(), *(find_gpu(each.id, [each]) for each in _MINE)]


def held(*places: str | Path) -> tuple[StackHolding, ...]:
    frames = tuple(CodeFrame(where=f"{place}:3", function="f", line="x = y") for place in places)
    return (StackHolding(bytes=1, most_bytes=1, count=1, group="activations", frames=frames),)


def places(stacks: tuple[StackHolding, ...]) -> list[str]:
    return [frame.where for each in stacks for frame in each.frames]


def test_paths_are_named_from_the_top_of_the_repository(tmp_path: Path) -> None:
    """Wherever in it the command ran; files of packages and of others keep their names."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "train.py").touch()
    others = tmp_path.parent / "shared.py"
    stacks = held(tmp_path / "lib" / "model.py", "train.py", "transformers/models/gpt2.py", others)
    wanted = ["lib/model.py:3", "app/train.py:3", "transformers/models/gpt2.py:3", f"{others}:3"]
    run = JudgedRun.of(result(stacks=stacks))
    assert places(from_the_root(run, tmp_path, Path("app")).result.main.stacks) == wanted
    oom = OutOfMemory(phase="forward", step=0, requested_bytes=1, exact=True, stacks=stacks)
    found = from_the_root(JudgedRun.of(oom_result(oom=oom)), tmp_path, Path("app")).result.oom
    assert found is not None
    assert places(found.stacks) == wanted


def test_a_revision_that_ran_code_of_the_checkout_is_told(tmp_path: Path) -> None:
    """As a project that is installed as editable does: the older code was not run."""
    repository = Repository(tmp_path / "project", Path())
    checkout = tmp_path / "revision" / "tree" / "model.py"
    own = JudgedRun.of(result(stacks=held(checkout, "train.py", "torch/nn.py")))
    assert code_from_here(own, repository) == ()
    (note,) = code_from_here(
        JudgedRun.of(result(stacks=held("a.py", repository.root / "net" / "m.py"))), repository
    )
    assert "it ran net/m.py of the checkout here" in note
    assert str(tmp_path) not in note


@pytest.mark.parametrize("gpu", CARDS, ids=lambda gpu: gpu.id)
def test_a_card_with_room_is_the_same_card_with_more_memory(gpu: Gpu, tmp_path: Path) -> None:
    file = tmp_path / "room.toml"
    file.write_text(card_with_room(gpu), encoding="utf-8")
    found = find_gpu(gpu.id, [file])
    assert {name: size // 16 for name, size in found.usable_bytes.items()} == dict(gpu.usable_bytes)
    same = replace(
        found,
        nominal_bytes=gpu.nominal_bytes,
        usable_bytes=gpu.usable_bytes,
        usable_most_bytes=gpu.usable_most_bytes,
        sources=gpu.sources,
        note=gpu.note,
    )
    assert same == gpu


class StandIn:
    """In the place of runs in the background: what was asked of them, and answers that a test makes up."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[tuple[Variation, CardQuestion, int, str]] = []

    def __call__(self, request: Request, at_once: int, show: Any) -> Any:
        def submit(variation: Variation) -> Any:
            room = "" if variation.gpus is None else variation.gpus.read_text()
            self.asked.append((variation, request.card, at_once, room))
            found = self.answer(variation, bool(room))
            return SimpleNamespace(found=JudgedRun.of(found))

        return contextlib.nullcontext(SimpleNamespace(submit=submit))


def of_ranks(more_of_rank_1: int, where: Path, **ended: Any) -> RunResult:
    """Two ranks on a machine of two kinds of cards, by a line of a file at ``where``."""
    cards = (CardsAlike(cards=1, device=device()), CardsAlike(cards=1, device=device(gpu="rtx4090")))
    found = result(machine=cards, world=2)
    made = []
    for rank, more in ((0, 0), (1, more_of_rank_1)):
        size = 1000 + more
        (stack,) = held(where / "model.py")
        stack = changed(stack, bytes=size, most_bytes=size)
        of_rank = {"rank": rank, "card": rank, "allocated_bytes": size, "stacks": (stack,)}
        made.append(changed(found.main, peaks=peaks(allocated=size, reserved=size), **of_rank))
    made[1] = changed(made[1], **ended)
    return changed(found, processes=tuple(made[::-1]))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    app = diff_project.make(tmp_path)
    monkeypatch.chdir(app)
    return app


def asking(gpu: str) -> Request:
    return Request(command=["torchrun", "train.py"], card=CardQuestion(gpu=gpu), steps=3, time_limit_s=None)


def test_two_states_are_compared_on_a_machine_rank_by_rank(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a rank does not fit, all of the machine's cards get more memory. Ranks of two runs may meet at
    one port, so one runs after the other.
    """

    def answer(variation: Variation, room: bool) -> RunResult:
        assert variation.folder is not None
        if variation.folder != project:
            return of_ranks(0, variation.folder)
        if room:
            return of_ranks(500, variation.folder)
        oom = oom_result().main.oom
        return changed(of_ranks(10, variation.folder, oom=oom), outcome=oom_result().outcome)

    runs = StandIn(answer)
    monkeypatch.setattr(revision_runs, "BackgroundRuns", runs)
    repository = Repository.here()
    machine = "1xrtx4070,1xrtx4090"
    ((before, after),) = run_states(
        asking(machine), repository, states(repository, ["HEAD"]), lambda *_: None
    )
    assert [each.gpu for each, *_ in runs.asked] == [machine] * 3
    assert {at_once for _, _, at_once, _ in runs.asked} == {1}
    assert [bool(room) for *_, room in runs.asked] == [False, False, True]
    assert all(f'[gpu."{each}"]' in runs.asked[-1][-1] for each in ("rtx4070", "rtx4090"))
    assert list(before.ranks) == list(after.ranks) == [0, 1]
    grown = [
        after.ranks[rank].side.allocated_bytes - before.ranks[rank].side.allocated_bytes for rank in (0, 1)
    ]
    assert grown == [0, 500]
    assert (after.side.verdict, after.ranks[1].side.verdict, after.side.in_room) == ("oom", "oom", True)
    for side in (before, after):
        assert side.gpu == machine
        for each in side.ranks.values():
            assert (each.id, places(each.held)) == ("torchrun train.py", ["app/model.py:3"])


def test_several_cards_are_one_comparison_each(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(variation: Variation, room: bool) -> RunResult:
        return result(device=device(gpu=variation.gpu))

    runs = StandIn(answer)
    monkeypatch.setattr(revision_runs, "BackgroundRuns", runs)
    repository = Repository.here()
    gpus = ("rtx4070", "h100", "l4")
    sides = run_states(
        asking(",".join(gpus)), repository, states(repository, ["HEAD"]), lambda *_: None, gpus
    )
    assert [(before.gpu, after.gpu) for before, after in sides] == [(each, each) for each in gpus]
    here = [variation.folder == project for variation, *_ in runs.asked]
    assert here == [False, True] * 3
    listed = subprocess.run(["git", "worktree", "list"], capture_output=True, text=True, check=True)
    assert len(listed.stdout.splitlines()) == 1  # no checkout is left
