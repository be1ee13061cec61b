"""Requests for several devices: what runs where, in which order, and that nothing runs twice."""

from __future__ import annotations

from typing import Any

import pytest
from made_up import result

from nanocheck.core.config import StepConfig
from nanocheck.core.device import Target
from nanocheck.core.device_selection import SelectedDevice
from nanocheck.core.errors import RequestError
from nanocheck.core.gpus import Gpu, find_gpu
from nanocheck.core.result import RunResult
from nanocheck.core.run_request import RunRequest
from nanocheck.core.units import GIB
from nanocheck.measuring import several_devices
from nanocheck.measuring.several_devices import ClaimRunner

HOME = Target(kind="virtual", gpu=find_gpu("rtx4070"))
CONFIG = StepConfig(batch=4)
HERE = RunRequest(config=CONFIG)


class Pending:
    def __init__(self, config: StepConfig) -> None:
        self.config = config
        self.found: RunResult | None = None

    def result(self) -> RunResult:
        return result(self.config)


class Fake:
    """A ``Measurement`` that needs two polls; the log says what was open when it began and ended."""

    def __init__(
        self, log: list[tuple[str, str]], device: Target, *, workers: int, steps: int | None
    ) -> None:
        assert workers == 1
        self.log, self.polls, self.pending = log, 0, list[Pending]()
        reserve = f"+{device.reserve_bytes}" if device.reserve_bytes else ""
        self.name = f"{device.gpu.id} {device.platform}{reserve} {steps}"

    def __enter__(self) -> Fake:
        self.log.append(("open", self.name))
        return self

    def __exit__(self, *_: object) -> None:
        self.log.append(("close", self.name))

    def submit(self, config: StepConfig) -> Pending:
        self.log.append((self.name, config.id))
        self.pending.append(Pending(config))
        return self.pending[-1]

    def poll(self) -> None:
        self.polls += 1
        for each in self.pending if self.polls > 1 else ():
            each.found = result(each.config)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    made: list[tuple[str, str]] = []

    def measurement(device: Target, **options: Any) -> Fake:
        return Fake(made, device, **options)

    monkeypatch.setattr(several_devices, "Measurement", measurement)
    monkeypatch.setattr(several_devices, "_SECONDS_BETWEEN", 0)
    return made


def runner(log: list[tuple[str, str]], *, device: Target = HOME, choice: str = "virtual") -> ClaimRunner:
    class Own:
        def submit(self, config: StepConfig) -> Pending:
            log.append(("own", config.id))
            return Pending(config)

    return ClaimRunner(device, Own, choice=choice)


def test_the_sessions_own_device_comes_first_and_nothing_runs_twice(log: list[tuple[str, str]]) -> None:
    other = RunRequest(config=CONFIG, gpu="rtx4090")
    long = RunRequest(config=CONFIG, steps=104)
    same = RunRequest(config=StepConfig(batch=8), gpu="rtx4070", reserve_bytes=0)
    made = runner(log)
    found = made.run([other, long, HERE, same, HERE])
    assert list(found) == [other, long, HERE, same]
    name = CONFIG.id
    assert log == [
        ("own", name),
        ("own", "gpt2-768-b8-a1-bf16-eager"),
        ("open", "rtx4090 linux None"),
        ("rtx4090 linux None", name),
        ("open", "rtx4070 linux 104"),
        ("rtx4070 linux 104", name),
        ("close", "rtx4070 linux 104"),
        ("close", "rtx4090 linux None"),
    ]
    log.clear()
    assert made.run([other, HERE]) == {other: found[other], HERE: found[HERE]}
    assert log == []


def test_what_holds_for_the_sessions_card_does_not_hold_for_another(log: list[tuple[str, str]]) -> None:
    crowded = Target(kind="virtual", gpu=HOME.gpu, platform="windows", reserve_bytes=GIB)
    requests = [
        RunRequest(config=CONFIG, gpu="rtx4090"),
        RunRequest(config=CONFIG, reserve_bytes=2 * GIB),
        RunRequest(config=CONFIG, platform="linux"),
        HERE,
    ]
    runner(log, device=crowded).run(requests)
    ran = [name for name, config in log if config == CONFIG.id]
    assert ran == [
        "own",
        "rtx4090 linux None",
        f"rtx4070 windows+{2 * GIB} None",
        f"rtx4070 linux+{GIB} None",
    ]


def test_a_real_card_is_never_shared(log: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    def choose(gpu: Gpu, *_: Any, **options: Any) -> SelectedDevice:
        kind = "real" if gpu.id == "rtx4070" else "virtual"
        return SelectedDevice(Target(kind=kind, gpu=gpu, **options), "for the test", kind == "real")

    monkeypatch.setattr(several_devices, "choose_device", choose)
    real = Target(kind="real", gpu=HOME.gpu)
    requests = [
        RunRequest(config=CONFIG, steps=50),
        RunRequest(config=CONFIG, reserve_bytes=GIB),
        RunRequest(config=CONFIG, gpu="rtx4090"),
        RunRequest(config=CONFIG, gpu="t4"),
    ]
    runner(log, device=real).run(requests)
    opened: list[str] = []
    for what, name in log:
        if what == "open":
            opened.append(name)
            assert len([each for each in opened if each.startswith("rtx4070")]) <= 1, "the card was shared"
        if what == "close":
            opened.remove(name)
    names = [name for what, name in log if what == "open"]
    assert names[:2] == ["rtx4090 linux None", "t4 linux None"]
    assert sorted(names[2:]) == ["rtx4070 linux 50", f"rtx4070 linux+{GIB} None"]


@pytest.mark.parametrize(
    "request_", [RunRequest(config=CONFIG, gpu="rtx9999"), RunRequest(config=CONFIG, reserve_bytes=99 * GIB)]
)
def test_a_device_that_cannot_be(log: list[tuple[str, str]], request_: RunRequest) -> None:
    with pytest.raises(RequestError):
        runner(log).run([HERE, request_])
    assert log == []  # found out before anything ran
