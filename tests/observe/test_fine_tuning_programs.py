"""TRL's trainers, mixtures of experts, packed sequences, tied embeddings, a search for the batch.

Which sizes are right is known on the host: it made the labels, the lengths and the batches, and prints them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from client_runs import groups, needs_libraries_of, run
from observing import Seen, observe
from paths import CLIENTS

from nanocheck.attribution.process_figures import Figures
from nanocheck.core.result import Recovery
from nanocheck.observe.values import policies

MIB = 1 << 20


def asked_sizes(seen: Seen) -> set[int]:
    """Bytes of every tensor that the only process asked for."""
    (process,) = seen.processes()
    return {size for action, _, size, _ in process.events if action == "a"}


def labelled(seen: Seen) -> list[int]:
    """Of each batch how many tokens have a label, as its host counted them."""
    return [int(line.split()[-1]) for line in seen.stdout.splitlines() if line.startswith("labelled ")]


def bytes_a_row(rows: Sequence[int], sizes: set[int]) -> list[int]:
    """Bytes a row of large tensors that were asked for with each of these numbers of rows."""
    first, *others = rows
    widths = [size // first for size in sizes if not size % first and size > MIB]
    return [width for width in widths if all(width * rows in sizes for rows in others)]


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [(), ("--lora",), ("--packing",), ("--method", "dpo")])
def test_trl_scores_the_tokens_that_have_a_label(arguments: tuple[str, ...], tmp_path: Path) -> None:
    needs_libraries_of("trl_trainer.py")
    seen, answer = run(tmp_path, "trl_trainer.py", "out", *arguments)
    (process,) = answer.result.processes
    assert process.allocated_bytes == int(seen.printed()["peak"])
    assert (process.unknown_sizes, process.unbounded_sizes) == (0, 0)
    steps = int(seen.printed()["done"])
    rows = labelled(seen)[:steps]
    assert len(rows) == steps >= 3
    # TRL makes logits of the labelled tokens only, in a tile as wide as a part of the vocabulary.
    widths = bytes_a_row(rows, asked_sizes(seen))
    assert widths
    figures = Figures.of(seen.processes()[0])
    tiles = {
        figures.groups[one.number]
        for one in figures.replay.allocations
        if one.requested_bytes in {max(widths) * count for count in rows}
    }
    assert tiles == {"logits and loss"}


@pytest.mark.slow
def test_experts_in_one_product_have_known_sizes_and_one_by_one_a_bound(tmp_path: Path) -> None:
    """Grouped products keep all experts' tokens in one tensor; a loop asks which tokens each one gets."""
    peaks = {}
    for experts, sizes in (
        ("grouped_mm", "worst"), ("eager", "worst"), ("eager", "balanced"), ("eager", "least")
    ):  # fmt: skip
        folder = tmp_path / f"{experts}-{sizes}"
        folder.mkdir()
        seen = observe(
            CLIENTS / "trainer.py",
            folder,
            *("out", "--model", "mixtral", "--experts", experts),
            steps=0,
            environment={policies.VARIABLE: sizes},
        )
        assert seen.ending.exit_code == 0, seen.stderr[-3000:]
        (process,) = seen.result().processes
        assert sum(row.bytes for row in process.groups) == process.allocated_bytes
        assert bool(process.unknown_sizes) == (experts == "eager")
        assert process.sizes == (sizes if experts == "eager" else None)
        assert process.unbounded_sizes == 0
        assert ("with all elements" in str(seen.judged().verdict)) == ((experts, sizes) == ("eager", "worst"))
        peaks[experts, sizes] = process.allocated_bytes
    assert peaks["eager", "least"] < peaks["eager", "balanced"] < peaks["eager", "worst"]
    # The same tokens in the same experts; the loop keeps other tensors of them.
    assert peaks["eager", "balanced"] == pytest.approx(peaks["grouped_mm", "worst"], rel=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["qwen", "olmoe"])
def test_weights_are_counted_once(model: str, tmp_path: Path) -> None:
    """Of tied embeddings as of experts, whose weights are one tensor for all."""
    seen, answer = run(tmp_path, "trainer.py", "out", "--model", model)
    (process,) = answer.result.processes
    found = groups(process)
    assert process.allocated_bytes == int(seen.printed()["peak"])
    assert found["parameters"] == found["gradients"] == int(seen.printed()["weights"])
    assert 2 * found["parameters"] <= found["optimizer state"] <= 2 * found["parameters"] + MIB
    # Three tensors of the logits' size in fp32: log-probabilities, their gradient, that of the copy in fp32.
    assert found["logits and loss"] >= 3 * 4 * 255 * 8000 * 4


def test_boundaries_of_packed_sequences_are_those_that_the_host_made(tmp_path: Path) -> None:
    needs_libraries_of("packed_varlen.py")
    printed, sizes = {}, {}
    for name, arguments in (("asked", ()), ("hand", ("hand",))):
        (tmp_path / name).mkdir()
        seen, answer = run(tmp_path / name, "packed_varlen.py", *arguments)
        (process,) = answer.result.processes
        printed[name], sizes[name] = seen.printed(), process.allocated_bytes
        assert seen.printed()["sequences"] == seen.printed()["packed"]
        assert process.attention == "flash"
        assert (process.unknown_sizes, seen.processes()[0].virtual_facts.placeholders) == (0, 0)
        # Logits in bf16 and fp32, log-probabilities, and going back two gradients at once.
        assert groups(process)["logits and loss"] > 0.5 * process.allocated_bytes
    assert printed["asked"] == printed["hand"]
    assert sizes["asked"] == sizes["hand"]


@pytest.mark.slow
def test_the_batch_that_accelerate_found_is_named(tmp_path: Path) -> None:
    seen = observe(CLIENTS / "accelerate_finder.py", tmp_path, "--start", "100", steps=0)
    assert seen.ending.exit_code == 0, seen.stderr[-3000:]
    answer = seen.judged()
    (process,) = answer.result.processes
    batch = int(seen.printed()["batch"])
    assert batch < 100
    assert process.oom is not None
    assert process.oom.recovery is Recovery.SEARCHED
    assert process.coverage is not None
    assert process.coverage.shapes_seen == ((batch, 512), (batch, 512))
    assert not process.coverage.shapes_vary
    assert answer.verdict.kind in ("safe", "tight")
    assert f"at inputs of {batch} x 512, " in str(answer.verdict)
    assert process.allocated_bytes == int(seen.printed()["peak"])
    assert sum(row.bytes for row in process.groups) == process.allocated_bytes
