"""A command of the product as a child process: what a user runs, its log in a file."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from app.settings.aliases import ALIASES

_WITH_PARENT = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
"""Runs the rest of the command line; on Linux it is asked to stop when this process ends, however it ends."""
STOP_S = 30.0
"""A child that was asked to stop has left by then; what does not is killed."""
SHOWN_LINES = 12


class ChildDiedError(RuntimeError):
    """The child ended by itself; the message shows the end of its log."""


class ChildProcess:
    """``with ChildProcess("worker", settings, log, "worker"):`` runs `llm-optimizer worker`; it ends with the block."""

    def __init__(self, name: str, settings: Path, log: Path, *arguments: str) -> None:
        self.exit_code: int | None = None
        self._name, self._log = name, log
        self._command = ["-m", "app.cli.main", "--config", str(settings), *arguments]
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._child = subprocess.Popen(
                [sys.executable, "-c", _WITH_PARENT, *self._command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                env=_environment(),
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def check(self) -> None:
        """Raise ``ChildDiedError`` when it is no longer running."""
        if self._child is not None and (code := self._child.poll()) is not None:
            raise ChildDiedError(
                f"the {self._name} ended with exit code {code}; the end of {self._log}:\n{self.last_words()}"
            )

    def stop(self) -> None:
        """SIGTERM, then wait; ``exit_code`` is 0 when it left in order."""
        child, self._child = self._child, None
        if child is None:
            return
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
        try:
            self.exit_code = child.wait(STOP_S)
        except subprocess.TimeoutExpired:
            child.kill()
            self.exit_code = child.wait()

    def last_words(self) -> str:
        """The newest lines of its log."""
        lines = self._log.read_text(errors="replace").splitlines() if self._log.exists() else []
        return "\n".join(lines[-SHOWN_LINES:])


def worker(settings: Path, log: Path, tee: Path) -> ChildProcess:
    """A worker that copies its facts into the folder ``tee``."""
    return ChildProcess("worker", settings, log, "worker", "--tee", str(tee))


def page(settings: Path, log: Path) -> ChildProcess:
    """The API and its page, on the port of the settings."""
    return ChildProcess("page", settings, log, "serve")


def _environment() -> dict[str, str]:
    """The environment without settings of its own: the child must run with the file it is given."""
    kept = {name: value for name, value in os.environ.items() if name not in ALIASES}
    return {name: value for name, value in kept.items() if not name.startswith("LLM_OPTIMIZER")}
