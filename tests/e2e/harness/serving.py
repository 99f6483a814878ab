"""`llm-optimizer serve` as a process."""

import re
import signal
import subprocess
import sys
from pathlib import Path

from tests.e2e.harness.deployment import Deployment
from tests.e2e.harness.waits import until


class Serving:
    """One process, its address and its log."""

    def __init__(self, deployment: Deployment, log: Path, **more: str) -> None:
        env = {**deployment.env, "LLM_OPTIMIZER__API__PORT": "0", "LLM_OPTIMIZER__API__GRPC_PORT": "0", **more}
        self._log = log
        with log.open("wb") as stream:
            self.process = subprocess.Popen([sys.executable, "-m", "app.cli.main", "serve"], env=env, stderr=stream)
        until(lambda: bool(self._address()), 120, "serve did not say where it listens")
        self.url = self._address()

    def _address(self) -> str:
        found = re.search(r"http://127\.0\.0\.1:\d+", self._log.read_text())
        return found.group(0) if found else ""

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)
