"""The quickstart as a reader types it, in a shell, in an empty folder: at its end a service is observed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from app.adapters.kafka.mock import MockCluster
from tests import pages
from tests.e2e.harness.broker import ROOT, asked
from tests.e2e.harness.waits import until

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(asked() != "mock", reason="typed once, on a mock cluster"),
]
PAGE = (ROOT / "docs" / "quickstart.md").read_text()
HERE = ("make", "cp", "pip", "litellm")
"""What a reader does on a machine of their own."""
QUICK = {"KAFKA__SESSION_TIMEOUT_S": "6", "KAFKA__HEARTBEAT_S": "1", "INGEST__IDLE_S": "6", "WEB__PORT": "0"}


class Shell:
    """One reader's shell; the worker stays in its background."""

    def __init__(self, folder: Path, broker: str) -> None:
        bin_ = folder / "bin"
        bin_.mkdir()
        (bin_ / "llm-optimizer").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m app.cli.main "$@"\n')
        (bin_ / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        for script in bin_.iterdir():
            script.chmod(0o755)
        self._folder, self._broker = folder, broker
        self._env = {**os.environ, "PATH": f"{bin_}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
        self._env |= {f"LLM_OPTIMIZER__{name}": value for name, value in QUICK.items()}
        self.worker: psutil.Popen | None = None

    def type(self, line: str) -> str:
        """Run one line of the page; its output."""
        if line.startswith("export "):
            name, _, value = line.removeprefix("export ").partition("=")
            if name != "PATH":
                self._env[name] = self._broker if name.endswith("BOOTSTRAP_SERVERS") else value
            return ""
        if line == "llm-optimizer worker":
            with (self._folder / "worker.log").open("wb") as log:
                self.worker = psutil.Popen(
                    ["bash", "-c", f"exec {line}"], cwd=self._folder, env=self._env, stdout=log, stderr=log
                )
            return ""
        done = subprocess.run(
            ["bash", "-c", line], cwd=self._folder, env=self._env, capture_output=True, text=True, timeout=120, check=False
        )  # fmt: skip
        assert done.returncode == 0, f"{line}: {done.stderr}"
        return done.stdout

    def close(self) -> None:
        """SIGTERM, as Ctrl-C would."""
        if self.worker is not None:
            children = self.worker.children(recursive=True)
            self.worker.terminate()
            _, alive = psutil.wait_procs([self.worker, *children], timeout=60)
            for one in alive:
                one.kill()


def test_three_commands_lead_from_litellms_configuration_to_an_observed_service(tmp_path: Path):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    configuration = next(block for block in pages.blocks_of(PAGE) if block.name)
    (tmp_path / configuration.name).write_text(configuration.text)
    section = PAGE[PAGE.index("## 2. Three commands") : PAGE.index("## 3.")]
    assert len(pages.commands_of(section)) == 3
    with MockCluster() as cluster:
        shell = Shell(tmp_path, cluster.bootstrap_servers)
        try:
            for line, _ in pages.commands_of(PAGE):
                if not line.startswith(HERE) and not pages.STAYS & set(line.split()):
                    shell.type(line)

            def observed() -> bool:
                (service,) = json.loads(shell.type("llm-optimizer services --json"))
                return (service["service"], service["mode"]) == ("support-chat", "recommend") and bool(
                    service["requests"]
                )

            until(observed, 120, "the service is not observed")
        finally:
            shell.close()
        assert shell.worker is not None
        assert shell.worker.returncode == 0
