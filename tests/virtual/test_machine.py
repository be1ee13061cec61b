"""A machine with several cards: each has its own memory, which every process on it shares."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from client_runs import environment_of
from virtual_calls import CARD, call

from nanocheck.core.device_selection import CardQuestion
from nanocheck.core.units import GIB, MIB
from nanocheck.virtual.card import card_text

TWO = "2xrtx4070"
_ASK = """
free, total = c_size_t(), c_size_t()
def left(card):
    assert gpu.cudaSetDevice(card) == 0
    assert gpu.cudaMemGetInfo(byref(free), byref(total)) == 0
    return free.value
def take(card, size):
    at = c_void_p()
    error = gpu.cudaSetDevice(card) or gpu.cudaMalloc(byref(at), c_size_t(size))
    return error, at
"""


def on(machine: str, *code: str, **variables: str) -> str:
    """What code prints on such a machine; see ``virtual_calls.call``."""
    target = CardQuestion(gpu=machine).select().target
    cards = str(target.machine_cards)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        for name, value in {"NANOCHECK_CARDS": cards, **variables}.items():
            patch.setenv(name, value)
        return call(*code, card=card_text(target))


def test_a_card_that_is_full_leaves_the_other() -> None:
    code = """
        empty = left(1)
        error, first = take(0, 8 << 30)
        print(take(0, 8 << 30)[0], left(1) == empty, take(1, 8 << 30)[0], empty - left(1) == 8 << 30)
        gpu.cudaFree(first)  # while card 1 is the current one
        print(left(0) == empty, empty - left(1) == 8 << 30)
    """
    assert on(TWO, _ASK, code) == "2 True 0 True True True"


def test_a_card_that_was_never_used_has_no_context() -> None:
    """PyTorch's threads ask before they go back to card 0: else each rank would have a context there."""
    code = """
        def active(card):
            found = c_int(-1)
            assert gpu.cuDevicePrimaryCtxGetState(card, None, byref(found)) == 0
            return found.value
        print(active(0), active(1), end=" ")
        take(1, 1 << 20)
        print(active(0), active(1), gpu.cuDevicePrimaryCtxGetState(2, None, byref(c_int())))
    """
    assert on(TWO, _ASK, code) == "0 0 0 1 101"


def test_memory_of_a_handle_is_of_the_card_that_it_names() -> None:
    code = """
        class Location(Structure): _fields_ = [("type", c_int), ("id", c_int)]
        class Wanted(Structure): _fields_ = [("type", c_int), ("handles", c_int), ("at", Location),
                                             ("meta", c_void_p), ("flags", c_ubyte * 8)]
        empty, other, handle, at, said = left(1), left(0), c_ulonglong(), c_ulonglong(), c_int(-1)
        size, wanted = 64 << 20, Wanted(1, 0, Location(1, 1))
        print(gpu.cuMemCreate(byref(handle), c_size_t(size), byref(wanted), c_ulonglong()))
        print(empty - left(1) == size, left(0) == other)
        gpu.cuMemAddressReserve(byref(at), c_size_t(size), c_size_t(0), c_ulonglong(0), c_ulonglong(0))
        gpu.cuMemMap(at, c_size_t(size), c_size_t(0), handle, c_ulonglong(0))
        gpu.cuPointerGetAttribute(byref(said), 9, at)  # CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL
        print(said.value, gpu.cuMemRelease(handle), gpu.cuMemUnmap(at, c_size_t(size)), left(1) == empty)
        wanted.at.id = 2
        print(gpu.cuMemCreate(byref(handle), c_size_t(size), byref(wanted), c_ulonglong()))
    """
    assert on(TWO, _ASK, code) == "0 True True 1 0 0 True 101"


