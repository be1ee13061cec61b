"""Where CUDA's libraries and headers lie beside a torch: wheels, conda, NVIDIA's containers, in small.

Each torch is a few shared objects of no use, linked as the real ones are; the loader finds what it finds.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from nanocheck.core.errors import MachineError
from nanocheck.virtual import build as building
from nanocheck.virtual import installed_torch, symbols
from nanocheck.virtual.installed_torch import InstalledTorch, torch_in

NAMES = ("libcudart.so.12", "libcublas.so.12", "libcudnn.so.9", "libnccl.so.2")
HEADERS = {
    "libcudart.so.12": ("cuda.h", "cuda_runtime_api.h", "library_types.h"),
    "libcublas.so.12": ("cublas_v2.h",),
    "libcudnn.so.9": ("cudnn_graph.h",),
    "libnccl.so.2": ("nccl.h",),
}


@dataclass
class Layout:
    """Folders below the root of an environment; ``{}`` is a library's short name.

    Attributes:
        run_path: in torch's libraries; "": none.
        search: what ``LD_LIBRARY_PATH`` names.
        own_places: headers lie where only the compiler looks.
    """

    libraries: str
    headers: str
    run_path: str = ""
    search: str = ""
    own_places: bool = False


SITE = "lib/python3.12/site-packages"
WHEELS = ":".join(f"$ORIGIN/../../nvidia/{name}/lib" for name in ("cudart", "cublas", "cudnn", "nccl"))
LAYOUTS = {
    "wheels": Layout(f"{SITE}/nvidia/{{}}/lib", f"{SITE}/nvidia/{{}}/include", WHEELS),
    "conda": Layout("lib", "include", "$ORIGIN/../../../.."),
    "conda, CUDA's own folders": Layout("lib", "targets/x86_64-linux/include", "$ORIGIN/../../../.."),
    "conda on ARM": Layout("lib", "targets/sbsa-linux/include", "$ORIGIN/../../../.."),
    "toolkit": Layout("cuda/lib64", "cuda/include", search="cuda/lib64"),
    "toolkit by targets": Layout(
        "cuda/targets/x86_64-linux/lib", "cuda/targets/x86_64-linux/include", search="cuda/lib64"
    ),
    "distribution": Layout("usr/lib/x86_64-linux-gnu", "usr/include", "", "usr/lib/x86_64-linux-gnu", True),
}


def compiled(path: Path, *linked: Path, run_path: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = ["-shared", "-fPIC", "-nostdlib", "-Wl,--no-as-needed", f"-Wl,-soname,{path.name}"]
    paths = [f"-Wl,-rpath,{run_path}"] if run_path else []
    source = f"int of_{path.name.split('.')[0]}(void) {{ return 0; }}"
    command = [*building.find_compiler(), *flags, *paths, "-xc", "-", "-xnone", *map(str, linked)]
    subprocess.run([*command, "-o", str(path)], input=source, text=True, check=True)


def laid_out(root: Path, layout: Layout) -> Path:
    """The site-packages of an environment that is laid out so."""
    libraries = []
    for name in NAMES:
        short = name.split(".")[0].removeprefix("lib")
        libraries.append(root / layout.libraries.format(short) / name)
        compiled(libraries[-1])
        include = root / layout.headers.format(short)
        include.mkdir(parents=True, exist_ok=True)
        for header in HEADERS[name]:
            (include / header).write_text("CUresult CUDAAPI cuInit(unsigned flags);\n")
    if "targets" in layout.libraries:
        (root / "cuda/lib64").symlink_to("targets/x86_64-linux/lib")
        (root / "cuda/include").symlink_to("targets/x86_64-linux/include")
    torch = root / SITE / "torch"
    compiled(torch / "lib" / "libtorch_cuda.so", *libraries, run_path=layout.run_path)
    (torch / "version.py").write_text("__version__ = '2.6.0'\ncuda = '12.4'\n")
    return root / SITE


def found_in(root: Path, layout: Layout) -> InstalledTorch:
    site = laid_out(root, layout)
    search = {"LD_LIBRARY_PATH": str(root / layout.search)} if layout.search else {}
    return torch_in(site / "torch", [str(site)], search)


@pytest.fixture(autouse=True)
def no_other_torch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither this machine's headers nor those of the torch beside us may stand in."""
    monkeypatch.setattr(installed_torch, "TOOLKIT", str(tmp_path / "none"))
    monkeypatch.setattr(installed_torch, "SYSTEM_INCLUDES", ())
    monkeypatch.setattr(symbols, "SYSTEM_INCLUDES", ())

    def none() -> InstalledTorch:
        return InstalledTorch(tmp_path / "none", "2.6.0", "11.8")

    monkeypatch.setattr(installed_torch, "find_torch", none)


@pytest.mark.parametrize("name", LAYOUTS)
def test_libraries_and_headers_are_found(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = LAYOUTS[name]
    if layout.own_places:
        for module in (installed_torch, symbols):
            monkeypatch.setattr(module, "SYSTEM_INCLUDES", (tmp_path / layout.headers,))
    torch = found_in(tmp_path, layout)
    assert {path.name for path in torch.cuda_libraries} == set(NAMES)
    assert all(path.is_relative_to(tmp_path) for path in torch.cuda_libraries)
    looked = [*torch.include_folders, *installed_torch.SYSTEM_INCLUDES]
    for headers in HEADERS.values():
        for header in headers:
            first = next(each / header for each in looked if (each / header).is_file())
            assert first.is_relative_to(tmp_path)
    assert symbols.driver_symbols(torch) == {"cuInit"}


def test_a_library_that_the_loader_does_not_find_is_looked_for_in_wheels(tmp_path: Path) -> None:
    """As torch itself does: no run path leads there."""
    layout = Layout(LAYOUTS["wheels"].libraries, LAYOUTS["wheels"].headers)
    assert {path.name for path in found_in(tmp_path, layout).cuda_libraries} == set(NAMES)


def test_libraries_that_nobody_finds_are_an_error(tmp_path: Path) -> None:
    """They are there; only ``LD_LIBRARY_PATH`` would say where."""
    site = laid_out(tmp_path, LAYOUTS["toolkit"])
    with pytest.raises(MachineError, match="are not found"):
        torch_in(site / "torch", [str(site)], {})


def test_headers_that_lie_nowhere_are_named(tmp_path: Path) -> None:
    torch = found_in(tmp_path, LAYOUTS["conda"])
    (tmp_path / "include" / "nccl.h").unlink()
    with pytest.raises(MachineError, match=r"found no nccl\.h"):
        _ = torch.include_folders
