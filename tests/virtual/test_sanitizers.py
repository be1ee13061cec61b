"""Random legal and illegal calls from several threads, under sanitizers; and that mistakes are noticed there.

``python tests/helpers/sanitizing.py`` is the long form: a million calls under each sanitizer and compiler.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sanitizing import COMPILERS, SANITIZERS, Build, CannotSanitizeError

from nanocheck.virtual import build as building

Builder = Callable[[str, str], Build]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    made: dict[tuple[str, str], Build] = {}

    def build(compiler: str, sanitizer: str) -> Build:
        if (compiler, sanitizer) not in made:
            folder = tmp_path_factory.mktemp(f"{compiler}-{sanitizer.partition(',')[0]}")
            try:
                made[compiler, sanitizer] = Build(folder, compiler, sanitizer)
            except CannotSanitizeError as error:
                pytest.skip(str(error))
        return made[compiler, sanitizer]

    return build


@pytest.mark.parametrize("sanitizer", SANITIZERS)
@pytest.mark.parametrize("compiler", COMPILERS)
def test_random_calls_of_four_threads(build: Builder, compiler: str, sanitizer: str) -> None:
    try:
        done = build(compiler, sanitizer).run(100_000)
    except CannotSanitizeError as error:
        pytest.skip(str(error))
    assert done.returncode == 0, done.stderr
    assert "seed 1: 0 complaints" in done.stdout
    assert done.stderr == ""


ADDRESS, THREAD = SANITIZERS
#: File, what is written there, what is written instead, the sanitizer that runs, and what is then said.
MISTAKES = [
    (
        "memory/budget.c",
        "    accounts[slot].used -= bytes;\n",
        "",
        ADDRESS,
        "available == start_bytes - held",
    ),
    ("memory/occupants.c", "return bytes <= most;", "return true;", ADDRESS, "illegal: cudaMalloc"),
    ("memory/budget.c", "nc_lock(NC_LOCK_BUDGET);\n    if (bytes", "if (bytes", THREAD, "nc_budget_give"),
    ("memory/mappings.c", "&& !((physical *)handle)->released", "", ADDRESS, "illegal: cuMemRelease"),
    ("memory/mappings.c", "&& !any(words, bytes / NC_GRANULE);", ";", ADDRESS, "illegal: cuMemMap"),
    ("memory/arena.c", "found | LEAVING, false", "found, false", ADDRESS, "nobody removed"),
    ("base/objects.c", "__ATOMIC_ACQUIRE) == kind", "__ATOMIC_ACQUIRE) != kind - kind", ADDRESS, "illegal"),
    ("values/known.c", "{ lose(at, 0); }", "{ lose(at, LENGTH); }", ADDRESS, "know"),
    ("values/known.c", "__atomic_load_n(unit, __ATOMIC_RELAXED)", "*unit", THREAD, "data race"),
    ("values/copies.c", "memmove(to, from, bytes);", "memmove(to, from, bytes - 1);", ADDRESS, "memcmp"),
    ("work/capture.c", "*find(found->number) = found->next;", "", ADDRESS, "heap-use-after-free"),
    ("work/capture.c", "    free(found);\n", "", ADDRESS, "LeakSanitizer"),
    ("answers/driver.c", "if (!name || length < 1) return CUDA_ERROR_INVALID_VALUE;", "", ADDRESS, "GetName"),
    ("nvml/nvml.c", "PROCESS_V1 = offsetof(process, gpu)", "PROCESS_V1 = sizeof(process)", ADDRESS, "77"),
    (
        "answers/events.c",
        "if (!e) return invalid();\n    return nc_mark",
        "return nc_mark",
        ADDRESS,
        "null pointer",
    ),
    (
        "work/collectives.c",
        "    nc_lock(NC_LOCK_COLLECTIVES);\n    clear(mark);\n    if",
        "    clear(mark);\n    if",
        THREAD,
        "nc_mark_recorded",
    ),
    ("work/exchange.c", "NC_WRITE(me->posted, number);", "me->posted = number;", THREAD, "data race"),
    ("answers/nccl_group.c", "    free(g->members);\n", "", ADDRESS, "LeakSanitizer"),
    (  # a lock that may be taken only after another
        "memory/mappings.c",
        "    if (held) drop(handle);\n",
        "    nc_lock(NC_LOCK_CARD);\n    if (held) drop(handle);\n    nc_unlock(NC_LOCK_CARD);\n",
        ADDRESS,
        "is taken while",
    ),
]


@pytest.mark.parametrize(
    ("file", "right", "wrong", "sanitizer", "said"),
    MISTAKES,
    ids=[f"{each[0]}-{index}" for index, each in enumerate(MISTAKES)],
)
def test_a_mistake_is_noticed(
    build: Builder, file: str, right: str, wrong: str, sanitizer: str, said: str
) -> None:
    path = building._SOURCES / file
    text = path.read_text()
    assert text.count(right) == 1
    try:
        done = build("gcc", sanitizer).run(200_000, changed={path: text.replace(right, wrong)})
    except CannotSanitizeError as error:
        pytest.skip(str(error))
    assert done.returncode != 0
    assert said in done.stderr, done.stderr[:3000]
