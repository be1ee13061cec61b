"""The nanochat note, claim by claim: what it says about pretraining nanochat's d32 on one RTX 4070.

Time is modelled, from the kernels of steps that fit this card; energy is that time and what published boards
drew. Both are ranges. docs/add-a-claim.md says how a claim is written.
"""

from __future__ import annotations

from nanocheck.claims import Check, Decision, Interval, Note, span
from nanocheck.claims.claim_figures import CardFigures

NOTE = Note(
    title="The nanochat note: training d32 on one RTX 4070",
    about=(
        "A note, published in Arabic and read in machine translation, about pretraining nanochat's d32 of "
        "the October 2025 release (run1000.sh: 8 x H100) on one RTX 4070 with 4-bit methods."
    ),
    gpu="rtx4070",
)

D32 = {"model": "nanochat-2025", "n_layer": 32, "batch": 8, "accumulation": 32}
#: Nothing in it is wider than bfloat16, and nothing is kept that can be computed again.
D32_SMALL = {
    "model": "nanochat-2025",
    "n_layer": 32,
    "batch": 1,
    "weights": "bf16",
    "update": "backward",
    "checkpointing": "block",
    "loss": "chunked",
}
#: What of it fits 12 GB and trains every weight, once more: how long its step takes is modelled.
D32_THAT_FITS = {**D32_SMALL, "optimizer": "adamw-8bit", "time": True}
#: A step of 524,288 tokens, as released, uncompiled.
D12 = {"model": "nanochat-2025", "n_layer": 12, "batch": 1, "accumulation": 256, "time": True}
_RUN1000 = "karpathy/nanochat run1000.sh, its comments"
_RELEASE = "karpathy/nanochat, October 2025"
_LOG = "lzwjava/zz training log"


# --- figures that several claims need ----------------------------------------------------------------------


def desktop(c: Check) -> CardFigures:
    return c.card("rtx4070", "desktop")


def training_tokens(c: Check) -> Interval:
    source = f"{_RUN1000}: Total number of training tokens"
    return c.fact("training_tokens", 37_580_963_840, "tokens", source=source)


def published_flops(c: Check) -> Interval:
    source = f"{_RUN1000}: Total training FLOPs estimate (attention included)"
    return c.fact("flops_published", 4.539628e20, "FLOP", source=source)


def flops(c: Check) -> Interval:
    """Either count may be meant: 6 N D, or the release's own, with attention, without the input embedding."""
    return c.computed("flops", span(6 * c.d32.parameters * training_tokens(c), published_flops(c)), "FLOP")


def rate(c: Check) -> Interval:
    return c.said("rate", (18, 22), "TFLOPS")


def days_at_said_rate(c: Check) -> Interval:
    return c.computed("days_at_said_rate", flops(c) / rate(c), "days")


def days_that_it_takes(c: Check) -> Interval:
    """By the model of time, of the one form of d32 that fits this card; the span of 80 % of real steps."""
    return c.computed("days", training_tokens(c) / c.fits.tokens * c.fits.step_time, "days")


# --- the claims --------------------------------------------------------------------------------------------


