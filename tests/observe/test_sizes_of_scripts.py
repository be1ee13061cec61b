"""Scripts whose sizes and branches hang on values need what they need with the sizes put in by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from observing import Seen, observe
from paths import CLIENTS

from nanocheck.observe.values import policies


def seen(client: str, folder: Path, *arguments: str, sizes: str = "worst") -> Seen:
    folder.mkdir()
    variables = {policies.VARIABLE: sizes}
    found = observe(CLIENTS / client, folder, *arguments, steps=0, environment=variables, forks=True)
    assert found.ending.exit_code == 0, found.stderr
    return found


def peak(found: Seen) -> int:
    (process,) = found.result().processes
    assert process.allocated_bytes == int(found.printed()["peak"])
    return process.allocated_bytes


def test_a_loss_on_the_labelled_tokens_holds_their_logits(tmp_path: Path) -> None:
    by_mask = seen("masked_loss.py", tmp_path / "mask")
    by_hand = seen("masked_loss.py", tmp_path / "hand", "hand")
    assert peak(by_mask) == peak(by_hand)
    # 3,072 tokens are labelled: their logits, log-probabilities and gradient at once.
    assert peak(by_mask) > 3 * 3072 * 8000 * 4
    facts = by_mask.processes()[0].virtual_facts
    assert (facts.sizes, facts.unknown_sizes, facts.unbounded_sizes, facts.placeholder_sizes) == (
        "worst",
        0,
        0,
        0,
    )


def test_experts_get_their_share_all_tokens_or_one(tmp_path: Path) -> None:
    lines = (CLIENTS / "mixture_of_experts.py").read_text().split("\n")
    where = f"mixture_of_experts.py:{1 + next(i for i, line in enumerate(lines) if 'torch.where(' in line)}"
    by_hand = peak(seen("mixture_of_experts.py", tmp_path / "hand", "hand"))
    found = {each: seen("mixture_of_experts.py", tmp_path / each, sizes=each) for each in policies.POLICIES}
    peaks = {each: peak(run) for each, run in found.items()}
    # The hand's indices and the router's are not the same tensors, but nothing else differs.
    assert peaks["balanced"] == pytest.approx(by_hand, rel=0.005)
    assert peaks["least"] < 0.5 * by_hand
    assert peaks["worst"] > 2 * by_hand
    for policy, run in found.items():
        facts = run.processes()[0].virtual_facts
        assert (facts.sizes, facts.unbounded_sizes, facts.placeholder_sizes) == (policy, 0, 0)
        assert facts.unknown_sizes >= 4 * 2 * 4  # steps, layers, experts
        assert (facts.first_unknown_size or "").endswith(where)
        (note,) = [each for each in run.result().notes if "sizes hang" in each]
        assert where in note


def test_positions_that_the_card_made_are_one_sequence_every_time(tmp_path: Path) -> None:
    printed = seen("packed_positions.py", tmp_path / "run").stdout.split("\n")
    answers = [line.split() for line in printed if " " in line and not line.startswith("peak")]
    assert len(answers) == 21
    assert {answer for name, answer in answers if name != "two"} == {"one"}
    assert answers[-1] == ["two", "packed"]


READS = """
    import io
    import torch

    layer = torch.nn.Linear(8, 8).cuda()
    optimizer = torch.optim.AdamW(layer.parameters(), fused=True)  # its step counts are on the card
    for _ in range(3):
        loss = layer(torch.randn(4, 8, device="cuda")).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    torch.save({"model": layer.state_dict(), "optimizer": optimizer.state_dict()}, io.BytesIO())
    loss.detach().untyped_storage().cpu()
    torch.empty((), dtype=torch.float32).copy_(loss.detach())
    loss.detach().double().to("cpu"), loss.item(), loss.tolist(), loss.detach().cpu().numpy()
    layer.weight.argmax().cpu(), layer.weight.argmax().item(), layer.weight.argmax().tolist()
"""


@pytest.mark.parametrize("counted", [False, True])
def test_what_is_copied_to_the_host_is_no_size(counted: bool, tmp_path: Path) -> None:
    """Checkpoints of fused optimizers hold numbers of four bytes, as large as a size that PyTorch reads."""
    program = READS + ("\n    torch.bincount(layer.weight.argmax(0))" if counted else "")
    found = observe(program, tmp_path, steps=0)
    assert found.ending.exit_code == 0, found.stderr
    facts = found.processes()[0].virtual_facts
    assert facts.placeholders > 0
    assert bool(facts.sizes_of_one) == counted
    assert found.judged().verdict.kind == ("partial" if counted else "safe")
