"""Scripts that are run in forks of one Python with torch imported, not each in a Python of its own.

``import torch`` and the first optimizer take 3.5 s of a core and a small script's own steps a tenth of one;
hundreds of tests are about what an observed script does, and not about how its Python starts. Those that are
run programs of ``tests/clients``, or the verb.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from paths import HELPERS

import nanocheck

_SITE = Path(nanocheck.__file__).parent / "observe" / "site" / "sitecustomize.py"
#: How variables begin that are read late enough: when CUDA is initialised, or by the observer.
_LATE = ("NANOCHECK_", "PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF", "PYTEST_")
#: No file's frame lies below the script's own.
_START = """
import socket, sys
sys.path.insert(0, sys.argv[1])
from forking_python import become, run, serve
del sys.path[0]
run(become(serve(socket.socket(fileno=int(sys.argv[2])))))
"""


class _Forking:
    """The Python, and the environment that it was started in."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = dict(environment)
        self._socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        start = {name: text for name, text in environment.items() if not name.startswith("NANOCHECK_RUN")}
        with other:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _START, str(HELPERS), str(other.fileno())],
                # All is imported here, once: nothing is left to be quick about.
                env={**start, "NANOCHECK_CARD": "pending", "NANOCHECK_TESTS_QUICK": ""},
                pass_fds=[other.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        atexit.register(self.close)

    def close(self) -> None:
        """It leaves when nobody can ask any more."""
        self._socket.close()
        self._process.wait()

    def run(
        self, arguments: Sequence[str], environment: Mapping[str, str], folder: Path, timeout: float
    ) -> subprocess.CompletedProcess[str]:
        asked = {
            "arguments": list(arguments),
            "environment": dict(environment),
            "folder": str(folder),
            "site": str(_SITE),
        }
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as error:
            streams = [out.fileno(), error.fileno()]
            socket.send_fds(self._socket, [json.dumps(asked).encode()], streams)
            self._socket.settimeout(timeout)
            try:
                status = int(self._socket.recv(64))
            except (TimeoutError, ValueError):
                _python.cache_clear()
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                raise
            out.seek(0)
            error.seek(0)
            return subprocess.CompletedProcess(arguments, status, out.read(), error.read())


@functools.cache
def _python(start: tuple[tuple[str, str], ...]) -> _Forking:
    return _Forking(dict(start))


def can_fork(arguments: Sequence[str | Path], changes: Mapping[str, str]) -> bool:
    """Whether a script finds in a fork what it would find in a Python of its own.

    Not where something is compiled: the compiler must be imported after the observer is there.

    Args:
        arguments: the script, and what it is given.
        changes: of the environment.
    """
    files = [Path(each) for each in arguments if str(each).endswith(".py")]
    compiles = any("compile" in each.read_text() for each in files if each.exists())
    return not compiles and all(each.startswith(_LATE) for each in changes)


def run_forked(
    arguments: Sequence[str], environment: Mapping[str, str], folder: Path, timeout: float
) -> subprocess.CompletedProcess[str]:
    """As ``subprocess.run([sys.executable, *arguments], ...)`` with both streams kept as text."""
    early = {name: text for name, text in environment.items() if not name.startswith(_LATE)}
    for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"):  # one for each card; nothing is compiled
        early.pop(name, None)
    return _python(tuple(sorted(early.items()))).run(arguments, environment, folder, timeout)
