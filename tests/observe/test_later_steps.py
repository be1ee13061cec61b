"""What a loop does in later iterations only is found from its text; the truth is the loop run to its end."""

from __future__ import annotations

import ast
import linecache
import sys
import sysconfig
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from observing import observe

from nanocheck.core.open_questions import open_questions
from nanocheck.core.verdict import Kind
from nanocheck.observe.later.compiler import Compiler, Running
from nanocheck.observe.later.evidence import Finding, LaterSteps, moving_names
from nanocheck.observe.later.loops import Names, counter_of
from nanocheck.observe.later.operations import Sink

_numbers = count()


class StoppedError(Exception):
    pass


@dataclass
class Script:
    """Calls of a script whose loop stops after so many optimizer steps; none: it runs to its end.

    Attributes:
        sizes: of each call of ``work``, its number. acted: in which of those ``big`` ran, before or after.
    """

    stops_after: int | None = None
    steps: int = 0
    sizes: list[int] = field(default_factory=list)
    acted: list[int] = field(default_factory=list)
    found: list[Finding] = field(default_factory=list)
    later: LaterSteps = field(
        default_factory=lambda: LaterSteps((sysconfig.get_path("stdlib"), str(Path(__file__).parent)))
    )

    def work(self, size: int = 0, *_: Any, shape: tuple[int, int] = (0, 0)) -> None:
        """A forward and a backward, where an observer stops it."""
        if self.steps == self.stops_after:
            self.found = self.later.findings()
            raise StoppedError
        self.sizes.append(size or shape[1])

    def step(self) -> None:
        self.steps += 1
        self.later.optimizer_stepped()

    def big(self) -> None:
        self.acted.append(len(self.sizes) - 1)


class _Thing:
    """Something of which nobody can say what it does."""

    def __init__(self, does: Callable[..., None]) -> None:
        self._does = does

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        self._does(*args, **kwargs)


def run(text: str, stops_after: int | None = 3, **more: Any) -> Script:
    """A module of this text with ``work(size)``, ``step()`` and ``big()``."""
    file = f"/made-up/script-{next(_numbers)}.py"
    text = textwrap.dedent(text)
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    script = Script(stops_after)
    things = {name: _Thing(getattr(script, name)) for name in ("work", "step", "big")}
    try:
        exec(compile(text, file, "exec"), {"__name__": "made_up", **things, **more})
    except StoppedError:
        assert stops_after is not None
    return script


#: Loops of 60 iterations with a counter, a place for what is done in each, and a step.
LOOPS = {
    "range": "for i in range(60):\n    {body}\n",
    "range of variables": "first, last = 0, 60\nfor i in range(first, last, 1):\n    {body}\n",
    "enumerate": "data = [None] * 60\nfor i, one in enumerate(data):\n    {body}\n",
    "progress bar": "bar = lambda over, **kw: over\nfor i in bar(range(60), total=60):\n    {body}\n",
    "zip": "for i, one in zip(range(60), [0] * 60):\n    {body}\n",
    "while": "i = 0\nwhile i < 60:\n    {body}\n    i += 1\n",
    "while true": "i = 0\nlast = 60\nwhile True:\n    {body}\n    i += 1\n    if i >= last: break\n",
    "counted first": "i = -1\nwhile i < 59:\n    i += 1\n    {body}\n",
    "data": "i = 0\nfor one in iter([0] * 60):\n    {body}\n    i += 1\n",
    "function": "def train():\n    for i in range(60):\n        {body}\ntrain()\n",
    "called": "def one(i):\n    {body}\nfor n in range(60):\n    one(n)\n",
    "by keyword": "def one(x, i=0):\n    {body}\nfor n in range(60):\n    one(None, i=n)\n",
    "method": """
class Trainer:
    def one(self):
        i = self.done
        {body}
    def train(self):
        self.done = 0
        while self.done < 60:
            self.one()
            self.done += 1
Trainer().train()
""",
}
small, period = st.integers(1, 60), st.integers(1, 20)
tests = st.one_of(
    st.builds("i % {} == {}".format, period, st.integers(0, 19)),
    st.builds("not (i + 1) % {}".format, period),
    st.builds("i > {}".format, small),
    st.builds("{} <= i < {}".format, small, small),
    st.builds("i >= {} and i % {} == 0".format, small, period),
    st.builds("i == {} or i / {} > 1.5".format, small, small),
    st.builds("i // {} in (2, 3)".format, period),
    st.just("False"),
)
lengths = st.one_of(
    st.builds("{} * 2 ** (i // {})".format, small, st.integers(4, 60)),
    st.builds("{} + {} * (i // {})".format, small, st.integers(-3, 9), period),
    st.builds("{} if i < {} else {}".format, small, small, small),
    st.builds("min({}, 1 + i // {})".format, small, period),
    st.builds("{} << min(i // {}, 3)".format, small, period),
    st.builds("[8, 16, 32, 24][min(3, i // {})]".format, period),
    st.just("64"),
)
BODIES = (
    "work({length}){pad}if {test}:{pad}    big(){pad}step()",
    "n = {length}{pad}work(n){pad}step(){pad}if {test}: big()",
    "work({length}){pad}step(){pad}if not ({test}): pass{pad}else:{pad}    big()",
    "work({length}){pad}if (i + 1) % 2 == 0:{pad}    step(){pad}if {test}: big()",
    "n = {length}{pad}work(shape=(8, n)){pad}if {test}: big(){pad}step()",
    "n = 8{pad}if i % 3 < 2: n = {length}{pad}work(n){pad}if {test}: big(){pad}step()",
    "work({length}){pad}when = {test}{pad}x = big() if when else None{pad}step()",
)


