"""A headless Chromium of the machine; playwright only drives it, and never fetches its own."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
MISSING = "needs Chromium: apt-get install -y chromium"


def chromium() -> str:
    """Where Chromium is; empty when it is not installed."""
    return next((found for name in ("chromium", "chromium-browser") if (found := shutil.which(name))), "")


@contextmanager
def browser() -> Iterator[Any]:
    """A browser that ends with the block; without one the test is skipped, with the reason."""
    found = chromium()
    if not found:
        pytest.skip(MISSING)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        made = driver.chromium.launch(executable_path=found, args=list(ARGUMENTS))
        try:
            yield made
        finally:
            made.close()
