"""The pictures of the documentation, from a run of the demo: ``python -m tests.screenshots`` (`make screenshots`)."""

import sys
import tempfile
from pathlib import Path
from typing import Any

from app.sim.demo import Demo
from app.sim.view import PlainView
from tests.e2e.harness.broker import free_port
from tests.e2e.harness.browser import MISSING, browser, chromium

FOLDER = Path(__file__).parents[1] / "docs" / "images"
MOST_BYTES = 150_000
SERVICE = "support-chat"


def main() -> int:
    if not chromium():
        sys.exit(MISSING)
    port = free_port()
    with (
        tempfile.TemporaryDirectory(prefix="llm-optimizer-pictures-") as folder,
        Demo(Path(folder), PlainView(print), page=port) as demo,
    ):
        if failures := demo.run().failures:
            sys.exit(f"the demo failed: {'; '.join(failures)}")
        FOLDER.mkdir(exist_ok=True)
        with browser() as chrome:
            take(chrome, f"http://127.0.0.1:{port}/")
    for path in sorted(FOLDER.glob("page-*.png")):
        size = path.stat().st_size
        print(f"{path.relative_to(FOLDER.parents[1])}: {size / 1000:.0f} kB")
        if size > MOST_BYTES:
            sys.exit(f"{path.name} has more than {MOST_BYTES / 1000:.0f} kB: show less of the page")
    return 0


def take(chrome: Any, url: str) -> None:
    wide = page_of(chrome, url, width=1100, height=800, color_scheme="light")
    wide.screenshot(path=FOLDER / "page-services.png", clip={"x": 0, "y": 0, "width": 1100, "height": 400})
    show(wide)
    wide.screenshot(path=FOLDER / "page-service.png")
    wide.locator("#trial").screenshot(path=FOLDER / "page-trial.png")
    phone = page_of(chrome, url, width=390, height=800, color_scheme="dark")
    show(phone)
    phone.screenshot(path=FOLDER / "page-phone.png")


def page_of(chrome: Any, url: str, *, width: int, height: int, color_scheme: str) -> Any:
    context = chrome.new_context(
        viewport={"width": width, "height": height},
        color_scheme=color_scheme,
        timezone_id="UTC",
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.goto(url)
    page.locator(".service .proven").wait_for()
    page.locator(".service .spark polyline").nth(3).wait_for()
    return page


def show(page: Any) -> None:
    page.get_by_role("link", name=SERVICE, exact=True).click()
    page.locator("#shares .mark.bad").wait_for()
    page.locator("#latency .band").first.wait_for()
    page.locator("#trial .interval").first.wait_for()
    page.get_by_text("live", exact=True).wait_for()


if __name__ == "__main__":
    sys.exit(main())