def test_a_context_is_there_from_a_cards_first_use_on() -> None:
    code = """
        gpu.nanocheck_card_process.restype = c_size_t
        held = lambda: [gpu.nanocheck_card_process(card) for card in (0, 1)]
        before = held()
        gpu.cudaSetDevice(1)
        print(before, held()[0], held()[1] > 0)
        a = c_void_p(); gpu.cuDevicePrimaryCtxRetain(byref(a), 0); gpu.cuCtxPushCurrent_v2(a)
        now = c_int(); gpu.cudaGetDevice(byref(now)); gpu.cuCtxPopCurrent_v2(byref(a)); print(now.value)
        gpu.cudaGetDevice(byref(now)); print(now.value)
    """
    assert on(TWO, code) == "[0, 0] 0 True 0 1"


def test_mixed_cards_have_their_own_figures() -> None:
    code = """
        for card in range(3):
            room, size, sms = create_string_buffer(4096), c_size_t(), c_int()
            gpu.cudaGetDeviceProperties(room, card); gpu.cuDeviceTotalMem_v2(byref(size), card)
            gpu.cudaDeviceGetAttribute(byref(sms), 16, card)
            left(card)
            print(room.value.decode().split()[-1], total.value == size.value, total.value >> 30, sms.value)
    """
    assert on("2xrtx4090,1xrtx3060", _ASK, code) == "4090 True 23 128 4090 True 23 128 3060 True 11 28"


@pytest.mark.parametrize(
    ("visible", "buses"), [("1,0", "2 1"), ("1", "2"), ("1,7,0", "2"), ("0,0", ""), ("", ""), ("-1", "")]
)
def test_cudas_variable_chooses_and_orders_cards_and_is_read_once(visible: str, buses: str) -> None:
    code = """
        n, bus = c_int(), c_int()
        gpu.cudaGetDeviceCount(byref(n))
        CDLL(None).setenv(b"CUDA_VISIBLE_DEVICES", b"0,1", 1)
        gpu.cudaGetDeviceCount(byref(n))
        for card in range(n.value):
            gpu.cudaDeviceGetAttribute(byref(bus), 33, card); print(bus.value)
        nvml.nvmlInit_v2(); nvml.nvmlDeviceGetCount_v2(byref(n)); print("of", n.value)
    """
    assert on(TWO, code, CUDA_VISIBLE_DEVICES=visible) == f"{buses} of 2".strip()


@pytest.mark.parametrize(
    ("machine", "peers", "links"),
    [("2xh100", 1, 18), (TWO, 0, 0), ("2xl40s", 1, 0), ("1xh100,1xa100-80gb", 0, 18)],
)
def test_how_cards_meet(machine: str, peers: int, links: int) -> None:
    code = """
        can, level, status, active = c_int(-1), c_int(-1), c_int(-1), c_int(0)
        gpu.cudaDeviceCanAccessPeer(byref(can), 0, 1); print(can.value)
        print(gpu.cudaDeviceEnablePeerAccess(1, 0), gpu.cudaDeviceEnablePeerAccess(1, 0))
        nvml.nvmlInit_v2()
        first, second = c_void_p(), c_void_p()
        nvml.nvmlDeviceGetHandleByIndex_v2(0, byref(first))
        nvml.nvmlDeviceGetHandleByIndex_v2(1, byref(second))
        nvml.nvmlDeviceGetTopologyCommonAncestor(first, second, byref(level))
        nvml.nvmlDeviceGetP2PStatus(first, second, 2, byref(status))
        up = 0
        for link in range(18):
            up += nvml.nvmlDeviceGetNvLinkState(first, link, byref(active)) == 0 and active.value
        print(level.value, status.value, up)
    """
    linked = 0 if peers and links else 1
    enabled = "0 704" if peers else "217 217"
    assert on(machine, code) == f"{peers} {enabled} 30 {linked} {links}"


