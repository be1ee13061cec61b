"""What of a run was seen, and the evidence that more may come: small programs, each with one reason why."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from observing import Seen, observe

from nanocheck.core.coverage import PHASES, Coverage
from nanocheck.observe.steady_state import MORE, RESTED

#: A vocabulary of 1,000 and a wide layer; ``step(tokens)`` is one step of training.
MODEL = """
    import torch
    from torch import nn
    layers = nn.Embedding(1000, 64), nn.Linear(64, 256), nn.GELU(), nn.Linear(256, 1000)
    model = nn.Sequential(*layers).cuda()
    optimizer = torch.optim.AdamW(model.parameters())
    def loss_of(tokens):
        return nn.functional.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten())
    def step(tokens):
        loss_of(tokens).backward()
        optimizer.step()
        optimizer.zero_grad()
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x
    def batch(rows, length):
        return torch.randint(1000, (rows, length)).cuda()
"""


def run(program: str, folder: Path, **environment: str) -> tuple[Seen, Coverage]:
    seen = observe(MODEL + program, folder, environment=environment)
    assert seen.ending.exit_code == 0, seen.stderr
    (process,) = seen.processes()
    return seen, process.coverage


def test_lengths_that_vary(tmp_path: Path) -> None:
    """Batches as long as their longest sequence, as every collator pads them; the longest comes late."""
    program = """
    for n in range(40):
        step(batch(8, 600 if n == 30 else (64, 192, 128)[n % 3]))
    """
    _, found = run(program, tmp_path)
    assert found.shapes_seen == ((8, 64), (8, 192))
    assert found.shapes_vary
    # The same lengths come again, and with them the same layouts: that proves nothing.
    assert (found.proof, found.stopped_early) == ("peak rested", True)
    assert found.steps > RESTED


#: The longest of 100 samples are the last, which a script that stops early never sees.
SAMPLES = """
    from torch.nn.utils.rnn import pad_sequence
    samples = [torch.zeros(20 + n % 7 + 300 * (n >= 96), dtype=torch.long) for n in range(100)]
    collate = lambda several: pad_sequence(several, batch_first=True)
    loader = torch.utils.data.DataLoader(samples, batch_size=4, collate_fn=collate)
    for epoch in range(3):
        for tokens in loader:
            step(tokens.cuda())
"""


@pytest.mark.parametrize("longest", ["", "1"])
def test_the_longest_batch_comes_at_once_when_asked(longest: str, tmp_path: Path) -> None:
    seen, found = run(SAMPLES, tmp_path, NANOCHECK_RUN_LONGEST=longest)
    (tmp_path / "late").mkdir()
    late = observe(MODEL + SAMPLES, tmp_path / "late", steps=0)
    assert found.longest_sample == 326
    assert found.steps < 25
    assert found.longest_batches == ("arranged" if longest else "not asked")
    assert found.shapes_seen[-1] == ((4, 326) if longest else (4, 26))
    # As much as in the epochs that reach it by themselves.
    (now,), (then,) = (each.judged().result.processes for each in (seen, late))
    assert (now.allocated_bytes == then.allocated_bytes) == bool(longest)


def test_the_longest_batch_where_nobody_knows_lengths(tmp_path: Path) -> None:
    _, found = run("\n    for n in range(30): step(batch(4, 64))", tmp_path, NANOCHECK_RUN_LONGEST="1")
    assert found.longest_batches == "not possible"


#: Halves its batch until it fits: the same model, or a new one for each try, as accelerate does.
SEARCH = """
    import copy
    rows = 1 << 18
    for _ in range(3):
        step(batch(2, 64))
    for n in range(6):
        print("rows", rows, flush=True)
        try:
            if again:
                model = copy.deepcopy(model)
                optimizer = torch.optim.AdamW(model.parameters())
            for _ in range(5):
                step(batch(rows, 64))
            break
        except torch.OutOfMemoryError:
            optimizer.zero_grad()
            rows //= 64
"""


@pytest.mark.parametrize("again", [False, True])
def test_shapes_after_an_out_of_memory_are_kept_apart(again: bool, tmp_path: Path) -> None:
    seen, found = run(f"\n    again = {again}" + SEARCH, tmp_path)
    rows = int(seen.stdout.split()[-1])
    assert rows == (1 << 18) // 64
    if not again:
        assert found.shapes_seen == ((2, 64), (1 << 18, 64))
        assert found.shapes_vary
    assert (found.shapes_after_oom, found.shapes_vary_after_oom) == (((rows, 64), (rows, 64)), False)


def test_without_an_out_of_memory_there_are_none_after_it(tmp_path: Path) -> None:
    _, found = run("\n    for n in range(4): step(batch(4, 64))", tmp_path)
    assert found.shapes_seen == ((4, 64), (4, 64))
    assert (found.shapes_after_oom, found.shapes_vary_after_oom) == ((), False)


def test_a_step_that_repeats_itself(tmp_path: Path) -> None:
    """Two inputs in each step are none that vary, nor is what only a part of the model is called with."""
    program = """
    model[0].requires_grad_(False)
    samples = [{"tokens": torch.zeros(20 + 300 * (n == 70), dtype=torch.long), "label": n} for n in range(90)]
    for n, one in zip(range(1000), torch.utils.data.DataLoader(samples, shuffle=False)):
        loss_of(batch(2, 64)).backward()
        model[0](torch.zeros(n + 1, dtype=torch.long, device="cuda"))
        step(batch(4, 128))
    """
    _, found = run(program, tmp_path)
    assert found.shapes_seen == ((2, 64), (4, 128))
    assert not found.shapes_vary
    assert (found.proof, found.stopped_early) == ("layout repeats", True)
    assert found.optimizer_steps == found.steps < 50
    assert (found.evaluation, found.saved, found.unreached) == (False, False, ())
    assert found.growth_bytes_per_step == 0
    assert found.frozen_parameters == 64_000
    assert found.longest_sample == 320


def test_a_leak_of_8_kib_in_each_step(tmp_path: Path) -> None:
    program = """
    kept = []
    for n in range(200):
        step(batch(4, 64))
        kept.append(torch.zeros(2048, device="cuda"))
    """
    _, found = run(program, tmp_path)
    assert found.growth_bytes_per_step == 8192
    assert (found.proof, found.steps) == ("not settled", 3 + MORE)


#: Evaluates and saves before the first step, and again much later, then with a larger batch.
LATE = """
    import io
    def evaluate(rows):
        model.eval()
        with torch.no_grad():
            loss_of(batch(rows, 64))
        model.train()
    evaluate(4)
    torch.save(model.state_dict(), io.BytesIO())
    for n in range(1000):
        step(batch(4, 64))
        if n % 10 == 0 and n >= 80:
            evaluate(512)
            if n >= 90:
                torch.save(model.state_dict(), io.BytesIO())
