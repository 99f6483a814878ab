"""A progress bar on standard error for what takes over two seconds; nothing at all where nobody looks."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

SHOWN_AFTER_S = 2.0

Report = Callable[[float, float], None]
"""Is told how much is done, and of how much."""


@contextmanager
def progress(what: str) -> Iterator[Report]:
    """Use it in a ``with`` block, and call what it gives with (done, total) as often as you like."""
    if not sys.stderr.isatty():
        yield lambda _, __: None
        return
    bar = _Bar(what, time.monotonic() + SHOWN_AFTER_S)
    try:
        yield bar.report
    finally:
        bar.stop()


class _Bar:
    """Mutable: the bar is made when it is first shown, and only then is rich imported."""

    def __init__(self, what: str, shown_at_s: float) -> None:
        self._what, self._shown_at_s = what, shown_at_s
        self._bar: Any = None

    def report(self, done: float, total: float) -> None:
        if self._bar is None:
            if time.monotonic() < self._shown_at_s:
                return
            self._start()
        self._bar.update(self._task, completed=done, total=total)

    def _start(self) -> None:
        from rich.console import Console
        from rich.progress import Progress

        self._bar = Progress(console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task(self._what)
        self._bar.start()

    def stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
