"""The end of a stream, however long the stream."""

from __future__ import annotations


class Tail:
    """Counts what goes by and keeps the last ``limit_bytes`` of it."""

    def __init__(self, limit_bytes: int = 16 << 10) -> None:
        self.total_bytes = 0
        self._limit_bytes = limit_bytes
        self._kept = bytearray()

    def add(self, chunk: bytes) -> None:
        self.total_bytes += len(chunk)
        self._kept += chunk
        if len(self._kept) > self._limit_bytes:
            del self._kept[: -self._limit_bytes]

    @property
    def text(self) -> str:
        return self._kept.decode("utf-8", "replace")