"""


@pytest.mark.parametrize(
    ("cover", "evaluation", "saved", "steps"),
    [
        ("", False, False, range(3, 20)),
        ("eval", True, False, range(81, 90)),
        ("eval,save", True, True, range(91, 120)),
    ],
)
def test_phases_that_come_late_are_waited_for_when_asked(
    cover: str, evaluation: bool, saved: bool, steps: range, tmp_path: Path
) -> None:
    seen, found = run(LATE, tmp_path, NANOCHECK_RUN_COVER=cover)
    assert (found.evaluation, found.saved) == (evaluation, saved)
    # Its code names both, so whoever reads the answer knows that something is missing.
    assert found.unreached == tuple(
        name for name, was_seen in zip(PHASES, (evaluation, saved), strict=True) if not was_seen
    )
    assert found.steps in steps
    assert found.stopped_early
    assert found.proof != "not settled"
    (process,) = seen.judged().result.processes
    # Logits of 512 rows of 64 tokens: what only the late evaluation needs.
    assert (process.allocated_bytes > 512 * 64 * 1000 * 4) == evaluation


def test_no_optimizer_step_is_a_fact(tmp_path: Path) -> None:
    _, found = run("\n    loss_of(batch(4, 64)).backward()\n    loss_of(batch(4, 80)).backward()", tmp_path)
    assert (found.optimizer_steps, found.steps) == (0, 0)
    assert (found.proof, found.stopped_early) == ("ran to its end", False)
    assert (found.shapes_seen, found.shapes_vary) == (((4, 64), (4, 80)), True)


def test_a_process_that_is_killed_says_what_it_saw(tmp_path: Path) -> None:
    program = MODEL + "\n    for n in range(4): step(batch(4, 64))\n    import os; os.kill(os.getpid(), 9)"
    (process,) = observe(program, tmp_path, steps=0).processes()
    assert (process.coverage.steps, process.coverage.proof) == (3, "not settled")


def test_every_phase_that_can_be_asked_for_is_known_to_the_observer(tmp_path: Path) -> None:
    """One that it does not know would break the observation."""
    seen, found = run(LATE, tmp_path, NANOCHECK_RUN_COVER=",".join(PHASES))
    assert found.steps > 90
    assert not any("broke" in note for note in seen.judged().result.notes)


#: Thirty steps of a transformer of any size; gradients of several micro-batches in each.
ANY = """
    import sys, torch
    from torch import nn
    layers, width, length, rows, accumulation = map(int, sys.argv[1:])
    make = lambda: nn.TransformerEncoderLayer(width, 4, 4 * width, batch_first=True)
    blocks = [make() for _ in range(layers)]
    model = nn.Sequential(nn.Embedding(3000, width), *blocks, nn.Linear(width, 3000)).cuda()
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    for step in range(30):
        for _ in range(accumulation):
            tokens = torch.randint(3000, (rows, length)).cuda()
            with torch.autocast("cuda", torch.bfloat16):
                loss = nn.functional.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten())
            loss.backward()
        optimizer.step()
        optimizer.zero_grad()
"""


@pytest.mark.slow
@settings(max_examples=10)
@given(
    sizes=st.tuples(
        st.integers(1, 6),
        st.sampled_from([32, 96, 256]),
        st.integers(16, 300),
        st.integers(1, 12),
        st.integers(1, 4),
    ),
    expandable=st.booleans(),
)
def test_no_later_step_of_any_script_raises_the_peak(sizes: tuple[int, ...], expandable: bool) -> None:
    """Where a run is stopped is where it may be: with all its steps it needs no more."""
    figures = []
    for steps in (3, 0):
        environment = {"PYTORCH_ALLOC_CONF": f"expandable_segments:{expandable}"}
        with tempfile.TemporaryDirectory() as folder:
            seen = observe(ANY, Path(folder), *map(str, sizes), steps=steps, environment=environment)
            assert seen.ending.exit_code == 0, seen.stderr
            (process,) = seen.judged().result.processes
        assert (process.steps < 30) == (steps == 3)
        figures.append((process.allocated_bytes, process.reserved_bytes))
    assert figures[0] == figures[1]
