"""The nanoGPT note, claim by claim: what it says about out-of-memory errors on an RTX 4070 and their cure.

docs/add-a-claim.md says how a claim is written. Every configuration is one of suites/memory/matrix.toml and
then runs only once, unless a comment says why it is not.
"""

from __future__ import annotations

from nanocheck.claims import Check, Decision, Interval, Note

NOTE = Note(
    title="The nanoGPT note: fixing RTX 4070 memory errors",
    about=(
        "A note, published in Arabic and read in machine translation, about nanoGPT with 12 layers, 12 "
        "heads, n_embd 576, block_size 1024, batch_size 16 x 32, bfloat16, compile=True on one RTX 4070: the "
        "first backward runs out of memory. Its advice: batch 12 x 40, compile=False, float16; after about "
        "100 steps compile=True, batch 16 x 32 again."
    ),
    gpu="rtx4070",
)

#: The note's own step, and the one that it advises.
STEP = {"n_embd": 576, "batch": 16, "accumulation": 32, "dtype": "bf16", "compile": "default"}
FIX = {"n_embd": 576, "batch": 12, "accumulation": 40, "dtype": "fp16"}
EAGER = {"n_embd": 576, "accumulation": 32, "dtype": "bf16"}


def logits(c: Check) -> Interval:
    """The gradient of the logits of one micro-batch, in bfloat16's 2 bytes."""
    size = c.note.sequences / 32 * c.note.context * c.note.vocabulary * Interval(2, unit="B")
    return c.computed("logits", size, "B")


@NOTE.claim(
    "A1",
    "the buffer empty_strided_cuda((16, 1024, 50304), ...) in bfloat16 is 16 x 1024 x 50304 x 2 B = 1.54 GB",
    expected="refuted",
    configs={"note": STEP},
)
def size_of_the_buffer(c: Check) -> Decision:
    """the buffer that fails has 1.54 GB"""
    size = logits(c)
    claimed = c.said("claimed", (1.535, 1.545), "GB")
    return c.decide(
        confirmed=size.within(claimed),
        sentence={
            "confirmed": f"The buffer is {size}, {size:GB.3}, as the note says.",
            "refuted": f"The buffer is {size}: {size:GB.3}, not 1.54 GB; 1.54 is its size in GiB "
            f"({size:GiB.3}), as PyTorch's message prints it.",
        },
    )


@NOTE.claim(
    "A2",
    "on Ada, float16 needs 10-15 % less memory than bfloat16",
    expected="refuted",
    runs={
        "note": STEP,
        "note_fp16": {**STEP, "dtype": "fp16"},
        "eager_bf16": {**EAGER, "batch": 8},
        "eager_fp16": {**EAGER, "batch": 8, "dtype": "fp16"},
    },
)
def fp16_needs_less(c: Check) -> Decision:
    """float16 needs 10-15 % less memory than bfloat16"""
    compiled = c.computed("compiled_saves", 1 - c.note_fp16.allocated / c.note.allocated, "percent")
    eager = c.computed("eager_saves", 1 - c.eager_fp16.allocated / c.eager_bf16.allocated, "percent")
    claimed = c.said("claimed", (10, 15), "percent")
    return c.decide(
        confirmed=compiled.within(claimed) & eager.within(claimed),
        refuted=~compiled.within(claimed) & ~eager.within(claimed),
        sentence={
            "confirmed": f"float16 peaks {compiled:.1} (compiled) and {eager:.1} (eager) below bfloat16.",
            "refuted": f"float16 and bfloat16 need the same memory: {c.note_fp16.allocated:MiB.1} and "
            f"{c.note.allocated:MiB.1} compiled at batch 16, {c.eager_fp16.allocated:MiB.1} and "
            f"{c.eager_bf16.allocated:MiB.1} eager at batch 8.",
        },
        remark="Both number formats have 2 bytes. Float16 brings a loss scaler, which keeps a few scalars.",
    )


