"""Waiting for something observable, within bounds."""

import time
from collections.abc import Callable

POLL_S = 0.05


class TooSlow(AssertionError):  # noqa: N818 - what it says of the machine
    """What was waited for did not come in time: the one failure that ``make e2e`` tries a second time, and shows."""


def until(condition: Callable[[], bool], within_s: float, complaint: str) -> None:
    """Wait for ``condition``; TooSlow with ``complaint`` after ``within_s`` seconds."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise TooSlow(complaint)
        time.sleep(POLL_S)
