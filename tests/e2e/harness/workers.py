"""Real worker processes: started, killed, stopped, continued, ended. Only processes started here are touched."""

import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Self

import psutil
import requests

from tests.e2e.harness.broker import ROOT
from tests.e2e.harness.deployment import Deployment
from tests.e2e.harness.waits import until


class Worker:
    """``llm-optimizer worker`` and its agents."""

    def __init__(self, deployment: Deployment, log: Path) -> None:
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "app.cli.main", "worker", "--agents", "ingest,optimize"],
                cwd=ROOT, env=dict(deployment.env), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        agents = self.agents()
        self.kill()
        psutil.wait_procs(agents.values(), timeout=60)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def agents(self) -> dict[str, psutil.Process]:
        """The agents' processes by name."""
        try:
            children = psutil.Process(self._process.pid).children()
            return {_agent(child): child for child in children if _agent(child)}
        except psutil.NoSuchProcess:
            return {}

    def await_agent(self, name: str, within_s: float = 120) -> psutil.Process:
        """The agent's process, once it runs."""
        until(lambda: name in self.agents(), within_s, f"{name} does not run; see {self.log}")
        return self.agents()[name]

    def kill(self) -> None:
        """kill -9 of the supervisor; its agents die with it."""
        if self.alive:
            self._process.kill()
        self._process.wait(60)

    def terminate(self, within_s: float) -> int:
        """SIGTERM; the exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(within_s)

    @property
    def url(self) -> str:
        """Where its health and metrics are."""
        found = re.search(r"worker: health and metrics at (http://[0-9.:]+)", self.text())
        assert found, f"the worker does not listen yet; see {self.log}"
        return found[1]

    def ready(self) -> bool:
        """Whether all its agents have their partitions."""
        try:
            with urllib.request.urlopen(self.url + "/ready", timeout=20) as answer:  # a loopback address
                return bool(answer.status == 200)
        except (OSError, AssertionError):
            return False

    def live(self) -> list[str]:
        """Why it should be started again."""
        answer = requests.get(self.url + "/health/live", timeout=20)
        assert answer.status_code == (503 if answer.json().get("why") else 200)
        return list(answer.json().get("why", ()))

    def metrics(self) -> str:
        """The Prometheus text of all its agents."""
        with urllib.request.urlopen(self.url + "/metrics", timeout=20) as answer:  # a loopback address
            text: str = answer.read().decode()
            return text

    def text(self) -> str:
        """Everything it has logged."""
        return self.log.read_text(errors="replace")


def _agent(process: psutil.Process) -> str:
    try:
        words = process.cmdline()
    except psutil.Error:
        return ""
    return words[words.index("--agent") + 1] if "--agent" in words else ""
