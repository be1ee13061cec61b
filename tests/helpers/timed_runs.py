"""Runs that recorded a step: one product, and a host that issues it."""

from __future__ import annotations

import msgspec
from made_up import result

from nanocheck.core.gpus import find_gpu
from nanocheck.core.host_time import HostTime
from nanocheck.core.kernels import Kernel, KernelKind, KernelList, Part, Product
from nanocheck.core.result import RunResult
from nanocheck.core.step_time import StepTime
from nanocheck.core.verdict import JudgedRun
from nanocheck.report.run_file import RunFile
from nanocheck.timing.of_run import step_time

GPU = find_gpu("rtx4070")


def timed(
    host_s: float | None,
    *,
    provenance: str = "virtual",
    kernels: bool = True,
    tokens: int | None = None,
    no_tokens: str | None = None,
) -> RunResult:
    """A run that recorded one product of two thousandths of a second at the data sheet's peak."""
    operations = 0.002 * GPU.bf16_tflops * 1e12
    kernel = Kernel(
        kind=KernelKind.PRODUCT,
        name="mm",
        phase="forward",
        dtype="bfloat16",
        operations=operations,
        product=Product(m=8192, n=8192, k=round(operations / 2 / 8192**2)),
    )
    recorded = KernelList(
        parts=(Part(name="first", kernels=(kernel,)),),
        torch="2.14.1",
        capability=(8, 9),
        tokens=tokens,
        no_tokens=no_tokens,
    )
    run = result(provenance=provenance)
    process = msgspec.structs.replace(
        run.main,
        kernels=recorded if kernels else None,
        host_time=None if host_s is None else HostTime(seconds=(host_s,) * 3, waits=(1, 1, 1)),
    )
    return msgspec.structs.replace(run, processes=(process,))


def timed_file(run: JudgedRun) -> tuple[RunFile, StepTime]:
    """What ``--time`` writes of a run that recorded this step."""
    main = timed(0.0005).main
    processes = (
        msgspec.structs.replace(run.result.main, kernels=main.kernels, host_time=main.host_time),
        *run.result.processes[1:],
    )
    ran = msgspec.structs.replace(run.result, processes=processes)
    found = step_time(ran, GPU)
    assert found is not None
    judged = JudgedRun(result=ran, margin_bytes=run.margin_bytes, verdict=run.verdict)
    return RunFile.with_suggestions(judged, step_time=found), found
