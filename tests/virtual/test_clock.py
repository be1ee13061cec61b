"""The card's clock, and the clock that a program is shown: they move by what a wait would have taken."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_calls import CARD, call

from nanocheck.virtual import prepare
from nanocheck.virtual.build import CLOCK

SECOND = 10**9
#: Nothing here takes as long by itself.
LONG = 5000 * SECOND
PRELUDE = """
import json, time, threading
gpu.nanocheck_clock_pace.argtypes = gpu.nanocheck_clock_launches.argtypes = [c_longlong]
gpu.nanocheck_clock_ahead.restype = c_longlong

def event():
    made = c_void_p()
    assert gpu.cudaEventCreate(byref(made)) == 0
    return made

def record(event):
    assert gpu.cudaEventRecord(event, None) == 0

def elapsed(first, last):
    found = c_float()
    assert gpu.cudaEventElapsedTime(byref(found), first, last) == 0
    return found.value

one, two = event(), event()
"""


def timed(code: str, *, shown: bool = True) -> list[float]:
    preload = f"{prepare().folder / CLOCK}:" if shown else ""
    return list(json.loads(call(PRELUDE, code, preload=preload)))


def test_without_a_pace_every_interval_is_a_millisecond_and_no_clock_moves() -> None:
    found = timed(
        """
        record(one); gpu.nanocheck_clock_launches(10**9); record(two)
        gpu.cudaDeviceSynchronize()
        print(json.dumps([elapsed(one, two), gpu.nanocheck_clock_ahead()]))
        """
    )
    assert found == [1.0, 0]


@settings(max_examples=8, deadline=None)
@given(pieces=st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=1, max_size=6))
def test_a_clock_is_shown_what_was_issued_at_every_wait_and_no_earlier(
    pieces: list[tuple[int, bool]],
) -> None:
    """Launches of hours: what this machine itself takes is nothing beside them."""
    clocks = timed(
        f"""
        gpu.nanocheck_clock_pace({LONG})
        start, found = time.monotonic(), []
        for launches, waits in {pieces!r}:
            gpu.nanocheck_clock_launches(launches)
            if waits:
                gpu.cudaDeviceSynchronize()
            found.append(time.monotonic() - start)
        print(json.dumps(found))
        """
    )
    shown = issued = 0
    for (launches, waits), clock in zip(pieces, clocks, strict=True):
        issued += launches
        shown = issued if waits else shown
        assert 0 <= clock - shown * LONG / SECOND < LONG / SECOND / 2


def test_events_say_when_the_card_is_there_and_waiting_for_one_waits_for_no_more() -> None:
    between, waited, all_clocks_agree = timed(
        f"""
        gpu.nanocheck_clock_pace({LONG})
        clocks = (time.time, time.monotonic, time.perf_counter)
        before = [each() for each in clocks]
        record(one); gpu.nanocheck_clock_launches(3); record(two); gpu.nanocheck_clock_launches(50)
        assert gpu.cudaEventSynchronize(two) == 0
        after = [now() - then for now, then in zip(clocks, before)]
        print(json.dumps([elapsed(one, two) / 1e3, after[0], max(after) - min(after)]))
        """
    )
    assert abs(between - 3 * LONG / SECOND) < 60
    assert abs(waited - 3 * LONG / SECOND) < 60
    assert all_clocks_agree < 60


def test_while_candidates_are_timed_it_stands_still() -> None:
    found = timed(
        f"""
        gpu.nanocheck_clock_pace({LONG})
        gpu.nanocheck_clock_stand(1)
        record(one); gpu.nanocheck_clock_launches(3); record(two); gpu.cudaDeviceSynchronize()
        print(json.dumps([elapsed(one, two), gpu.nanocheck_clock_ahead()]))
        """
    )
    assert found == [1.0, 0]


def test_time_limits_count_the_machines_time() -> None:
    """With the shown clock hours ahead, a wait of a moment would else be one of hours: this would hang."""
    (ahead,) = timed(
        f"""
        gpu.nanocheck_clock_pace({LONG})
        gpu.nanocheck_clock_launches(1)
        gpu.cudaDeviceSynchronize()
        import signal
        signal.alarm(60)  # counted by the kernel: ends what would wait for hours
        threading.Event().wait(0.01)
        held = threading.Lock(); held.acquire(); held.acquire(timeout=0.01)
        time.sleep(0.01)
        print(json.dumps([gpu.nanocheck_clock_ahead()]))
        """
    )
    assert LONG - 60 * SECOND < ahead <= LONG


def test_the_processors_time_stays() -> None:
    used, alone = timed(
        f"""
        gpu.nanocheck_clock_pace({LONG})
        gpu.nanocheck_clock_launches(1); gpu.cudaDeviceSynchronize()
        print(json.dumps([time.process_time(), time.thread_time()]))
        """
    )
    assert max(used, alone) < LONG / SECOND / 2


def test_many_threads_wait_and_no_launch_is_lost() -> None:
    (ahead,) = timed(
        f"""
        gpu.nanocheck_clock_pace({LONG})
        def work():
            for _ in range(50):
                gpu.nanocheck_clock_launches(1)
                gpu.cudaDeviceSynchronize()
        threads = [threading.Thread(target=work) for _ in range(4)]
        [each.start() for each in threads]; [each.join() for each in threads]
        print(json.dumps([gpu.nanocheck_clock_ahead()]))
        """
    )
    assert 200 * LONG - 60 * SECOND < ahead <= 200 * LONG


TRAINING = """
import ctypes, torch
ctypes.CDLL("libcuda.so.1").nanocheck_clock_pace(ctypes.c_longlong(PACE))
model = torch.nn.Sequential(*[torch.nn.Linear(512, 512) for _ in range(4)]).cuda()
optimizer = torch.optim.AdamW(model.parameters())
side = torch.cuda.Stream()
for _ in range(4):
    with torch.cuda.stream(side):
        x = torch.randn(256, 512, device="cuda")
    torch.cuda.current_stream().wait_stream(side)
    x.record_stream(torch.cuda.current_stream())
    loss = model(x).square().mean()
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    loss.item()
print(torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved())
"""


def test_no_byte_of_memory_hangs_on_it() -> None:
    def peaks(pace: int, *, clock: bool) -> str:
        chosen = {**prepare().launch_environment(clock=clock), "NANOCHECK_CARD": CARD}
        program = [sys.executable, "-c", TRAINING.replace("PACE", str(pace))]
        return subprocess.run(
            program, env={**os.environ, **chosen}, capture_output=True, text=True, check=True
        ).stdout

    assert peaks(0, clock=False) == peaks(SECOND, clock=True) == peaks(1, clock=True)
