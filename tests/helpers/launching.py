"""Start ``run_driver.py`` on a little script, and look for whatever it leaves behind."""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import termios
import textwrap
import time
import uuid
from pathlib import Path
from typing import Any

from paths import HELPERS

DRIVER = HELPERS / "run_driver.py"
_TAG = "NANOCHECK_TEST_TAG"
_PATIENCE = 60.0


class Launched:
    """A command under ``launch``; without a terminal unless ``terminal``.

    Args:
        scratch: with a folder of its own in the temporary folder, as ``nanocheck run`` makes one.
        bare: a command of ours that starts the others itself, without ``launch``.
    """

    def __init__(
        self,
        folder: Path,
        script: str,
        *,
        limit: float = 0,
        grace: float = 20,
        terminal: bool = False,
        command: tuple[str, ...] = (),
        scratch: bool = False,
        bare: tuple[str, ...] = (),
        **streams: Any,
    ) -> None:
        self.folder = folder
        self.tag = uuid.uuid4().hex
        self.script = folder / "script.py"
        self.script.write_text(textwrap.dedent(script))
        arguments = command or (sys.executable, "-u", str(self.script))
        own: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE}
        self.master = -1
        if terminal:
            self.master, slave = os.openpty()
            own = {"stdin": slave, "stdout": slave, "stderr": slave}
            own["preexec_fn"] = lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        self.process = subprocess.Popen(
            bare or [sys.executable, str(DRIVER), str(folder), str(limit), str(grace), *arguments],
            env={**os.environ, _TAG: self.tag, "NANOCHECK_TEST_SCRATCH": "1" if scratch else ""},
            cwd=folder,
            start_new_session=True,
            **{**own, **streams},
        )
        if terminal:
            os.close(slave)

    def end(self) -> dict[str, Any]:
        """Wait for it; how it ended, with the driver's own exit code. Nothing of it may be left."""
        try:
            code = self.process.wait(_PATIENCE)
        finally:
            self.process.kill()
            left = self.alive()
            for pid in left:
                os.kill(pid, signal.SIGKILL)
        assert left == []
        found: dict[str, Any] = json.loads((self.folder / "ended.json").read_text())
        assert found["exit_code"] == code
        return found

    def alive(self) -> list[int]:
        """Living processes that carry this run's variable, zombies excluded."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    tagged = f"{_TAG}={self.tag}".encode() in (entry / "environ").read_bytes()
                except OSError:
                    continue
                if tagged:
                    found.append(int(entry.name))
        return found

    def wait_for(self, name: str) -> str:
        """The text of a file in the folder, once it is there and not empty."""
        deadline = time.monotonic() + _PATIENCE
        path = self.folder / name
        while time.monotonic() < deadline:
            if path.exists() and (text := path.read_text()):
                return text
            time.sleep(0.02)
        raise AssertionError(f"{name} never came")

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def shown(self, until: str) -> str:
        """What the terminal showed, up to some text."""
        seen = b""
        deadline = time.monotonic() + _PATIENCE
        while until.encode() not in seen and time.monotonic() < deadline:
            if select.select([self.master], [], [], 0.1)[0]:
                try:
                    seen += os.read(self.master, 4096)
                except OSError:
                    break
        assert until.encode() in seen, seen.decode(errors="replace")
        return seen.decode(errors="replace")
