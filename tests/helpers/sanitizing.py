"""Builds the driver of tests/csrc/driver with the virtual GPU's own sources under a sanitizer, and runs it.

python tests/helpers/sanitizing.py     # 10^6 calls, 4 threads: each that is here
python tests/helpers/sanitizing.py --compiler clang --sanitizer thread --calls 10000000 --threads 8 --seed 5
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from paths import CSRC
from virtual_calls import CARD

from nanocheck.virtual import build as building
from nanocheck.virtual.installed_torch import find_torch

COMPILERS = ("gcc", "clang")
SANITIZERS = ("address,undefined", "thread")

_DRIVER = CSRC / "driver"
_FLAGS = [
    *("-g", "-fno-omit-frame-pointer", "-Werror"),
    *('-DNC_VERSION="sanitized"', "-DNC_CHECK_LOCKS", "-DNC_WAITS_MS=20"),
]
_FLAGS_OF = {
    "address,undefined": ["-fno-sanitize-recover=undefined"],
    "thread": ["-DNC_ARENA_GIB=256"],  # its map of the address space has no room for three times 8 TiB
}
#: What the sanitizers say where they cannot run, which is no finding.
_CANNOT = ("unexpected memory mapping", "failed to intercept", "LeakSanitizer has encountered a fatal error")


class CannotSanitizeError(Exception):
    """There is no such compiler here, or it has no such sanitizer."""


class Build:
    """The objects of one compiler and sanitizer; compiled once, linked for each run of changed sources."""

    def __init__(self, folder: Path, compiler: str, sanitizer: str) -> None:
        self.folder = folder
        found = shutil.which(compiler)
        if found is None:
            raise CannotSanitizeError(f"{compiler} is not installed")
        sanitize = [f"-fsanitize={sanitizer}", *_FLAGS_OF[sanitizer]]
        self._compile = [found, *building.compiler_flags(find_torch()), *_FLAGS, *sanitize]
        probe = folder / "probe.c"
        probe.write_text("int main(void) { return 0; }\n")
        if subprocess.run(
            [*self._compile, str(probe), "-o", str(folder / "probe")], capture_output=True
        ).returncode:
            raise CannotSanitizeError(f"{compiler} has no runtime of -fsanitize={sanitizer}")
        stubs = folder / "stubs.c"
        stubs.write_text(building.stub_source(["cusparseSpGEMM_compute"]))
        sources = [*building.c_sources(), *building.nvml_sources(), *sorted(_DRIVER.glob("*.c")), stubs]
        self._objects = {source: folder / f"{index}.o" for index, source in enumerate(sources)}
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(self._object, self._objects, self._objects.values()))

    def _object(self, source: Path, made: Path) -> None:
        done = subprocess.run(
            [*self._compile, "-c", str(source), "-o", str(made)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise AssertionError(done.stderr)

    def run(
        self, calls: int, threads: int = 4, seed: int = 1, changed: dict[Path, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """The driver's exit status and what it said; with some sources replaced by other text.

        Raises:
            CannotSanitizeError: the sanitizer does not run on this machine.
        """
        objects = dict(self._objects)
        for source, text in (changed or {}).items():
            copy = self.folder / f"changed-{source.name}"
            copy.write_text(text)
            objects[source] = copy.with_suffix(".o")
            self._object(copy, objects[source])
        program = self.folder / "driver"
        exported = "-rdynamic"  # NVML looks the virtual GPU's functions up
        output = [exported, "-o", str(program), "-lpthread", "-ldl", "-lm"]
        subprocess.run([*self._compile, *map(str, objects.values()), *output], check=True)
        command = [str(program), str(threads), str(calls), str(seed)]
        environment = {**os.environ, "NANOCHECK_CARD": f"{CARD}\nnccl_channels=1"}
        for launcher in ([], ["setarch", "-R"]):  # the second where random addresses are too random for it
            done = subprocess.run(
                [*launcher, *command], env=environment, capture_output=True, text=True, check=False
            )
            if not any(words in done.stderr for words in _CANNOT):
                return done
        raise CannotSanitizeError(done.stderr.strip().splitlines()[0])


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--compiler", action="append", choices=COMPILERS)
    parser.add_argument("--sanitizer", action="append", choices=SANITIZERS)
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    failed = 0
    for compiler in arguments.compiler or COMPILERS:
        for sanitizer in arguments.sanitizer or SANITIZERS:
            try:
                with tempfile.TemporaryDirectory() as folder:
                    build = Build(Path(folder), compiler, sanitizer)
                    since = time.monotonic()
                    done = build.run(arguments.calls, arguments.threads, arguments.seed)
            except CannotSanitizeError as error:
                print(f"{compiler} {sanitizer}: not run: {error}")
                continue
            failed += done.returncode != 0
            print(f"{compiler} {sanitizer}: {done.stdout.strip()}, exit {done.returncode}, ", end="")
            print(f"{time.monotonic() - since:.1f} s", done.stderr[-20_000:], flush=True)
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
