"""Tasks for the harness's tests, most of them misbehaving. Run in children; no torch here."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from paths import HELPERS

from nanocheck.core.errors import MachineError, RequestError
from nanocheck.core.result import Environment, Outcome, ProcessMemory, Provenance, RunResult
from nanocheck.measuring.task import Task

Emit = Callable[[str, Any], None]


def echo(payload: Any, emit: Emit) -> Any:
    return payload


def surroundings(payload: Any, emit: Emit) -> Any:
    """What the child can see of itself."""
    return {
        "environment": dict(os.environ),
        "directory": str(Path.cwd()),
        "directory_entries": [each.name for each in Path().iterdir()],
        "collects": gc.isenabled(),
        "pid": os.getpid(),
        "group": os.getpgid(0),
        "parent": os.getppid(),
        "descriptors": descriptors(),
        "oom_score_adj": Path("/proc/self/oom_score_adj").read_text().strip(),
        "sigterm_blocked": signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        "modules": sorted(sys.modules),
        "threads": threading.active_count(),
    }


def descriptors() -> dict[str, str]:
    found = {}
    for link in Path("/proc/self/fd").iterdir():
        try:
            found[link.name] = str(link.readlink())
        except FileNotFoundError:  # the one that listed the folder
            continue
    return {name: target for name, target in found.items() if not target.startswith("/proc/")}


def inherited(payload: Any, emit: Emit) -> Any:
    """The descriptors that a program started without any care would get."""
    code = "import process_tasks, json; print(json.dumps(process_tasks.descriptors()))"
    command = [sys.executable, "-c", code]
    return subprocess.run(command, close_fds=False, capture_output=True, text=True, check=True).stdout


def count(payload: Any, emit: Emit) -> Any:
    """Leaves a line in a file each time it runs."""
    with Path(payload["file"]).open("a") as file:
        file.write(f"{payload['name']}\n")
    time.sleep(payload.get("seconds", 0))
    return payload["name"]


def segfault(payload: Any, emit: Emit) -> Any:
    emit("stage", "doomed")
    emit("partial", {"reached": 1})
    print("about to die")
    ctypes.string_at(0)


def abort(payload: Any, emit: Emit) -> Any:
    os.abort()


def leave(payload: Any, emit: Emit) -> Any:
    os._exit(payload)


def call_exit(payload: Any, emit: Emit) -> Any:
    sys.exit(payload)


def kill_self(payload: Any, emit: Emit) -> Any:
    os.kill(os.getpid(), payload)
    time.sleep(60)


def hang(payload: Any, emit: Emit) -> Any:
    emit("stage", "hanging")
    hang_here()


def hang_here() -> None:
    while True:
        time.sleep(60)


def hang_deaf(payload: Any, emit: Emit) -> Any:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    hang(payload, emit)


def stages(payload: Any, emit: Emit) -> Any:
    """Walks through stages: name, seconds."""
    for name, seconds in payload:
        emit("stage", name)
        time.sleep(seconds)
    return "through"


def grandchild(payload: Any, emit: Emit) -> Any:
    """Leaves a sleeping grandchild; with ``escape`` one that left the process group."""
    sleeper = subprocess.Popen(["sleep", "300"], start_new_session=payload.get("escape", False))
    emit("partial", {"pid": os.getpid(), "grandchild": sleeper.pid})
    if payload["then"] == "hang":
        hang(None, emit)
    if payload["then"] == "kill server":
        os.kill(os.getppid(), signal.SIGKILL)
        hang(None, emit)
    return sleeper.pid


def forks(payload: Any, emit: Emit) -> Any:
    """A forked copy of the task comes back too, and must not report in its place."""
    pid = os.fork()
    if pid == 0:
        return "copy"
    os.waitpid(pid, 0)
    return "original"


def print_much(payload: Any, emit: Emit) -> Any:
    block = b"x" * (1 << 20)
    for _ in range(payload):
        os.write(1, block)
    print("the end")
    return "printed"


def print_words(payload: Any, emit: Emit) -> Any:
    print("on stdout")
    print("on stderr", file=sys.stderr)
    subprocess.run(["echo", "from a process"], check=True)
    return sys.stdin.read()


def result_descriptor() -> int:
    """The one pipe beyond the standard streams."""
    (found,) = (int(fd) for fd, name in descriptors().items() if name.startswith("pipe:") and int(fd) > 2)
    return found


def write_results(payload: Any, emit: Emit) -> Any:
    """Garbage on the result descriptor, then perhaps a proper end."""
    os.write(result_descriptor(), payload["text"].encode("latin-1"))
    if payload.get("exit") is not None:
        os._exit(payload["exit"])
    return "proper"


def flood_results(payload: Any, emit: Emit) -> Any:
    block = b"y" * (1 << 20)
    fd = result_descriptor()
    while True:
        os.write(fd, block)


def killed_mid_write(payload: Any, emit: Emit) -> Any:
    emit("partial", "whole")
    os.write(result_descriptor(), b'{"kind": "resu')
    os.kill(os.getpid(), signal.SIGKILL)


def not_json(payload: Any, emit: Emit) -> Any:
    return {"a": object()}


def not_a_number(payload: Any, emit: Emit) -> Any:
    return float("nan")


def raises(payload: Any, emit: Emit) -> Any:
    raise KeyError("what was missing")


def raises_nanocheck(payload: Any, emit: Emit) -> Any:
    raise (MachineError if payload == 3 else RequestError)("too small", hint="buy a larger one")


def out_of_memory(payload: Any, emit: Emit) -> Any:
    raise MemoryError


def closes_everything(payload: Any, emit: Emit) -> Any:
    os.closerange(3, 256)
    return "unheard"


def emits_after_return(payload: Any, emit: Emit) -> Any:
    """A thread that reports for as long as it is let."""

    def report() -> None:
        while True:
            emit("partial", "still here")

    threading.Thread(target=report, daemon=True).start()
    time.sleep(0.05)
    return "returned"


def emits_oddly(payload: Any, emit: Emit) -> Any:
    emit(*payload)


def kill_server_once(payload: Any, emit: Emit) -> Any:
    """The first to come kills the server, and with it all children."""
    try:
        Path(payload).touch(exist_ok=False)
    except FileExistsError:
        return "spared"
    return kill_server(None, emit)


def kill_server(payload: Any, emit: Emit) -> Any:
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)


def stop_server(payload: Any, emit: Emit) -> Any:
    os.kill(os.getppid(), signal.SIGSTOP)
    return "stopped"


def big(payload: Any, emit: Emit) -> Any:
    emit("partial", "p" * payload)
    return "r" * payload


def result(payload: Any, emit: Emit) -> Any:
    """Stands for ``nanocheck.measuring.step_worker:run``; the seed says how to misbehave."""
    task = msgspec.convert(payload, Task)
    seed, batch = task.config.seed, task.config.batch
    seen = {"provenance": "virtual", "environment": {"torch": "1.2.3"}}
    if seed == 1:
        peak = {"phase": "build", "step": 0, "allocated_bytes": 1, "reserved_bytes": 2, "requested_bytes": 1}
        emit("partial", {**seen, "peaks": [peak]})
        emit("partial", {**seen, "peaks": [peak, {**peak, "phase": "forward", "allocated_bytes": 7}]})
        print("last words")
        os.abort()
    if seed == 2:
        raise MachineError("no such GPU here", hint="buy one")
    if seed == 3:
        hang(None, emit)
    if seed == 4:
        return {"schema": 999}
    if seed == 5:
        emit("partial", {**seen, "peaks": [{"phase": "build"}]})
        raise ValueError("odd")
    with Path(os.environ["COUNT_FILE"]).open("a") as file:
        file.write(f"{batch}\n")
    alloc = [os.environ.get(name, "") for name in ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")]
    found = RunResult(
        config=task.config,
        provenance=Provenance.VIRTUAL,
        device=task.device,
        environment=Environment(python=os.environ.get("PYTHONHASHSEED")),
        outcome=Outcome.OOM if batch > 100 else Outcome.COMPLETED,
        processes=(ProcessMemory(allocator_settings=",".join(alloc)),),
        micro_batches=1,
        seconds={"step": 1.0},
    )
    return msgspec.to_builtins(found)


def interrupt(payload: Any, emit: Emit) -> Any:
    """Sends a signal to the process that owns the pool, as Ctrl-C or a murderer would."""
    emit("partial", {"pid": os.getpid()})
    os.kill(payload["pid"], payload["signal"])
    hang(None, emit)


# -- for the tests' own side ------------------------------------------------------------------------


def open_pool(**options: Any) -> Any:
    """A pool whose children find this module."""
    from nanocheck.process.pool import Pool

    here = str(HELPERS)
    options["launch_environment"] = {"PYTHONPATH": here, **options.get("launch_environment", {})}
    return Pool(**options)


def wait_until_gone(pid: int) -> bool:
    """True once no such process runs (a zombie runs no more)."""
    for _ in range(1000):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state in "ZX":
            return True
        time.sleep(0.01)
    return False
