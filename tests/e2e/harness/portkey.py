"""A real Portkey gateway from npm (`make portkey`)."""

import os
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Self

import pytest

from tests.e2e.harness.broker import ROOT, free_port
from tests.e2e.harness.waits import until

PROGRAM = ROOT / ".portkey" / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
READY_S = 120


def need_portkey() -> None:
    """Skip the test where Portkey's gateway (or Node) is not installed."""
    if not PROGRAM.exists() or shutil.which("node") is None:
        pytest.skip("needs Node and Portkey's gateway in a folder of its own: make portkey")


class PortkeyServer:
    """``with PortkeyServer(folder) as gateway:`` serves ``gateway.url``."""

    def __init__(self, folder: Path) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self.log = folder / "portkey.log"

    def __enter__(self) -> Self:
        command = ["node", str(PROGRAM), "--headless", f"--port={self.url.rpartition(':')[2]}"]
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                command, env=dict(os.environ), stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        until(self._answers, READY_S, f"Portkey does not start; see {self.log}")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)

    def _answers(self) -> bool:
        assert self._process.poll() is None, self.log.read_text()[-3000:]
        try:
            with urllib.request.urlopen(self.url, timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False
