"""A Python with torch imported that forks for each script of ``forked_runs``, which starts it.

In the fork the script finds what it would find in a Python of its own: the environment, its own folder first
on the path, the observer started by the very ``sitecustomize`` that ``nanocheck run`` puts in its way, and no
frame below its own but one that counts as the standard library's. What was done before is ``import torch``
and what every optimizer imports.
"""

from __future__ import annotations

import json
import os
import runpy
import socket
import sys
import types
from typing import Any

import torch._dynamo  # noqa: F401 - as the first optimizer of a process does, see torch/_compile.py


def serve(sock: socket.socket) -> dict[str, Any]:
    """Returns in a child alone, with what it was asked to run."""
    while True:
        data, streams, _, _ = socket.recv_fds(sock, 1 << 20, 2)
        if not data:
            os._exit(0)
        pid = os.fork()
        if pid == 0:
            sock.close()
            for number, stream in enumerate(streams, 1):
                os.dup2(stream, number)
                os.close(stream)
            asked: dict[str, Any] = json.loads(data)
            return asked
        for stream in streams:
            os.close(stream)
        sock.send(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())


def become(asked: dict[str, Any]) -> types.CodeType:
    """This process is that of a script now; its code is still to run."""
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    script = asked["arguments"][0]
    sys.argv = list(asked["arguments"])
    sys.orig_argv = [sys.executable, *sys.argv]
    sys.path[0] = os.path.dirname(script)  # noqa: PTH120 - as Python does
    for name in [each for each in sys.modules if each.partition(".")[0] == "nanocheck"]:
        del sys.modules[name]
    waiting = len(sys.meta_path)
    runpy.run_path(asked["site"])
    if len(sys.meta_path) > waiting:
        # The observer waits for the script to import torch: this is when it does.
        then = sys.meta_path[0]._waiting.pop("torch")  # type: ignore[attr-defined]
        then()
    main = types.ModuleType("__main__")
    main.__dict__.update(__file__=script, __builtins__=__builtins__)
    sys.modules["__main__"] = main
    with open(script, encoding="utf-8") as file:  # noqa: PTH123
        return compile(file.read(), script, "exec", dont_inherit=True)


def run(code: types.CodeType) -> None:
    """To its end; an error is told as Python tells it."""
    try:
        exec(code, vars(sys.modules["__main__"]))
    except SystemExit:
        raise
    except BaseException as error:
        error.with_traceback(error.__traceback__ and error.__traceback__.tb_next)
        sys.excepthook(type(error), error, error.__traceback__)
        sys.exit(1)


# Frames of a file by this name are the standard library's, as those of ``python -c`` are, which calls this.
run.__code__ = run.__code__.replace(co_filename="<frozen runpy>")
