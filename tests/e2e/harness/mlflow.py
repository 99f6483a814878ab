"""A real MLflow server in an environment of its own (`make mlflow`), its AI Gateway in front of given providers."""

import os
import shutil
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import msgspec
import pytest

from tests.e2e.harness.broker import ROOT, free_port
from tests.e2e.harness.waits import until

PROGRAM = ROOT / ".mlflow" / "bin" / "mlflow"
READY_S = 300
API = "/api/3.0/mlflow"
ENVIRONMENT = {
    "MLFLOW_CRYPTO_KEK_PASSPHRASE": "a passphrase for tests",
    "MLFLOW_GATEWAY_API_BASE_ALLOW_PRIVATE_IPS": "true",
    "MLFLOW_GATEWAY_API_BASE_ALLOWED_SCHEMES": "http,https",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "DO_NOT_TRACK": "true",
}


def need_mlflow() -> None:
    """Skip the test where MLflow is not installed."""
    if not PROGRAM.exists():
        pytest.skip("needs MLflow in an environment of its own: make mlflow (1.2 GB)")


class Mlflow:
    """``with Mlflow() as server:`` serves ``server.url``. ``cache_s``: how long it serves by what it read (10-300)."""

    def __init__(self, *, workers: int = 1, cache_s: int = 10) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self._folder = Path(tempfile.mkdtemp(prefix="mlflow-"))
        self._log = self._folder / "server.log"
        self._workers, self._cache_s = workers, cache_s

    def __enter__(self) -> Self:
        command = [
            str(PROGRAM), "server", "--backend-store-uri", "sqlite:///m.db", "--default-artifact-root", "./artifacts",
            "--host", "127.0.0.1", "--port", self.url.rpartition(":")[2], "--workers", str(self._workers),
            "--secrets-cache-ttl", str(self._cache_s),
        ]  # fmt: skip
        env = {**os.environ, **ENVIRONMENT}
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                command, cwd=self._folder, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True,
            )  # fmt: skip
        try:
            until(self._answers, READY_S, f"MLflow does not start; see {self._log}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        os.killpg(self._process.pid, signal.SIGTERM)  # its own session: the server and its workers, nobody else
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(10)
        shutil.rmtree(self._folder, ignore_errors=True)

    def models(self, bases: Mapping[str, str]) -> None:
        """A model definition for each arm, with a secret that leads to its API base; the model is ``<arm>-1``."""
        for arm, base in bases.items():
            secret = self.call(
                "POST", "/gateway/secrets/create", secret_name=f"{arm}-secret", secret_value={"api_key": "none"},
                provider="openai", auth_config={"api_base": base},
            )["secret"]["secret_id"]  # fmt: skip
            self.call(
                "POST", "/gateway/model-definitions/create", name=arm, secret_id=secret, provider="openai",
                model_name=f"{arm}-1",
            )  # fmt: skip

    def endpoints(self) -> list[dict[str, Any]]:
        """Every endpoint there is."""
        found: list[dict[str, Any]] = self.call("GET", "/gateway/endpoints/list").get("endpoints", [])
        return found

    def clear(self) -> None:
        """Delete every endpoint."""
        for endpoint in self.endpoints():
            self.call("DELETE", "/gateway/endpoints/delete", endpoint_id=endpoint["endpoint_id"])

    def call(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        """One call of the configuration interface, past any proxy."""
        url, data = self.url + API + path, None
        if method == "GET":
            url += "?" + "&".join(f"{name}={quote(str(value))}" for name, value in body.items())
        else:
            data = msgspec.json.encode(body)
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(url, data=data, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return msgspec.json.decode(answer.read(), type=dict[str, Any])
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read()[:500]!r}") from error

    def ask(self, service: str) -> str:
        """One request of an application; the model that answered."""
        body = {"messages": [{"role": "user", "content": "hello"}]}
        request = urllib.request.Request(
            f"{self.url}/gateway/{service}/mlflow/invocations",
            data=msgspec.json.encode(body),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            return str(msgspec.json.decode(answer.read())["model"])

    def _answers(self) -> bool:
        assert self._process.poll() is None, self._log.read_text()[-3000:]
        try:
            with urllib.request.urlopen(self.url + "/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False
