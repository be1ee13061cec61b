"""A crew of stations that only pretend, for the tests of who gets what: each exchange ends as it is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec
from made_up import result

from nanocheck.core.errors import MachineError
from nanocheck.core.result import RunResult
from nanocheck.fleet.messages import Ending, Item, Kind, Lost, Report, Setup

#: What a station does with what it has: ``None``: it is lost; -1: it still works; else so many answers, the
#: first first.
Choose = Callable[["FakePost"], int | None]


@dataclass(eq=False)
class FakePost:
    name: str
    kind: Kind
    workers: int
    has: list[Item] = field(default_factory=list)


def answer(item: Item) -> RunResult:
    """What every station finds, and a single machine would."""
    return result(item.config, device=item.target.device)


class FakeCrew:
    """``kinds``: workers of each station, by kind; a lost one is replaced ``spare`` times."""

    def __init__(self, kinds: dict[Kind, Sequence[int]], choose: Choose, spare: int = 1000) -> None:
        self.kinds, self.choose, self.spare = kinds, choose, spare
        self.posts: list[FakePost] = []
        self.asked: list[FakePost] = []
        self.begun: Counter[str] = Counter()
        self.closed = 0
        self.most_at_once = 0

    def offers(self, kind: Kind) -> None:
        if kind not in self.kinds:
            raise MachineError(f"nobody has {kind}")

    def engage(self, kind: Kind, setup: Setup) -> None:
        self.offers(kind)
        for workers in self.kinds[kind]:
            self._join(kind, workers)

    def _join(self, kind: Kind, workers: int) -> None:
        self.posts.append(FakePost(f"{kind.gpu or kind.kind} {len(self.posts)}", kind, workers))

    def complaint(self, kind: Kind) -> str | None:
        return None if any(post.kind == kind for post in self.posts) else "all are gone"

    def ready(self) -> list[FakePost]:
        return list(self.posts)

    def begin(self, post: FakePost, items: Sequence[Item], patience: float) -> None:
        assert post in self.posts
        assert post not in self.asked
        post.has += items
        assert len(post.has) <= 2 * post.workers
        for item in items:
            assert Kind.of(item.target) == post.kind
            self.begun[item.key] += 1
        self.asked.append(post)

    def ended(self, timeout: float | None) -> list[tuple[FakePost, Ending]]:
        found: list[tuple[FakePost, Ending]] = []
        working = []
        for post in self.asked:
            number = self.choose(post)
            if number == -1:
                working.append(post)
                continue
            if number is None:
                found.append((post, Lost("it is gone")))
                continue
            done, post.has = post.has[:number], post.has[number:]
            answers = tuple((item.key, msgspec.json.encode(answer(item))) for item in done)
            found.append((post, Report(answers, tuple((item.config.id, "step") for item in post.has))))
        self.asked = working
        return found

    def dismiss(self, post: FakePost) -> None:
        self.posts.remove(post)
        if self.spare:
            self.spare -= 1
            self._join(post.kind, post.workers)

    def close(self) -> None:
        self.closed += 1
