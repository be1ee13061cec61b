"""Commands on a machine with several cards: what is shared, what each card has, what is said of too few."""

from __future__ import annotations

from pathlib import Path

from observing import observe

from nanocheck.core.gpus import find_gpu
from nanocheck.core.result import Outcome
from nanocheck.core.units import GIB, MIB

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


#: One process on two cards of different kinds, and then on the second one alone.
BOTH = """
    import torch
    first = torch.empty(64 << 20, dtype=torch.uint8, device="cuda:0")
    torch.cuda.set_device(1)
    second = torch.empty(32 << 20, dtype=torch.uint8, device="cuda")
    print("name", torch.cuda.get_device_name().split()[-1])
    print("smaller", torch.cuda.mem_get_info(1)[1] < torch.cuda.mem_get_info(0)[1])
"""


def test_one_process_on_two_cards_is_reported_on_its_last(tmp_path: Path) -> None:
    seen = observe(BOTH, tmp_path, gpu="1xrtx4090,1xrtx4060", steps=0)
    assert seen.printed() == {"name": "4060", "smaller": "True"}, seen.stderr
    result = seen.result()
    assert [(each.card, each.reserved_bytes) for each in result.processes] == [(1, 32 * MIB)]
    assert result.main.process_bytes == 32 * MIB + find_gpu("rtx4060").context_bytes
    assert result.device_of(1).gpu == "rtx4060"
    assert seen.judged().verdict.headroom_bytes is not None
    other = 64 * MIB + find_gpu("rtx4090").context_bytes
    assert [(each.card, each.process_bytes) for each in result.main.other_cards] == [(0, other)]
    assert result.cards == (0, 1)
    assert result.on_card(0).card_bytes == other
    assert any("used several cards" in note for note in result.notes)


def test_too_few_cards_are_said_with_the_way_out(tmp_path: Path) -> None:
    seen = observe("import torch; torch.zeros(1, device='cuda'); torch.cuda.set_device(1)", tmp_path, steps=0)
    result = seen.result()
    assert result.outcome is Outcome.CRASHED
    assert "invalid device ordinal" in result.detail
    assert any("--gpu 2xrtx4070 has 2" in note for note in result.notes)
