"""A real LiteLLM proxy in an environment of its own (`make litellm`), with the client of clients/litellm."""

import os
import secrets
import shutil
import signal
import subprocess
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import msgspec
import pytest

from tests.e2e.harness.broker import ROOT, free_port
from tests.e2e.harness.waits import until

PROGRAM = ROOT / ".litellm" / "bin" / "litellm"
READY_S = 120
CALLBACK = """
import os, time
from llm_optimizer_litellm import from_environment

BEGAN, RATE, BASE = (float(os.environ["CLOCK_" + name]) for name in ("BEGAN", "RATE", "BASE"))
optimizer = from_environment(event_time=lambda at: BASE + (at - BEGAN) * RATE)
"""


class Clock(msgspec.Struct, frozen=True):
    """Event time that runs ``rate`` times as fast as the wall's, from ``base`` at ``began`` (unix seconds)."""

    began: float
    base: float
    rate: float

    def at(self, wall: float) -> float:
        """The event time of a moment."""
        return self.base + (wall - self.began) * self.rate


def need_litellm() -> None:
    """Skip the test where LiteLLM is not installed."""
    if not PROGRAM.exists():
        pytest.skip("needs LiteLLM in an environment of its own: make litellm (540 MB)")


class Proxy:
    """``with Proxy(...) as proxy:`` serves ``proxy.url``. ``arms``: deployment id -> (api base, USD per token)."""

    def __init__(
        self, folder: Path, service: str, arms: Mapping[str, tuple[str, float]], env: Mapping[str, str], clock: Clock
    ) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self.log = folder / "litellm.log"
        self.key = "sk-" + secrets.token_hex(32)
        self._folder = folder
        shutil.copy(ROOT / "clients" / "litellm" / "llm_optimizer_litellm.py", folder)
        (folder / "callback.py").write_text(CALLBACK)
        (folder / "config.yaml").write_text(msgspec.json.encode(_config(service, arms)).decode())
        self._env = {
            **os.environ, **env, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LLM_OPTIMIZER_SERVICES": service,
            "LITELLM_LOG": "WARNING", "LITELLM_MASTER_KEY": self.key, "CLOCK_BEGAN": repr(clock.began), "CLOCK_RATE": repr(clock.rate),
            "CLOCK_BASE": repr(clock.base), "PYTHONPATH": str(folder),
        }  # fmt: skip

    def __enter__(self) -> Self:
        command = [
            str(PROGRAM),
            "--config",
            "config.yaml",
            "--host",
            "127.0.0.1",
            "--port",
            self.url.rpartition(":")[2],
        ]
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                command, cwd=self._folder, env=self._env, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True,
            )  # fmt: skip
        until(self._answers, READY_S, f"LiteLLM does not start; see {self.log}:\n{self.log.read_text()[-3000:]}")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(60)

    def _answers(self) -> bool:
        assert self._process.poll() is None, self.log.read_text()[-3000:]
        try:
            with urllib.request.urlopen(self.url + "/health/liveliness", timeout=20) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


def _config(service: str, arms: Mapping[str, tuple[str, float]]) -> dict[str, object]:
    return {
        "model_list": [
            {
                "model_name": service,
                "litellm_params": {"model": f"openai/{arm}-1", "api_base": f"{base}/v1", "api_key": "none"},
                "model_info": {"id": arm, "input_cost_per_token": usd, "output_cost_per_token": usd},
            }
            for arm, (base, usd) in arms.items()
        ],
        "litellm_settings": {"callbacks": "callback.optimizer", "num_retries": 2},
        "router_settings": {"cooldown_time": 2, "allowed_fails": 5, "disable_cooldowns": True},
    }
