"""Makes the pages' pictures in a headless Chromium.

python docs/picture.py                     images/run-page.png: the upper part of the page of a real run
python docs/picture.py table.json          images/site.png: the form of that table's site, answered
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT / "tests" / "helpers"))

from chromium import INSTALL, Chromium, find  # noqa: E402

WIDTH = 1100
#: What the form is asked.
MODEL, GPU, BATCH = "GPT-2 124M", "GeForce RTX 4070", 8
COMMAND = ["python", "benchmarks/train_gpt2.py", "--batch", "8"]
#: The page ends, for the picture, where the first section begins of which it shows nothing.
_CUT = "[...document.querySelectorAll('h2')].find(each => /Who holds/.test(each.textContent))"


def main() -> None:
    program = find()
    if program is None:
        raise SystemExit(f"expected Chromium, found none\n  hint: {INSTALL}")
    with tempfile.TemporaryDirectory() as folder:
        if sys.argv[1:]:
            site(Path(folder), Path(sys.argv[1]), program)
            return
        page = Path(folder) / "page.html"
        verb = [sys.executable, "-m", "nanocheck", "run", "--html", str(page), "--", *COMMAND]
        subprocess.run(verb, cwd=ROOT, check=True, capture_output=True)
        browser = Chromium(program, Path(folder) / "home")
        try:
            browser.open(page, width=WIDTH, dark=False)
            browser.evaluate(
                f"(() => {{const cut = {_CUT}; const height = cut.getBoundingClientRect().top + scrollY - 24;"
                "document.documentElement.style.cssText += `;height:${height}px;overflow:hidden`})()"
            )
            (HERE / "images" / "run-page.png").write_bytes(browser.screenshot())
        finally:
            browser.close()


def site(folder: Path, table: Path, program: str) -> None:
    """Asks the form, and cuts the page below its answer."""
    verb = [sys.executable, "-m", "nanocheck", "site", str(folder / "site"), "--table", str(table)]
    subprocess.run(verb, cwd=ROOT, check=True, capture_output=True)
    browser = Chromium(program, folder / "home")
    try:
        browser.open(folder / "site" / "index.html", width=WIDTH, dark=False)
        fields = "document.getElementById('question').elements"
        for name, value in (("model", MODEL), ("card", GPU), ("batch", BATCH)):
            browser.evaluate(f"{fields}.{name}.value = {value!r}")
            browser.evaluate(f"{fields}.{name}.dispatchEvent(new Event('input', {{bubbles: true}}))")
        browser.evaluate("document.querySelector('#question [type=submit]').click()")
        browser.evaluate(
            "(() => {const answer = document.getElementById('answer').getBoundingClientRect();"
            "const height = answer.bottom + scrollY + 16;"
            "document.documentElement.style.cssText += `;height:${height}px;overflow:hidden`})()"
        )
        (HERE / "images" / "site.png").write_bytes(browser.screenshot())
    finally:
        browser.close()


if __name__ == "__main__":
    main()
