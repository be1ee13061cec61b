"""The claims of suites/claims: their arithmetic, done a second time from other ends."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterator
from fractions import Fraction

import pytest
import torch
from made_up import result as made_up
from msgspec.structs import replace
from notes import CLAIMS, NOTES
from paths import ROOT
from timing_kernels import product_kernel
from torch import nn

from nanocheck.claims.check import Results
from nanocheck.claims.claim import Check, Claim
from nanocheck.claims.interval import Interval
from nanocheck.claims.run_figures import Value
from nanocheck.core.config import StepConfig
from nanocheck.core.device import Target
from nanocheck.core.gpus import find_gpu
from nanocheck.core.kernels import KernelList, Part, Product
from nanocheck.core.matrix import load_matrix
from nanocheck.core.result import RunResult
from nanocheck.core.run_request import RunRequest
from nanocheck.timing.card import Card
from nanocheck.timing.estimate import estimate

HOME = Target(kind="virtual", gpu=find_gpu("rtx4070"))


COMPUTED = [name for name, claim in CLAIMS.items() if not claim.requests]
find = functools.cache(find_gpu)


class Seen(Check):
    """Keeps the values, of which the ledger has only the words."""

    def __init__(self, claim: Claim, results: Results) -> None:
        self.values: dict[str, Value] = {}
        super().__init__(claim, results, find)

    def _add(self, name: str, value: Value, provenance: str, how: str) -> None:
        super()._add(name, value, provenance, how)
        self.values[name] = value


def amount(claim: str, name: str, one: float = 1, *, timed: bool = False) -> tuple[float, float]:
    """A figure's ends, in a unit of so many base units; ``timed``: each run's step is ``STEP``."""
    seen = Seen(CLAIMS[claim], results(claim, STEP) if timed else {})
    CLAIMS[claim].function(seen)
    value = seen.values[name]
    assert isinstance(value, Interval)
    return float(value.low / Fraction(one)), float(value.high / Fraction(one))


def results(claim: str, step: KernelList) -> dict[RunRequest, RunResult]:
    """Runs of a claim that ended well, and recorded this step."""
    found = {}
    for request in CLAIMS[claim].requests:
        device = Target(kind="virtual", gpu=find(request.gpu or "rtx4070")).device
        plain = made_up(request.config, device=device)
        process = replace(plain.processes[0], kernels=step)
        found[request] = replace(plain, processes=(process,))
    return found


def verdict(claim: str, step: KernelList, times: float) -> str:
    """Where a step has so many times the work."""
    (part,) = step.parts
    (kernel,) = part.kernels
    larger = replace(kernel, operations=kernel.operations * times, product=scaled(kernel.product, times))
    more = replace(step, parts=(replace(part, kernels=(larger,)),))
    return CLAIMS[claim].evaluate(results(claim, more), find, HOME).verdict


def scaled(product: Product | None, times: float) -> Product:
    assert product is not None
    return replace(product, m=max(1, round(product.m * times)))


#: About a second of an RTX 4070.
STEP = KernelList(
    parts=(Part(name="step", kernels=(product_kernel(1 << 20, 4096, 4096),)),),
    torch="2.14.1",
    capability=(8, 9),
)
DAY, KWH, TERA, GIB = 86_400, 3_600_000, 1e12, 1 << 30


def test_there_is_a_claim_for_each_row_of_the_two_notes() -> None:
    assert list(CLAIMS) == [f"{note}{row}" for note in "AB" for row in range(1, 10)]


@pytest.mark.parametrize("name", CLAIMS)
def test_nothing_is_wrong_before_anything_runs(name: str) -> None:
    CLAIMS[name].rehearse(find)


@pytest.mark.parametrize("name", COMPUTED)
def test_what_is_arithmetic_alone_is_as_expected(name: str) -> None:
    assert CLAIMS[name].evaluate({}, find, HOME).as_expected


def test_arithmetic_alone_decides_what_is_no_question_of_memory_or_time() -> None:
    assert set(COMPUTED) == {"A1", "A7", "A8", "B1"}


def test_a1_by_counting_a_tensor() -> None:
    buffer = torch.empty((16, 1024, 50304), dtype=torch.bfloat16, device="meta")
    size = buffer.numel() * buffer.element_size()
    assert amount("A1", "logits") == (size, size)
    assert f"{size / 1e9:.2f} {size / GIB:.2f}" == "1.65 1.54"


def test_a7_by_counting_sequences() -> None:
    low, high = amount("A7", "change")
    assert low == high == 480 / 512 - 1 == -0.0625


def test_a8_by_really_rounding_a_gradient() -> None:
    """The gradient of an untrained GPT-2's logits, with real arithmetic, in the note's own batch."""
    torch.manual_seed(1)
    rows = 4
    logits = (0.5 * torch.randn(rows, 50304)).requires_grad_()
    targets = torch.randint(50304, (rows,))
    (nn.functional.cross_entropy(logits, targets, reduction="sum") / (12 * 1024 * 40)).backward()
    assert logits.grad is not None
    wrong = torch.ones_like(logits, dtype=torch.bool).scatter_(1, targets[:, None], False)
    gradient = logits.grad[wrong]
    low, high = amount("A8", "wrong_token")
    assert low <= gradient.median().item() <= high
    assert amount("A8", "smallest")[0] == torch.finfo(torch.float16).smallest_normal / 1024
    assert gradient.half().count_nonzero() == 0  # all of it is lost in float16
    assert gradient.bfloat16().count_nonzero() == gradient.numel()
    assert (gradient * 65536).half().count_nonzero() == gradient.numel()  # and kept by a scaler


def test_b1_by_the_step_log() -> None:
    assert amount("B1", "pretraining", 3600)[0] == pytest.approx(31.34, abs=0.01)
    # 524,288 tokens in 1.574 s on 8 cards, as the log's own MFU of 50.9 % has it
    assert amount("B1", "utilization")[0] == pytest.approx(0.509, abs=0.002)
    tokens = round(amount("B1", "optimizer_steps")[0]) * 524_288
    assert amount("B1", "training_tokens") == (tokens, tokens)
    assert tokens == 20 * 1_879_048_192


def d32() -> Iterator[tuple[str, int]]:
    """Every matrix of the October release's d32, by kind."""
    width, vocabulary = 2048, 65536
    yield "embedding", vocabulary * width
    yield "head", vocabulary * width
    for _ in range(32):
        yield from [("block", width * width)] * 4  # query, key, value, projection
        yield from [("block", width * 4 * width)] * 2  # up, down