@NOTE.claim(
    "B1",
    "d32 has 1.9 B parameters and was trained on 38 B tokens in 33 hours on 8 x H100",
    expected="confirmed",
    configs={"d32": D32, "later": {"model": "nanochat-2026", "n_layer": 32}},
)
def size_of_d32(c: Check) -> Decision:
    """d32: 1.9 B parameters, 38 B tokens, 33 h"""
    tokens = training_tokens(c)
    steps = c.fact("optimizer_steps", 71_680, "steps", source=f"{_RUN1000}: number of iterations")
    step_time = c.fact("step_time", 1.574, "s", source=f"{_RUN1000}: each step takes 1.574s")
    readme = "karpathy/nanochat README, autumn 2025: about 33 hours training time on an 8XH100 node"
    total = c.fact("total", 33, "hours", source=readme)
    data_sheet = "NVIDIA H100 SXM data sheet: bf16, dense; the figure that nanochat divides by"
    h100 = c.fact("h100", 989, "TFLOPS", source=data_sheet)
    pretraining = c.computed("pretraining", steps * step_time, "hours")
    utilization = c.computed("utilization", published_flops(c) / pretraining / (8 * h100), "percent")
    parameters_agree = c.d32.parameters.within(
        c.said("claimed_parameters", (1.85, 1.95), "billion parameters")
    )
    tokens_agree = tokens.within(c.said("claimed_tokens", (37.5, 38.5), "billion tokens"))
    hours_agree = total.within(c.said("claimed_hours", (32.5, 33.5), "hours"))
    return c.decide(
        confirmed=parameters_agree & tokens_agree & (pretraining <= total) & hours_agree,
        refuted=~parameters_agree | ~tokens_agree | ~hours_agree,
        sentence={
            "confirmed": f"The October 2025 release's d32 has {c.d32.parameters} parameters; its log counts "
            f"{tokens:billion tokens.2} and {pretraining:.1} of pretraining, which is {utilization:.0} of "
            f"what 8 H100 can do; the rest of its {total} goes to evaluation and later stages.",
            "refuted": f"d32 has {c.d32.parameters} parameters, {tokens:billion tokens.2}, {pretraining:.1} "
            "of pretraining.",
        },
        remark="That is the October 2025 release. The d32 of mid-2026 is another model: "
        f"{c.later.parameters} parameters.",
    )


@NOTE.claim(
    "B2",
    "training d32 in native FP16 or BF16 is impossible on this card: it needs 24-28 GB",
    expected="confirmed",
    runs={
        "sixteen": {**D32_SMALL, "optimizer": "adamw-fused"},
        "eight": {**D32_SMALL, "optimizer": "adamw-8bit"},
    },
    configs={"d32": D32},
)
def sixteen_bits_do_not_fit(c: Check) -> Decision:
    """native FP16/BF16 does not fit 12 GB"""
    embedding = c.computed("embedding", c.d32.vocabulary * c.d32.width)
    matrices = c.computed("matrices", c.d32.parameters - 2 * embedding)
    of_matrices = f"{_RELEASE}: fp32 weights and gradients, Muon keeps one fp32 momentum a weight"
    of_head = f"{_RELEASE}: fp32 weights and gradients, AdamW keeps two fp32 numbers a weight"
    of_embedding = f"{_RELEASE}: the embedding is bf16, so are its gradient and AdamW's two numbers"
    matrix_bytes = c.fact("matrix_bytes", 12, "B", source=of_matrices)
    head_bytes = c.fact("head_bytes", 16, "B", source=of_head)
    embedding_bytes = c.fact("embedding_bytes", 8, "B", source=of_embedding)
    state = c.computed("state", matrices * matrix_bytes + embedding * (head_bytes + embedding_bytes), "GiB")
    one_logits = c.computed("one_logits", c.d32.context * c.d32.vocabulary * Interval(2, unit="B"), "GiB")
    left = desktop(c).left
    return c.decide(
        confirmed=(state > left) & ~c.sixteen.fits,
        refuted=(state + one_logits < left) | c.sixteen.fits,
        sentence={
            "confirmed": f"The October d32's weights, gradients and optimizer state take {state:GiB.1} as "
            f"released, of {left:GiB.1} here; all in bfloat16, with checkpointing and batch 1, the step "
            f"{c.sixteen.ending}. It takes AdamW's state in 8 bits to train every weight: that run "
            f"{c.eight.ending}.",
            "refuted": f"Weights, gradients and optimizer state take {state:GiB.1} of {left:GiB.1}; all in "
            f"bfloat16 the step {c.sixteen.ending}.",
        },
        remark="24-28 GB is not checked: it depends on batch and implementation. d32 is the October "
        "release's. Nobody released it with weights or state in bfloat16; the two runs are what a reader "
        "could do: nanoGPT's AdamW instead of Muon, and each gradient used and dropped in the backward. That "
        "they fit says nothing of how well they learn.",
    )


