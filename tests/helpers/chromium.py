"""A headless Chromium for tests, driven over a pipe in its DevTools protocol, and a reader for its PNG.

No WebSocket and no driver: ``--remote-debugging-pipe`` reads commands from file descriptor 3 and writes
answers to 4, each JSON ending in a zero byte.
https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import signal
import struct
import subprocess
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

#: What to run where there is none.
INSTALL = "apt-get install -y chromium"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_PATIENCE_S = 120.0


def find() -> str | None:
    """The browser's program, or ``None``."""
    return next((path for name in _NAMES if (path := shutil.which(name))), None)


class Chromium:
    """One browser with one page."""

    def __init__(self, program: str, home: Path) -> None:
        to_browser, self._out = os.pipe()
        self._in, from_browser = os.pipe()
        flags = [
            "--headless",
            "--remote-debugging-pipe",
            "--disable-gpu",
            "--no-first-run",
            "--hide-scrollbars",
        ]
        # Root, as in a container, has no sandbox; /dev/shm is small there, too.
        flags += ["--no-sandbox", "--disable-dev-shm-usage", f"--user-data-dir={home}"]
        flags += ["--disable-background-networking", "--force-color-profile=srgb"]
        # The shell gives the two ends the numbers 3 and 4.
        script = f'exec "$0" "$@" 3<&{to_browser} 4>&{from_browser}'
        self._process = subprocess.Popen(
            ["bash", "-c", script, program, *flags, "about:blank"],
            pass_fds=(to_browser, from_browser),
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home)},
        )
        os.close(to_browser)
        os.close(from_browser)
        self._rest = b""
        self._number = 0
        self._session: str | None = None
        target = next(each for each in self("Target.getTargets")["targetInfos"] if each["type"] == "page")[
            "targetId"
        ]
        self._session = self("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self("Page.enable")

    def __call__(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send one command and give back its result."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        answer = self._wait(lambda each: each.get("id") == self._number)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        result: dict[str, Any] = answer["result"]
        return result

    def open(self, page: Path, *, width: int, dark: bool, height: int = 900, media: str = "") -> None:
        """Show a file at that width of the window, in px."""
        self(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self("Emulation.setEmulatedMedia", media=media, features=[scheme])
        self("Page.navigate", url=page.as_uri())
        self._wait(lambda each: each.get("method") == "Page.loadEventFired")

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression on the page."""
        result = self("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def screenshot(self, selector: str = "html") -> bytes:
        """The first element that the selector finds, seen whole, as a PNG."""
        box = f"(() => {{const b = document.querySelector({json.dumps(selector)}).getBoundingClientRect();"
        box = self.evaluate(box + "return {x: b.x, y: b.y + scrollY, width: b.width, height: b.height}})()")
        shot = self(
            "Page.captureScreenshot", format="png", captureBeyondViewport=True, clip={**box, "scale": 1}
        )
        return base64.b64decode(shot["data"])

    def close(self) -> None:
        """End the browser and everything that it started."""
        try:
            self._session = None
            self("Browser.close")
            self._process.wait(10)
        except (OSError, RuntimeError, TimeoutError, subprocess.TimeoutExpired):
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        finally:
            os.close(self._out)
            os.close(self._in)

    def _wait(self, wanted: Any) -> dict[str, Any]:
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            while b"\0" in self._rest:
                raw, _, self._rest = self._rest.partition(b"\0")
                message: dict[str, Any] = json.loads(raw)
                if wanted(message):
                    return message
            ready, _, _ = select.select([self._in], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError(f"expected an answer of the browser within {_PATIENCE_S} s, found none")
            part = os.read(self._in, 1 << 20)
            if not part:
                raise RuntimeError(f"the browser ended with {self._process.wait()}")
            self._rest += part


def pixels(png: bytes) -> npt.NDArray[np.uint8]:
    """Rows of pixels of an 8-bit RGB or RGBA PNG without interlacing, as height x width x 3.

    The format: https://www.w3.org/TR/png-3/, section 9 for the filters.
    """
    width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", png[16:29])
    channels = {2: 3, 6: 4}[colour]
    if depth != 8 or interlace:
        raise ValueError(f"expected 8 bits without interlacing, found {depth} bits, interlace {interlace}")
    packed, place = b"", 8
    while place < len(png):
        (length,) = struct.unpack(">I", png[place : place + 4])
        if png[place + 4 : place + 8] == b"IDAT":
            packed += png[place + 8 : place + 8 + length]
        place += length + 12
    raw = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(height, 1 + width * channels)
    rows = np.zeros((height, width, channels), np.uint8)
    above = np.zeros((width, channels), np.uint8)
    for index in range(height):
        above = rows[index] = _unfilter(int(raw[index, 0]), raw[index, 1:].reshape(width, channels), above)
    return rows[:, :, :3]


def _unfilter(kind: int, line: npt.NDArray[np.uint8], above: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    if kind == 0:
        return line
    if kind == 1:
        return np.cumsum(line, axis=0, dtype=np.uint8)
    if kind == 2:
        return line + above
    # The last two depend on the pixel before: byte by byte, and plain numbers are faster at that than arrays.
    step, up = line.shape[1], above.tobytes()
    row = bytearray(line.tobytes())
    for index, high in enumerate(up):
        left, corner = (row[index - step], up[index - step]) if index >= step else (0, 0)
        if kind == 3:
            guess = (left + high) // 2
        else:
            over, beside, across = abs(high - corner), abs(left - corner), abs(left + high - 2 * corner)
            guess = left if over <= beside and over <= across else high if beside <= across else corner
        row[index] = (row[index] + guess) & 255
    return np.frombuffer(bytes(row), np.uint8).reshape(line.shape)
