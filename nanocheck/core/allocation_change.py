"""What one place of a program holds on both sides of a comparison, and how much growth is let through."""

from __future__ import annotations

import re

import msgspec

from nanocheck.core.diff_side import without_folders
from nanocheck.core.errors import RequestError
from nanocheck.core.stack_matching import Match, Pair
from nanocheck.core.stacks import CodeFrame, StackHolding
from nanocheck.core.units import parse_size_of


class Value(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the parts of a comparison: immutable, strict when read."""


class Allowance(Value, frozen=True, kw_only=True):
    """How much more is not called growth: bytes, or a share of what was there, whichever is more."""

    bytes: int = 0
    share: float = 0.0

    @classmethod
    def of(cls, option: str, text: str) -> Allowance:
        """What is meant by ``64MiB``, or by ``2%``, of what was there before.

        Raises:
            RequestError: it is neither; ``option`` is named in it.
        """
        share = text.strip().removesuffix("%")
        if share == text.strip():
            return cls(bytes=parse_size_of(option, text))
        if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", share) or float(share) > 1000:
            raise RequestError(
                f"{option}: expected a size or a share, found {text!r:.80}",
                hint="write it as 64MiB or as 2%",
            )
        return cls(share=float(share) / 100)

    def grew(self, before: int, after: int) -> bool:
        """Whether it is more by more than is allowed."""
        return after - before > max(self.bytes, self.share * before)


class AllocationChange(Value, frozen=True, kw_only=True):
    """What one stack of the program holds at the peak, on both sides.

    Attributes:
        group: activations, logits and loss, ...; on the newest side that has it.
        where: ``path/file.py:LINE``, line: its text; ``frames``: the calls of the script's own, the
            innermost first, which is ``where``. All of the newest side that has it.
        where_before, line_before: where they are other ones.
        before_bytes, after_bytes: alive at the peak, as are the counts.
        most_before_bytes, most_after_bytes: the most that the stack held at any moment of the run.
        match: how the two sides were found to be one; ``new`` and ``gone``: only one has it.
        shape, dtype: of each tensor, where known.
    """

    group: str
    where: str | None = None
    line: str | None = None
    frames: tuple[CodeFrame, ...] = ()
    where_before: str | None = None
    line_before: str | None = None
    match: Match
    before_bytes: int
    after_bytes: int
    most_before_bytes: int
    most_after_bytes: int
    before_count: int
    after_count: int
    shape: tuple[int, ...] | None = None
    dtype: str | None = None

    @property
    def change_bytes(self) -> int:
        """How much more it is at the peak now."""
        return self.after_bytes - self.before_bytes

    @property
    def most_change_bytes(self) -> int:
        """How much more it is at the most now."""
        return self.most_after_bytes - self.most_before_bytes

    @property
    def is_edited(self) -> bool:
        """Whether the line itself is another one, or new."""
        return self.match in (Match.ONLY_AFTER, Match.FUNCTION)

    @classmethod
    def of(cls, pair: Pair) -> AllocationChange:
        """What changed of one place."""
        now = pair.after or pair.before
        assert now is not None  # a pair has at least one side
        frames = _frames(now)
        here, then = frames[:1], _frames(pair.before)[:1] if pair.before and pair.after else frames[:1]
        same_place = [each.where for each in here] == [each.where for each in then]
        same_line = [each.line for each in here] == [each.line for each in then]
        return cls(
            group=now.group,
            where=here[0].where if here else None,
            line=here[0].line if here else None,
            frames=frames,
            where_before=then[0].where if then and not same_place else None,
            line_before=then[0].line if then and not same_line else None,
            match=pair.by,
            before_bytes=pair.before.bytes if pair.before else 0,
            after_bytes=pair.after.bytes if pair.after else 0,
            most_before_bytes=pair.before.most_bytes if pair.before else 0,
            most_after_bytes=pair.after.most_bytes if pair.after else 0,
            before_count=pair.before.count if pair.before else 0,
            after_count=pair.after.count if pair.after else 0,
            shape=now.shape,
            dtype=now.dtype,
        )


def _frames(one: StackHolding) -> tuple[CodeFrame, ...]:
    return tuple(msgspec.structs.replace(each, where=without_folders(each.where)) for each in one.frames)