@NOTE.claim(
    "B3",
    "with 4-bit weights (QLoRA or GPTQ style) and gradient checkpointing, d32 trains at 18-22 TFLOPS in "
    "35-45 days",
    expected="refuted",
    configs={"d32": D32},
    runs={"fits": D32_THAT_FITS},
)
def days_with_4_bits(c: Check) -> Decision:
    """4-bit and checkpointing: 35-45 days at 18-22 TFLOPS"""
    days, at_said_rate = days_that_it_takes(c), days_at_said_rate(c)
    claimed = c.said("claimed", (35, 45), "days")
    needed_rate = c.computed("needed_rate", flops(c) / claimed, "TFLOPS")
    share_of_peak = c.computed("share_of_peak", needed_rate / desktop(c).tflops, "percent")
    return c.decide(
        confirmed=days.within(claimed),
        refuted=days > claimed,
        sentence={
            "confirmed": f"What fits this card takes {days:.0}.",
            "refuted": f"What fits this card takes {days:.0} (modelled: bfloat16, 8-bit AdamW, batch 1). At "
            f"the note's own {rate(c)} it would be {at_said_rate:.0}; 35-45 days would need "
            f"{needed_rate:.0}, {share_of_peak:.0} of the card's dense bf16 peak.",
        },
        remark="QLoRA trains small adapters on a frozen model that somebody else has pretrained: it is no "
        "pretraining.",
    )


@NOTE.claim(
    "B4",
    "NF4 or 3-bit weights with 8-bit AdamW take 30-38 days, 2.5-2.7 bits 28-35 days",
    expected="refuted",
    configs={"d32": D32},
    runs={"fits": D32_THAT_FITS},
)
def days_with_fewer_bits(c: Check) -> Decision:
    """fewer bits: 28-38 days"""
    days = days_that_it_takes(c)
    at_peak = c.computed("days_at_peak", flops(c) / desktop(c).tflops, "days")
    at_twice_peak = c.computed("days_at_twice_peak", at_peak / 2, "days")
    claimed = c.said("claimed", (28, 38), "days")
    return c.decide(
        confirmed=days.within(claimed),
        refuted=at_twice_peak > claimed,
        sentence={
            "confirmed": f"d32 takes {days:.0}.",
            "refuted": f"What fits this card takes {days:.0} (modelled). At 100 % of the card's dense bf16 "
            f"peak, which nobody reaches, d32 takes {at_peak:.0}; at twice that peak {at_twice_peak:.0}.",
        },
        remark="Weights are stored in few bits and multiplied in 16: low-bit storage saves memory, not "
        "arithmetic. NF4 is a 4-bit format. Twice the bf16 peak is what the tensor cores do with 8-bit "
        "numbers or with sums in float16.",
    )


