"""Commands on a machine with several cards: what is shared, what each card has, what is said of too few."""

from __future__ import annotations

from pathlib import Path

import msgspec
from observing import observe

from nanocheck.core.gpus import find_gpu
from nanocheck.core.result import Outcome
from nanocheck.core.units import GIB
from nanocheck.core.verdict import Kind, classify
from nanocheck.report.html.run_page import render
from nanocheck.report.rank_rows import rank_rows

#: What the first process does, and one that it starts; each waits for what the other says.
SHARED = """
    import subprocess, sys, torch
    kept = torch.empty(7 << 30, dtype=torch.uint8, device="cuda")
    if len(sys.argv) == 1:
        other = subprocess.Popen([sys.executable, sys.argv[0], "other"], stdin=subprocess.PIPE)
        sys.exit(other.wait())
"""


def test_two_processes_that_do_not_fit_one_card_together_run_out_of_it(tmp_path: Path) -> None:
    """Each of them alone would fit; PyTorch's message says who has the rest."""
    seen = observe(SHARED, tmp_path, steps=0)
    assert seen.ending.exit_code == 1
    result = seen.result()
    assert result.outcome is Outcome.OOM
    first = next(each for each in result.processes if each.reserved_bytes == 7 * GIB)
    card = find_gpu("rtx4070")
    assert (
        f"Process {first.pid} has {(7 * GIB + card.context_bytes) / GIB:.2f} GiB memory in use" in seen.stderr
    )
    assert result.oom is not None
    assert result.oom.free_bytes == seen.target.device.capacity_bytes - 2 * card.context_bytes - 7 * GIB


#: One process on two cards of different kinds, of which now one is the current one, now the other.
BOTH = """
    import torch
    from torch import nn
    first = nn.Linear(256, 1024).to("cuda:0")
    torch.cuda.set_device(1)
    second = nn.Linear(1024, 768, bias=False, device="cuda")
    optimizer = torch.optim.AdamW([*first.parameters(), *second.parameters()])
    for step in range(3):
        torch.cuda.set_device(step % 2)
        second(first(torch.randn(64, 256, device="cuda:0")).to("cuda:1")).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    torch.cuda.set_device(1)
    print("name", torch.cuda.get_device_name().split()[-1])
    print("smaller", torch.cuda.mem_get_info(1)[1] < torch.cuda.mem_get_info(0)[1])
    for card in range(2):
        print(f"allocated-{card}", torch.cuda.max_memory_allocated(card))
        print(f"reserved-{card}", torch.cuda.max_memory_reserved(card))
"""


def test_one_process_on_two_cards_is_told_of_each(tmp_path: Path) -> None:
    """Its own peaks, phases and holders, as PyTorch counts them there, and its own verdict."""
    seen = observe(BOTH, tmp_path, gpu="1xrtx4090,1xrtx4060", steps=0)
    printed = seen.printed()
    assert (printed["name"], printed["smaller"]) == ("4060", "True"), seen.stderr
    judged = seen.judged()
    result = judged.result
    assert result.main.card == 1
    assert [each.card for each in result.main.other_cards] == [0]
    cards = result.main.on_each_card
    for card, memory, parameters in zip((0, 1), cards, (256 * 1024 + 1024, 1024 * 768), strict=True):
        assert memory.card == card
        assert memory.allocated_bytes == int(printed[f"allocated-{card}"])
        assert memory.reserved_bytes == int(printed[f"reserved-{card}"])
        assert memory.process_bytes == memory.reserved_bytes + result.device_of(card).context_bytes
        held = {each.group: each.bytes for each in memory.groups}
        assert sum(held.values()) == memory.allocated_bytes
        assert held["parameters"] == 4 * parameters
        assert held["optimizer state"] >= 8 * parameters
        assert {"forward", "backward", "optimizer"} <= memory.phase_peaks().keys()
        assert max(each.allocated_bytes for each in memory.peaks) == memory.allocated_bytes
        assert result.on_card(card).main == msgspec.structs.replace(memory, other_cards=())
    assert result.device_of(1).gpu == "rtx4060"
    assert result.cards == (0, 1)
    by_card = [(each.rank, each.card, each.process_bytes) for each in judged.verdict.ranks]
    assert by_card == [(None, each.card, each.process_bytes) for each in cards]
    assert judged.verdict.headroom_bytes == classify(result.on_card(1)).headroom_bytes, "the smaller card's"
    assert [(each.name, each.card, each.memory) for each in rank_rows(judged)] == [
        ("", str(each.card), each) for each in cards
    ]
    assert "<h2>Card by card</h2>" in render(judged)


#: The card that is not the current one is full.
FULL = """
    import torch
    from torch import nn
    kept = nn.Linear(1024, 1024, device="cuda:0")
    torch.empty(9 << 30, dtype=torch.uint8, device="cuda:1")
"""


def test_a_full_card_is_named_that_is_not_the_current_one(tmp_path: Path) -> None:
    seen = observe(FULL, tmp_path, gpu="1xrtx4090,1xrtx4060", steps=0)
    judged = seen.judged()
    assert judged.verdict.kind is Kind.OOM
    assert judged.verdict.sentence.startswith("on card 1, ")
    assert [(each.card, each.kind) for each in judged.verdict.ranks] == [(0, Kind.INCOMPLETE), (1, Kind.OOM)]
    first, second = judged.result.main.on_each_card
    assert first.oom is None
    assert second.oom is not None
    assert second.oom == judged.result.oom
    assert second.oom.free_bytes == judged.result.device_of(1).available_bytes


def test_too_few_cards_are_said_with_the_way_out(tmp_path: Path) -> None:
    seen = observe("import torch; torch.zeros(1, device='cuda'); torch.cuda.set_device(1)", tmp_path, steps=0)
    result = seen.result()
    assert result.outcome is Outcome.CRASHED
    assert "invalid device ordinal" in result.detail
    assert any("--gpu 2xrtx4070 has 2" in note for note in result.notes)
