"""Random trainings whose sizes and phases hang on masks, routing, lengths and the step's number.

Each runs in three ways: ``plain``, as anybody would write it; ``cpu``, small and with true values, which
prints every size that hangs on them; ``given``, with those sizes put in, so that nothing is left to decide.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

from hypothesis import strategies as st

#: More than a run is watched for where no layout repeats, as with masks of another size in each step.
STEPS = 60


@dataclass(frozen=True)
class Program:
    """What is drawn of a program.

    Attributes:
        labelled: of 100 tokens, how many count in the loss; ``None``: all, without a mask.
        experts: 0: none.
        length: an expression of ``i``, the step, and of ``lengths``, one for each step.
        late: lines between backward and step, or around them, by ``i``.
    """

    rows: int
    width: int
    vocabulary: int
    labelled: int | None
    experts: int
    length: str
    late: str
    loop: str
    seed: int

    @property
    def text(self) -> str:
        """The program."""
        body = f"train({self.length})\n{self.late}\noptimizer.step()\noptimizer.zero_grad()"
        lines = textwrap.indent(body, "    ")
        counted = "\n    i += 1" if self.loop == "while" else ""
        head = _HEAD.format(**{name: getattr(self, name) for name in _FIELDS}, steps=STEPS)
        return f"{head}{_LOOPS[self.loop]}\n{lines}{counted}\nprint(json.dumps(seen))\n"


_FIELDS = ("rows", "width", "vocabulary", "labelled", "experts", "seed")
_LOOPS = {
    "range": f"for i in range({STEPS}):",
    "while": f"i = 0\nwhile i < {STEPS}:",
    "enumerate": f"for i, one in enumerate([None] * {STEPS}):",
}
_HEAD = """
import json, random, sys
import torch
from torch import nn

mode = sys.argv[1]
device = "cpu" if mode == "cpu" else "cuda"
given = iter(json.loads(sys.argv[2])) if mode == "given" else None
ROWS, WIDTH, VOCABULARY = ({rows}, 8, 8) if mode == "cpu" else ({rows}, {width}, {vocabulary})
LABELLED, EXPERTS = {labelled}, {experts}
chance, dice = random.Random({seed}), torch.Generator().manual_seed({seed})
if mode == "cpu":
    torch.set_num_threads(1)
lengths = [chance.randint(64, 512) for _ in range({steps})]
seen = []

def rows_of(mask):
    if mode == "given":
        return torch.arange(next(given), device=device)
    found = mask.nonzero()[:, 0]
    seen.append(len(found))
    return found

def where(mask):
    return mask if mode == "plain" else rows_of(mask)

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.route, self.gate = nn.Embedding(64, 8), nn.Linear(8, max(1, EXPERTS))
        self.embedding, self.head = nn.Embedding(VOCABULARY, WIDTH), nn.Linear(WIDTH, VOCABULARY)
        make = lambda: nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))
        self.experts = nn.ModuleList(make() for _ in range(EXPERTS))
    def forward(self, tokens):
        x = self.embedding(tokens % VOCABULARY).flatten(0, 1)
        if EXPERTS:
            choice = self.gate(self.route(tokens % 64)).argmax(-1).flatten()
            out = x.clone()
            for number, expert in enumerate(self.experts):
                rows = rows_of(choice == number)
                out.index_add_(0, rows, expert(x[rows]))
            x = out
        return self.head(x)

model = Model().to(device)
trained = [p for name, p in model.named_parameters() if not name.startswith(("route", "gate"))]
optimizer = torch.optim.AdamW(trained)

def train(length):
    tokens = torch.randint(50000, (ROWS, length), generator=dice)
    labels = tokens.clone().flatten() % VOCABULARY
    tokens, labels = tokens.to(device), labels.to(device)
    logits = model(tokens)
    if LABELLED is not None:
        marks = torch.randint(100, labels.shape, generator=dice) < LABELLED
        labels = torch.where(marks.to(device), labels, -100)
        kept = where(labels != -100)
        logits, labels = logits[kept], labels[kept]
    nn.functional.cross_entropy(logits, labels).backward()

"""
_NOTHING = "pass"
_LATE = (
    "if i % {period} == {offset}:\n    norms = torch.cat([p.grad.flatten() for p in trained]).double()",
    "if i >= {late}:\n    train({more})",
    "if i == {late}: kept = [torch.zeros(1 << 28, device=device) for _ in range(2)]",
    "extra = torch.zeros(1 << 29, device=device) if i % {period} == {offset} else None",
    "if i < {late}:\n    print('warming up', i)\nelse:\n    train({more})",
    "if i % {period} == {offset}: print(i, [each['lr'] for each in optimizer.param_groups])",
    _NOTHING,
    _NOTHING,
)
_LENGTHS = (
    *("{length}", "{length}"),
    *(
        "{length} * 2 ** (i // {period})",
        "{length} + 64 * (i // {period})",
        "{length} if i < {late} else 1024",
    ),
    *("lengths[i]", "lengths[i] if i > {late} else {length}", "min(1024, {length} << (i // {period}))"),
)


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """A program of any of these kinds, or of several at once."""
    numbers = {
        "period": draw(st.integers(20, 50)),
        "offset": draw(st.integers(0, 49)),
        "late": draw(st.integers(1, STEPS - 1)),
        "more": draw(st.sampled_from([512, 768])),
        "length": draw(st.sampled_from([64, 128, 192])),
    }
    return Program(
        rows=draw(st.integers(6, 16)),
        width=draw(st.sampled_from([64, 256, 512])),
        vocabulary=draw(st.sampled_from([32_000, 50_304])),
        labelled=draw(st.sampled_from([None, 5, 40, 90])),
        experts=draw(st.sampled_from([0, 0, 4])),
        length=draw(st.sampled_from(_LENGTHS)).format(**numbers),
        late=draw(st.sampled_from(_LATE)).format(**numbers),
        loop=draw(st.sampled_from(sorted(_LOOPS))),
        seed=draw(st.integers(0, 1 << 30)),
    )