@settings(max_examples=80, phases=[Phase.generate], report_multiple_bugs=False)
@given(
    loop=st.sampled_from(sorted(LOOPS)),
    body=st.sampled_from(BODIES),
    test=tests,
    length=lengths,
    stops=st.integers(2, 12),
)
def test_evidence_is_given_if_and_only_if_a_later_iteration_does_more(
    loop: str, body: str, test: str, length: str, stops: int
) -> None:
    line = next(each for each in LOOPS[loop].split("\n") if "{body}" in each)
    pad = "\n" + " " * (len(line) - len(line.lstrip()))
    text = LOOPS[loop].format(body=body.format(length=length, test=test, pad=pad))
    stopped, whole = run(text, stops), run(text, None)
    seen = len(stopped.sizes)
    assert len(whole.sizes) == 60 > seen

    # The loop over data may go on for ever, as far as its text says.
    endless = loop == "data"
    for each in stopped.found:
        assert each.at < 60 or endless
    stopped.found = [each for each in stopped.found if each.at < 60]

    acted = set(whole.acted)
    first = min(acted, default=0)
    branches = [each for each in stopped.found if not each.text]
    if acted and first >= seen:
        (branch,) = branches
        assert branch.at == first
        assert "big()" in linecache.getline(branch.file, branch.line)
    else:
        assert not branches

    sizes = [each for each in stopped.found if each.text]
    now, later = max(whole.sizes[:seen]), whole.sizes[seen:]
    if max(later) > now and now > 0:
        (size,) = sizes
        at = next(n for n, value in enumerate(later) if value > now)
        assert (size.now, size.value, size.at) == (now, later[at], seen + at)
        most = (0, None) if endless else (max(later), seen + later.index(max(later)))
        assert (size.most, size.most_at) == most
        assert size.constant == (len(set(whole.sizes[:seen])) == 1)
    else:
        assert not sizes

    # With the steps that it asks for, nothing is left to come.
    needed = max((each.entry()["steps"] for each in stopped.found), default=0)
    if 0 < needed < 30 and not endless:
        assert not run(text, needed).found


#: What scripts do now and then that no step needs memory for.
HARMLESS = {
    "printing": "if i % 10 == 9: print(f'step {i + 1}: {i * 2}')",
    "learning rate": "lr = 1e-3 * min(1.0, (i + 1) / 20) if i < 40 else 1e-4; groups[0]['lr'] = lr",
    "stepwise rate": "if i == 30:\n        for g in groups: g['lr'] = g['lr'] * 0.1",
    "scheduler": "if i % 10 == 9: scheduler.step()",
    "timing": "if i == 10:\n        began = time.perf_counter()\n        torch_cuda = None",
    "losses": "if i % 10 == 9: losses.append(float(i)); best = min(best, i)",
    "a library's logger": "if i % 10 == 9: wandb.scalar(i); torch.cuda.synchronize()",
    "own logger": "if i % 10 == 9: report(i, 2.0)",
    "file": "if i == 40:\n        with open('/dev/null', 'w') as f: f.write(str(i))",
    "seeds and shards": "seed = 7 + i\n    work(4, data[(i * 4) % 100:(i * 4) % 100 + 4])",
    "in one go": "if i % 2 == 0: big()",
    "already": "if i < 2: big()",
    "never": "if debug and i > 5: big()",
    "beyond the end": "if i > 60: big()",
}


@pytest.mark.parametrize("name", HARMLESS)
def test_nothing_is_said_of_what_takes_no_memory(name: str) -> None:
    text = f"""
import time
groups, losses, best, debug, data = [dict(lr=1.0)], [], 9, False, [0] * 200
from types import SimpleNamespace
wandb = SimpleNamespace(scalar=big)
torch = SimpleNamespace(cuda=SimpleNamespace(synchronize=big))
class Schedule:
    def step(self): pass
scheduler = Schedule()
def line(values): return ' '.join(map(str, values))
def report(step, loss): print(line([step, round(loss, 2)]))
for i in range(60):
    work(8)
    {HARMLESS[name]}
    step()
"""
    found = run(text, 4).found
    assert [each for each in found if each.constant or not each.text] == []


