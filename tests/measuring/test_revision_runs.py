"""What a run of a revision says of the repository: paths from its top, and whether its own code ran."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from made_up import oom_result, result

from nanocheck.core.described_card import described
from nanocheck.core.gpus import Gpu, find_gpu, load_catalog
from nanocheck.core.result import OutOfMemory
from nanocheck.core.stacks import CodeFrame, StackHolding
from nanocheck.core.verdict import JudgedRun
from nanocheck.measuring.revision import Repository
from nanocheck.measuring.revision_runs import card_with_room, code_from_here, from_the_root

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