@NOTE.claim(
    "A3",
    "compile=False avoids the big temporary buffers, so that the step needs less memory",
    expected="refuted",
    runs={
        "note": STEP,
        "eager_8": {**EAGER, "batch": 8},
        "compiled_8": {**STEP, "batch": 8},
        "eager_16": {**EAGER, "batch": 16},
    },
)
def eager_needs_less(c: Check) -> Decision:
    """compile=False avoids the big temporaries"""
    eager, compiled = c.eager_8.allocated, c.compiled_8.allocated
    more = c.computed("more", eager / compiled - 1, "percent")
    return c.decide(
        confirmed=eager < compiled,
        refuted=(eager > compiled) & c.note.fits & ~c.eager_16.fits,
        sentence={
            "confirmed": f"At batch 8 the eager step peaks at {eager:MiB.0}, the compiled one at "
            f"{compiled:MiB.0}.",
            "refuted": f"The reverse: at batch 8 the eager step peaks {more:.0} higher ({eager:MiB.0} "
            f"against {compiled:MiB.0} compiled), and at batch 16 only the compiled one fits; the eager one "
            f"asks for {c.eager_16.asked:MiB.0} more and dies.",
        },
    )


@NOTE.claim(
    "A4",
    "after about 100 steps compile=True can be switched on again, because it then needs less memory",
    expected="refuted",
    runs={
        "note": STEP,
        # Not in the matrix: the other runs are of three steps, which end long before step 100.
        "long": {**STEP, "steps": 104},
        # Not in the matrix: the switch itself.
        "resumed": {**STEP, "cycle": "resume"},
    },
)
def compiled_again_after_100_steps(c: Check) -> Decision:
    """after 100 steps compile=True costs less"""
    long, resumed, note = c.long, c.resumed, c.note
    return c.decide(
        confirmed=(long.last_step < long.third_step) | (resumed.allocated < note.allocated),
        refuted=(long.steady_from <= 3)
        & (long.last_step >= long.third_step)
        & (~resumed.fits | (resumed.allocated >= note.allocated)),
        sentence={
            "confirmed": f"Step {long.steps} of the compiled run peaks at {long.last_step:MiB.1}, step 3 at "
            f"{long.third_step:MiB.1}; resumed, the step peaks at {resumed.allocated:MiB.1}.",
            "refuted": f"Nothing changes at step 100: from step {long.steady_from} to step {long.steps} the "
            f"compiled step peaks at the same byte ({long.last_step:MiB.1}). Switched on again as the note "
            f"advises, by resuming from the checkpoint, the step {resumed.ending}; begun with compile=True "
            f"it {note.ending}.",
        },
        remark="Switching it on means to start again from the checkpoint, and nanoGPT then keeps the weights "
        "it loaded beside the model's own.",
    )


@NOTE.claim(
    "A5",
    "with batch 12 x 40, compile=False, float16 memory falls from about 11.8 GB to about 9.8 GB, under 10.5 "
    "GB",
    expected="refuted",
    runs={
        "fix": FIX,
        # Not in the matrix: the same step where it has room, to see what it would need.
        "needs": {**FIX, "gpu": "rtx4090"},
    },
)
def the_fix_fits(c: Check) -> Decision:
    """the fix lowers memory to 9.8 GB"""
    limit = c.said("limit", 10.5, "GB")
    return c.decide(
        confirmed=c.fix.fits & (c.fix.reserved < limit),
        refuted=~c.fix.fits & (c.needs.allocated > limit),
        sentence={
            "confirmed": f"The fix reserves {c.fix.reserved:GB.1}.",
            "refuted": f"The fix runs out of memory itself, asking for {c.fix.asked:MiB.0} in the "
            f"{c.fix.died_in}; on a card with room it peaks at {c.needs.allocated:GB.1} allocated, "
            f"{c.needs.reserved:GB.1} reserved.",
        },
    )


@NOTE.claim(
    "A6",
    "going from batch 16 to batch 12 frees about 25 % of the memory",
    expected="refuted",
    runs={
        "note": STEP,
        "compiled_12": {**STEP, "batch": 12},
        # Not in the matrix: eager, neither fits the RTX 4070.
        "eager_16": {**EAGER, "batch": 16, "gpu": "rtx4090"},
        "eager_12": {**EAGER, "batch": 12, "gpu": "rtx4090"},
    },
)
def smaller_batch_frees_a_quarter(c: Check) -> Decision:
    """batch 16 to 12 frees about 25 %"""
    compiled = c.computed("compiled_frees", 1 - c.compiled_12.allocated / c.note.allocated, "percent")
    eager = c.computed("eager_frees", 1 - c.eager_12.allocated / c.eager_16.allocated, "percent")
    fixed = c.note.allocated - 4 * (c.note.allocated - c.compiled_12.allocated)
    fixed_part = c.computed("fixed_part", fixed, "MiB")
    claimed = c.said("claimed", (24, 26), "percent")
    return c.decide(
        confirmed=compiled.within(claimed) & eager.within(claimed),
        refuted=~compiled.within(claimed) & ~eager.within(claimed),
        sentence={
            "confirmed": f"Batch 12 instead of 16 frees {compiled:.1} compiled and {eager:.1} eager.",
            "refuted": f"Batch 12 instead of 16 frees {compiled:.1} compiled and {eager:.1} eager: a quarter "
            f"only of what depends on the batch, and {fixed_part:MiB.0} do not.",
        },
    )