def test_nested_loops_count_by_their_own_counters() -> None:
    text = """
total = 0
for epoch in range(6):
    if epoch == 0:
        big()
    if epoch == 4:
        big()
    for i in range(5):
        work(8)
        if i == 4: big()
        if total == 17: big()
        step()
        total += 1
"""
    lines = text.splitlines()
    found = {lines[each.line - 1].strip(): each for each in run(text, 7).found}
    # The fifth batch was seen in the first epoch; the other two were not.
    assert {each.at for each in found.values()} == {4, 17}
    assert "if total == 17: big()" in found
    early = {lines[each.line - 1].strip() for each in run(text, 3).found}
    assert early == {"big()", "if i == 4: big()", "if total == 17: big()"}


def test_evaluation_and_saving_are_known_through_functions() -> None:
    """They are told by another sentence; whoever reads the finding must know that it is about them."""
    text = """
def check(model): model.eval()
def every(i):
    check(thing)
    save_all()
save_all = thing = work
for i in range(60):
    work(8)
    if i == 30: every(i)
    if i == 40: big()
    step()
"""
    assert [(each.at, each.phases) for each in run(text).found] == [(30, {"eval", "save"}), (40, set())]


@pytest.mark.parametrize("flag", ["flags.on", "len(losses) > 2", "losses[-1] < 3", "model"])
def test_a_condition_that_nobody_knows_may_hold(flag: str) -> None:
    """With a counter beside it, it comes later; by itself it may have been seen."""
    text = "class flags:\n    on = True\nlosses, model = [1, 2, 3], object()\n"
    loop = "for i in range(60):\n    work(8)\n    if {test}: big()\n    step(); losses.append(i)\n"
    assert [each.at for each in run(text + loop.format(test=f"i >= 20 and {flag}")).found] == [20]
    assert run(text + loop.format(test=flag)).found == []


#: Sizes and lines that hang on the step's number, in a real training.
LATE = """
    import torch
    from torch import nn
    model = nn.Sequential(nn.Embedding(1000, 64), nn.Linear(64, 1000)).cuda()
    optimizer = torch.optim.AdamW(model.parameters())
    def train(step, length):
        tokens = torch.randint(1000, (4, length)).cuda()
        nn.functional.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten()).backward()
        if step % 10 == 9:
            norms = torch.cat([each.grad.flatten() for each in model.parameters()]).norm()
        optimizer.step()
        optimizer.zero_grad()
        if step % 100 == 0: print("step", step)
    for step in range(1000):
        train(step, 64 * 2 ** min(3, step // 5))
"""


def test_a_curriculum_and_a_measurement_now_and_then_are_partial_until_they_were_seen(tmp_path: Path) -> None:
    judged = []
    for steps in (3, 16):
        (tmp_path / str(steps)).mkdir()
        seen = observe(LATE, tmp_path / str(steps), steps=steps)
        assert seen.ending.exit_code == 0, seen.stderr
        judged.append(seen.judged())
    early, settled = judged
    assert early.verdict.kind is Kind.PARTIAL
    (length, norms) = early.result.processes[0].coverage.later
    assert (length.now, length.value, length.most, length.iteration, length.steps) == (64, 128, 512, 6, 16)
    assert (norms.text, norms.iteration, norms.steps) == ("", 10, 10)
    (question,) = open_questions(early.result)
    assert "--steps 16" in question
    # Lengths differ among what was seen now, which is said by another sentence.
    assert settled.result.processes[0].coverage.later == ()
    assert settled.result.processes[0].coverage.steps >= 16
    assert settled.result.processes[0].allocated_bytes > early.result.processes[0].allocated_bytes


def test_any_loop_of_any_program_can_be_read() -> None:
    """Of the standard library's; what nobody understands is unknown, and nothing of it is called."""
    library = Path(sysconfig.get_path("stdlib"))
    files = [
        each for folder in (".", "email", "asyncio", "unittest") for each in library.glob(f"{folder}/*.py")
    ]
    names, loops = Names(sys._getframe()), 0
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8", errors="replace"))):
            if not isinstance(node, (ast.For, ast.While)):
                continue
            loops += 1
            moving = moving_names(node)
            counter = counter_of(node, names)
            running = [Running(str(file), node.body[0].lineno, names, None)]
            body = Compiler(moving, {counter.name} if counter else set(), node.body, running).block(node.body)
            state: dict[str, Any] = dict.fromkeys(moving, 3)
            for _ in range(3):
                body.run(state, Sink())
    assert loops > 1000
