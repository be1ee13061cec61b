"""Whether processes that may yet need the card are at work, when another one has its answer.

An observed process leaves files in the command's folder: ``torch-<pid>`` once it has imported torch, a
journal once it uses the card, ``answered-<pid>`` when its peak is known.
"""

from __future__ import annotations

import time
from pathlib import Path

from nanocheck.process import linux_process, process_tree

#: A process that neither wrote to its journal nor used a tenth of a core for so long is waiting for something
#: that may never come, such as a server for its clients.
IDLE_S = 10.0
_SHARE = 0.1


class Activity:
    """Looks at the descendants of this process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._since = 0.0
        self._cpu: dict[int, float] = {}
        self._journals: dict[int, int] = {}

    def others_work(self) -> bool:
        """Whether a process that has no answer yet was at work in the last ``IDLE_S`` seconds; True until so
        long was looked.
        """
        unanswered = [
            each.pid
            for each in process_tree.descendants()
            if (self._folder / f"torch-{each.pid}").exists()
            and not (self._folder / f"answered-{each.pid}").exists()
        ]
        now = time.monotonic()
        if not unanswered:
            return False
        if not self._since:
            self._look(unanswered, now)
        if now - self._since < IDLE_S:
            return True
        cpu, journals, passed = self._cpu, self._journals, now - self._since
        self._look(unanswered, now)
        return any(
            pid not in cpu
            or self._cpu[pid] - cpu[pid] > _SHARE * passed
            or self._journals[pid] != journals[pid]
            for pid in unanswered
        )

    def _look(self, pids: list[int], now: float) -> None:
        self._since = now
        self._cpu = {pid: linux_process.cpu_seconds(pid) for pid in pids}
        self._journals = {
            pid: sum(each.stat().st_size for each in self._folder.glob(f"{pid}-*.jsonl")) for pid in pids
        }