@NOTE.claim(
    "B5",
    "the effective speed of an RTX 4070 in training is 18-22 TFLOPS",
    expected="refuted",
    runs={"gpt2": {"batch": 8, "accumulation": 64, "time": True}},
)
def speed_of_the_card(c: Check) -> Decision:
    """an RTX 4070 does 18-22 TFLOPS"""
    gpt2 = c.gpt2
    of_step = f"{_LOG}: nanoGPT GPT-2 124M, RTX 4070, compiled, bf16, batch 8 x 64"
    nanogpt_step = c.fact("nanogpt_step", 9.341, "s", source=of_step)
    # nanoGPT's own estimate: 6 N + 12 L H Q T operations a token, N without positions.
    work_a_token = 6 * (gpt2.parameters - gpt2.context * gpt2.width) + (
        12 * gpt2.layers * gpt2.width * gpt2.context
    )
    nanogpt_work = c.computed("nanogpt_work", gpt2.tokens * work_a_token, "FLOP")
    nanogpt = c.computed("nanogpt", nanogpt_work / nanogpt_step, "TFLOPS")
    of_tokens = f"{_LOG}: nanochat mid-2026 d12, RTX 4070, compiled, bf16, batch 8 x 4 of 2048 tokens"
    tokens = c.fact("nanochat_tokens", 65_536, "tokens", source=of_tokens)
    of_time = "the same log: 5th and 95th percentile of the step time, median 1177.16 ms"
    nanochat_step = c.fact("nanochat_step", (1.17586, 1.17870), "s", source=of_time)
    of_work = "the same log: FLOPs a token, as nanochat counts them"
    nanochat_work = c.fact("nanochat_work_a_token", 8.871e8, "FLOP", source=of_work)
    nanochat = c.computed("nanochat", tokens * nanochat_work / nanochat_step, "TFLOPS")
    said = rate(c)
    return c.decide(
        confirmed=nanogpt.within(said) & nanochat.within(said),
        refuted=~nanogpt.within(said) & ~nanochat.within(said),
        sentence={
            "confirmed": f"Published logs of an RTX 4070 show {nanogpt:.1} and {nanochat:.1}.",
            "refuted": f"Published logs of an RTX 4070 show {nanogpt:.1} (nanoGPT 124M) and {nanochat:.1} "
            f"(nanochat d12), more than twice that; uncompiled, modelled: {c.gpt2.tflops:.1}.",
        },
        remark="Both were compiled bfloat16 steps that fit the card. Nobody published the speed of 4-bit "
        "training of d32; computing activations again takes a third more arithmetic, not twice as much.",
    )


@NOTE.claim(
    "B6",
    "the run takes 200-250 W, 150-200 kWh in total, $15-40",
    expected="refuted",
    configs={"d32": D32},
    runs={"fits": D32_THAT_FITS},
)
def energy_and_cost(c: Check) -> Decision:
    """150-200 kWh and $15-40 in total"""
    days = days_that_it_takes(c)
    said = c.said("power", (200, 250), "W")
    share = c.fact(
        "share",
        (78, 100),
        "percent",
        source="of its limit that a board draws while it trains, six cards: nanocheck/timing/energy.py",
    )
    power = c.computed("board_power", share * desktop(c).power, "W")
    claimed = c.said("claimed", (150, 200), "kWh")
    claimed_days = c.said("claimed_days", (35, 45), "days")
    price = c.said("price", (0.10, 0.20), "USD/kWh")
    own_energy = c.computed("own_energy", said * claimed_days, "kWh")
    energy = c.computed("energy", power * days, "kWh")
    cost = c.computed("cost", energy * price, "USD")
    return c.decide(
        confirmed=energy.within(claimed),
        refuted=energy > claimed,
        sentence={
            "confirmed": f"{power} for {days:.0} are {energy:.0}.",
            "refuted": f"{said} for the note's own 35-45 days are already {own_energy:.0}; {power:.0} of the "
            f"card alone, for the {days:.0} that it takes (modelled), are {energy:.0}, {cost:.0} at the "
            "note's price.",
        },
    )


@NOTE.claim(
    "B7",
    "d21 has 1.3 B parameters and takes 18-25 days",
    expected="refuted",
    configs={
        "october": {"model": "nanochat-2025", "n_layer": 21, "may_be_refused": True},
        "later": {"model": "nanochat-2026", "n_layer": 21},
        "d28": {"model": "nanochat-2025", "n_layer": 28},
    },
    runs={"fits": {**D32_THAT_FITS, "n_layer": 28}},
)
def size_of_d21(c: Check) -> Decision:
    """d21 has 1.3 B parameters, 18-25 days"""
    october_parameters = c.computed(
        "october_parameters",
        2 * 65536 * 1344 + 12 * 21 * 1344**2,
        "million parameters",
        how="2 * 65536 * 1344 + 12 * 21 * 1344 ** 2",
    )
    claimed = c.said("claimed", (1.25, 1.35), "billion parameters")
    claimed_days = c.said("claimed_days", (18, 25), "days")
    duration = c.computed("duration", 20 * claimed / c.fits.tokens * c.fits.step_time, "days")
    return c.decide(
        confirmed=(october_parameters.within(claimed) | c.later.parameters.within(claimed))
        & duration.within(claimed_days),
        sentence={
            "confirmed": f"d21 has {c.later.parameters} parameters.",
            "refuted": f"The October release cannot build a d21 ({c.october.refusal}; by formula it would "
            f"have {october_parameters:.0}), mid-2026's has {c.later.parameters}; 1.3 B is d28 "
            f"({c.d28.parameters}). And d28 takes {duration:.0} on this card (modelled), not 18-25.",
        },
        remark="Days: 20 tokens for each of 1.3 B parameters, the October release's ratio, with d28 in the "
        "form that fits: bfloat16, 8-bit AdamW, batch 1.",
    )