def test_b2_by_listing_the_matrices() -> None:
    assert sum(size for _, size in d32()) == 1_879_048_192
    bytes_each = {"embedding": 2 + 2 + 2 * 2, "head": 4 + 4 + 2 * 4, "block": 4 + 4 + 4}
    state = sum(size * bytes_each[kind] for kind, size in d32())
    assert amount("B2", "state") == (state, state)
    assert round(state / GIB, 1) == 21.0
    assert state > (11_874 - 178) << 20


@pytest.mark.parametrize(
    ("claim", "name", "low", "high"),
    [
        # 20 tokens a parameter, 6 operations each, or the release's own count; then by hand
        ("B3", "flops", 6 * 20 * 1_879_048_192**2, 4.539628e20),
        ("B3", "days_at_said_rate", 120 * 1_879_048_192**2 / 22e12, 4.539628e20 / 18e12),
        ("B3", "needed_rate", 120 * 1_879_048_192**2 / (45 * DAY), 4.539628e20 / (35 * DAY)),
        ("B3", "share_of_peak", 1.869, 2.575),
        ("B4", "days_at_peak", 84.1 * DAY, 90.1 * DAY),
        ("B4", "days_at_twice_peak", 42.06 * DAY, 45.06 * DAY),
        ("B5", "nanogpt", 56_127 * 854.77e6, 56_127 * 854.77e6),
        ("B5", "nanochat", 55_600 * 8.871e8, 55_735 * 8.871e8),
        ("B6", "own_energy", 200 * 35 * DAY, 250 * 45 * DAY),
        ("B7", "october_parameters", 631_375_584, 631_375_584),
        ("B8", "at_peak", 33.6 * DAY, 47.96 * DAY),
        ("B9", "laptop_peak", 22.67 * TERA, 40.09 * TERA),
        ("B9", "longer", 58.3 / 40.09 - 1, 58.3 / 22.67 - 1),
    ],
)
def test_arithmetic_of_the_nanochat_note(claim: str, name: str, low: float, high: float) -> None:
    assert amount(claim, name) == pytest.approx((low, high), rel=2e-3)