@NOTE.claim(
    "A7",
    "batch 12 with accumulation 40 trains with the same effective batch as 16 with 32",
    expected="refuted",
    configs={"note": STEP, "fix": FIX},
)
def same_effective_batch(c: Check) -> Decision:
    """12 x 40 keeps the effective batch"""
    change = c.computed("change", c.fix.tokens / c.note.tokens - 1, "percent")
    return c.decide(
        confirmed=c.fix.tokens == c.note.tokens,
        sentence={
            "confirmed": f"Both train {c.note.tokens} tokens an optimizer step.",
            "refuted": f"12 x 40 is {c.fix.sequences} sequences and {c.fix.tokens} tokens an optimizer step, "
            f"16 x 32 is {c.note.sequences} and {c.note.tokens}: {change:.2}.",
        },
    )


@NOTE.claim(
    "A8",
    "dtype='float16' can be put in the place of 'bfloat16' without further care",
    expected="refuted",
    configs={"fix": FIX},
)
def fp16_is_safe(c: Check) -> Decision:
    """float16 is a safe swap for bfloat16"""
    smallest = c.fact(
        "smallest",
        2**-24,
        source="IEEE 754 binary16: the smallest number above 0 is 2^-24; less than half of it rounds to 0",
    )
    spread = c.assumed(
        "spread",
        (0.1, 10),
        why="wide on purpose: an untrained model gives each token its equal share, within a factor of 10 "
        "(the loss suite sees every run begin at ln V)",
    )
    scale = c.fact("scale", 65536, source="PyTorch documentation, torch.amp.GradScaler: init_scale = 2^16")
    probability = c.computed("probability", spread / c.fix.vocabulary)
    wrong_token = c.computed("wrong_token", probability / c.fix.tokens)
    becomes_0 = c.computed("becomes_0", smallest / 2)
    scaled = c.computed("scaled", wrong_token * scale)
    return c.decide(
        confirmed=wrong_token >= smallest,
        refuted=wrong_token < becomes_0,
        sentence={
            "confirmed": f"The gradient of a wrong token's logit, {wrong_token}, can be held by float16.",
            "refuted": "Not without a loss scaler: in the note's own batch the gradient of a wrong token's "
            f"logit begins at {wrong_token}, and in float16 what is below {becomes_0} becomes 0; bfloat16 "
            "has the range of float32.",
        },
        remark="nanoGPT switches a GradScaler on with dtype='float16', which multiplies by "
        f"{scale}: {scaled} can be held. Whether a long run then skips steps or overflows, only a real run "
        "can tell: nothing here computes one.",
    )


@NOTE.claim(
    "A9",
    "the card runs out of memory because of compile=True",
    expected="refuted",
    runs={"note": STEP, "with_desktop": {**STEP, "reserve": "2450 MiB"}},
)
def compile_is_the_cause(c: Check) -> Decision:
    """the cause is compile=True"""
    died = c.with_desktop.outcome == "oom"
    return c.decide(
        confirmed=~c.note.fits,
        refuted=c.note.fits & died & (c.with_desktop.asked == logits(c)),
        sentence={
            "confirmed": "The compiled step does not fit even an empty card.",
            "refuted": f"The same compiled step fits the card with {c.note.headroom:MiB.0} to spare; with "
            "2450 MiB used by a desktop it dies at the very buffer that the note shows "
            f"({c.with_desktop.asked}).",
        },
        remark="That the author's desktop held about 2 GB is from the same note; 2450 MiB is the amount at "
        "which the run dies where the author saw it die.",
    )