@NOTE.claim(
    "B8",
    "15-20 B tokens are enough and take 12-20 days",
    expected="refuted",
    configs={"d32": D32},
    runs={"fits": D32_THAT_FITS},
)
def days_for_fewer_tokens(c: Check) -> Decision:
    """15-20 B tokens in 12-20 days"""
    claimed = c.said("claimed", (12, 20), "days")
    fewer = c.said("fewer", (15, 20), "billion tokens")
    work = flops(c) / training_tokens(c) * fewer
    days = c.computed("days", fewer / c.fits.tokens * c.fits.step_time, "days")
    at_peak = c.computed("at_peak", work / desktop(c).tflops, "days")
    return c.decide(
        confirmed=days.within(claimed),
        refuted=(at_peak > claimed) | (days > claimed),
        sentence={
            "confirmed": f"{fewer} of d32 take {days:.0}.",
            "refuted": f"{fewer} of d32 take {days:.0} in the form that fits (modelled), and {at_peak:.0} at "
            "100 % of the card's dense bf16 peak.",
        },
        remark="Whether 15-20 B tokens are enough is no question of the card, and not checked.",
    )


@NOTE.claim(
    "B9",
    "a laptop's RTX 4070 (8 GB) takes 50-100 % longer",
    expected="cannot tell",
    runs={
        "here": D12,
        "there": {**D12, "gpu": "rtx4070-laptop"},
    },
)
def laptop_takes_longer(c: Check) -> Decision:
    """a laptop 4070 takes 50-100 % longer"""
    laptop, card = c.card("rtx4070-laptop", "laptop"), desktop(c)
    claimed = c.said("claimed", (50, 100), "percent")
    clock = c.fact(
        "clock",
        (1230, 2175),
        "MHz",
        source="NVIDIA product page of GeForce laptops: boost clock over the range of power that makers "
        "choose from",
    )
    rate_a_clock = c.fact(
        "rate_a_clock",
        512,
        "FLOP",
        source="NVIDIA Ada GPU architecture whitepaper: GeForce, bf16 with sums in fp32, dense, an SM and "
        "clock",
    )
    laptop_peak = c.computed("laptop_peak", laptop.sms * rate_a_clock * clock, "TFLOPS")
    by_either = span(card.tflops / laptop_peak, card.bandwidth / laptop.bandwidth)
    longer = c.computed("longer", by_either - 1, "percent")
    modelled = c.computed("longer_modelled", c.there.step_estimate / c.here.step_estimate - 1, "percent")
    by_figures = f"By peak and bandwidth a laptop's RTX 4070 takes {longer:.0} longer."
    return c.decide(
        confirmed=longer.within(claimed),
        sentence={
            "confirmed": by_figures,
            "refuted": by_figures,
            "cannot tell": f"Plausible, not shown: d12's step, uncompiled, takes {modelled:.0} longer "
            f"at the highest power (modelled); by peak ({laptop_peak:.1} against {card.tflops}) and by "
            f"bandwidth ({laptop.bandwidth} against {card.bandwidth}) a laptop's RTX 4070 takes {longer:.0} "
            "longer, depending on the power its maker grants it.",
        },
        because=f"what is known of the laptop card allows {longer:.0}, depending on the power its maker "
        "grants it",
        remark=f"Its memory is another question: {laptop.left:GiB.1} beside the CUDA context, where the "
        f"desktop card has {card.left:GiB.1}.",
    )