@pytest.mark.parametrize(
    ("claim", "name", "low", "high"),
    [
        # steps of 2,048 tokens
        ("B3", "days", 20 * 1_879_048_192 / 2048, 20 * 1_879_048_192 / 2048),
        ("B4", "days", 20 * 1_879_048_192 / 2048, 20 * 1_879_048_192 / 2048),
        ("B6", "energy", 0.78 * 200 * 18_350_080, 200 * 18_350_080),  # watts of 200 that the card may draw
        ("B6", "cost", 0.1 * 0.78 * 200 * 18_350_080 / KWH, 0.2 * 200 * 18_350_080 / KWH),
        ("B7", "duration", 20 * 1.25e9 / 2048, 20 * 1.35e9 / 2048),
        ("B8", "days", 15e9 / 2048, 20e9 / 2048),
    ],
)
def test_what_is_modelled_is_so_many_steps(claim: str, name: str, low: float, high: float) -> None:
    """``low`` and ``high``: of one second at the low and at the high end of a step's interval."""
    around = estimate(STEP, Card.of(find("rtx4070"))).interval
    assert around is not None
    assert amount(claim, name, timed=True) == pytest.approx((low * around.low, high * around.high), rel=1e-9)


def test_the_verdicts_by_time_are_the_models() -> None:
    """A step of a minute refutes what a step of a millisecond confirms or leaves open."""
    for name in ("B3", "B6", "B8"):
        fast, slow = (verdict(name, STEP, factor) for factor in (0.05, 60.0))
        assert slow == "refuted"
        assert fast != slow or name == "B8"  # B8 is refuted by the peak alone


def test_b5_is_nanogpts_own_count() -> None:
    """nanoGPT's published estimate: 6 N + 12 L H Q T operations a token, N without positions."""
    parameters = 50304 * 768 + 12 * (12 * 768**2 + 2 * 768) + 768
    work = 6 * parameters + 12 * 12 * 12 * 64 * 1024
    tokens = 8 * 64 * 1024
    assert amount("B5", "nanogpt", TERA)[0] == pytest.approx(work * tokens / 9.341 / TERA, rel=1e-12)
    assert 47.9 < amount("B5", "nanogpt", TERA)[0] < 48.1


def test_b7_by_building_what_can_be_built() -> None:
    assert 1344 % math.ceil(1344 / 128)
    assert amount("B7", "october_parameters")[0] == 2 * 65536 * 1344 + 21 * (4 + 8) * 1344 * 1344
    assert StepConfig.from_dict({"model": "nanochat-2026", "n_layer": 21}).parameters < 1.1e9


def test_runs_on_the_card_itself_are_those_of_the_memory_suite() -> None:
    """What both need runs once; the exceptions are those that no matrix can say."""
    matrix = set(load_matrix(ROOT / "suites" / "memory" / "matrix.toml").configs)
    others = {
        request.config.id
        for claim in CLAIMS.values()
        for request in claim.requests
        if request.gpu is None and not request.reserve_bytes and request.steps is None
        if request.config not in matrix
    }
    d32, d28 = (f"nanochat-2025-d{depth}-b1-a1-bf16-eager" for depth in (32, 28))
    ways = "checkpoint-block-weights-bf16-loss-chunked-update-in-backward"
    assert others == {
        "gpt2-576-b16-a32-bf16-compile-resume",
        f"{d32}-fused-{ways}",
        f"{d32}-8bit-{ways}",
        f"{d28}-8bit-{ways}",
        "gpt2-768-b8-a64-bf16-eager",
        "nanochat-2025-d12-b1-a256-bf16-eager",
    }


@pytest.mark.parametrize("name", COMPUTED)
def test_a_sentence_has_figures_and_is_short(name: str) -> None:
    sentence = CLAIMS[name].evaluate({}, find, HOME).sentence
    assert re.search(r"[0-9]", sentence)
    assert len(sentence) < 300


def test_both_notes_are_introduced_with_what_they_say() -> None:
    titles = [note.NOTE.title for note in NOTES]
    assert titles == [
        "The nanoGPT note: fixing RTX 4070 memory errors",
        "The nanochat note: training d32 on one RTX 4070",
    ]
    assert "batch 12 x 40, compile=False, float16" in NOTES[0].NOTE.about
    assert "4-bit methods" in NOTES[1].NOTE.about