def test_processes_share_a_card_and_one_that_is_killed_gives_its_memory_back(tmp_path: Path) -> None:
    """The other process is a fork of one that holds memory itself: what its parent holds is not its own."""
    code = """
        import os, signal
        error, mine = take(0, 2 << 30)
        here, there = os.pipe()
        child = os.fork()
        if not child:
            os.write(there, bytes([take(0, 4 << 30)[0]])); signal.pause()
        print(os.read(here, 1)[0])
        whole = left(0)
        print(total.value - whole >> 30, take(0, 6 << 30)[0], left(1) > 11 << 30)
        nvml.nvmlInit_v2()
        room, count = (c_ulonglong * 9)(), c_uint(3)
        nvml.nvmlDeviceGetComputeRunningProcesses_v3(c_void_p(0x20), byref(count), room)
        pids = {each & 0xffffffff for each in (room[0], room[3])}
        print(count.value, pids == {os.getpid(), child}, {room[1] >> 30, room[4] >> 30})
        os.kill(child, signal.SIGKILL)
        for _ in range(1000):  # it dies, and is not waited for
            error = take(0, 6 << 30)[0]
            if not error: break
        print(error, left(0) < whole)
    """
    said = on(TWO, _ASK, code, NANOCHECK_MACHINE=str(tmp_path))
    assert said == "0 6 2 True 2 True {2, 4} 0 True"


def test_a_process_that_dies_with_the_lock_leaves_it_to_the_next(tmp_path: Path) -> None:
    """Many are killed while they take and give: whoever comes after finds the card as they left it, empty."""
    environment = environment_of("rtx4070") | {"NANOCHECK_MACHINE": str(tmp_path)}
    busy = (
        "from ctypes import *\ngpu, at = CDLL('libcuda.so.1'), c_void_p()\nprint(flush=True)\n"
        "while True: gpu.cudaMalloc(byref(at), c_size_t(1 << 21)); gpu.cudaFree(at)"
    )
    for _ in range(4):
        pair = [
            subprocess.Popen([sys.executable, "-S", "-c", busy], env=environment, stdout=subprocess.PIPE)
            for _ in range(2)
        ]
        for each in pair:
            assert each.stdout is not None
            each.stdout.readline()
        for each in pair:
            os.kill(each.pid, signal.SIGKILL)
            each.communicate()
    said = call(_ASK, "print(left(0), nvml.nvmlInit_v2())", card=CARD)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NANOCHECK_MACHINE", str(tmp_path))
        assert call(_ASK, "print(left(0), nvml.nvmlInit_v2())", card=CARD) == said


def test_pytorch_on_two_cards(tmp_path: Path) -> None:
    script = f"""
import torch
kept = torch.empty({2 * GIB}, dtype=torch.uint8, device="cuda:0")
other = torch.empty({3 * GIB}, dtype=torch.uint8, device="cuda:1")
used = [total - free - {{0: {2 * GIB}, 1: {3 * GIB}}}[card]
        for card in (0, 1) for free, total in [torch.cuda.mem_get_info(card)]]
try:
    torch.empty({10 * GIB}, dtype=torch.uint8, device="cuda:1")
except torch.OutOfMemoryError as error:
    print("GPU 1 has a total" in str(error), "3.1" in str(error).split("this process has ")[1][:4])
print(used[0] == used[1], torch.cuda.memory_allocated(0) >> 30, torch.cuda.memory_allocated(1) >> 30)
near = torch.empty({7 * GIB}, dtype=torch.uint8, device="cuda:0")
print(torch.tensor([1, 2, 3], device="cuda:0").to("cuda:1").tolist(), torch.cuda.can_device_access_peer(0, 1))
model = torch.nn.DataParallel(torch.nn.Linear(64, 64).cuda())
model(torch.randn(8, 64, device="cuda:0")).sum().backward()
print(model.module.weight.grad.shape == (64, 64), torch.cuda.memory_allocated(1) > {3 * GIB}, flush=True)
# DataParallel's backward runs Python in a thread a card, which may need the interpreter as it ends.
__import__("os")._exit(0)
"""
    environment = environment_of("rtx4070") | {"NANOCHECK_CARDS": "2", "CUDA_VISIBLE_DEVICES": "0,1"}
    environment["NANOCHECK_MACHINE"] = str(tmp_path)
    ran = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == [
        "True True",
        "True 2 3",
        "[1, 2, 3] False",
        "True True",
    ]
    assert (tmp_path / "card-1").stat().st_size < MIB
