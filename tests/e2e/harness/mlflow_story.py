"""A worker drives a real MLflow: when does the traffic follow, and when does the log say that it does?

What is measured is returned as ``Figures``; nothing is asserted here. Seconds count from the split on the log.
"""

import threading
import time
from collections import Counter
from pathlib import Path

import msgspec

from app.core.split import Split
from app.core.stats.binomial import two_sided
from tests.core.splits import split
from tests.e2e.harness.broker import Broker
from tests.e2e.harness.deployment import deploy
from tests.e2e.harness.mlflow import Mlflow
from tests.e2e.harness.providers import Provider, Providers
from tests.e2e.harness.waits import until
from tests.e2e.test_actuate import actuator, outcomes, publish

CACHE_S, WORKERS = 60, 2
AFTER = 60
STEPS = (split(1), split(2, weights={"*": {"small": 1.0}}), split(3, weights={"*": {"big": 0.7, "small": 0.3}}))


class Step(msgspec.Struct):
    """One split. ``followed_s``: first answer after the last that only the split before gives (where it can be told)."""

    version: int
    first_new_s: float | None
    last_old_s: float | None
    accepted_s: float
    share_asked: float
    share_seen: float
    requests: int
    p: float


class Figures(msgspec.Struct):
    """What was measured; ``failed`` requests of ``requests``."""

    steps: list[Step] = []
    requests: int = 0
    failed: int = 0


class _Traffic:
    """One caller after the other, all the time."""

    def __init__(self, server: Mlflow) -> None:
        self.answers: list[tuple[float, str]] = []
        self.failed = 0
        self._server, self._stop = server, threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(3)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(150)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.answers.append((time.time(), self._server.ask("bot")))
            except OSError:
                self.failed += 1
            self._stop.wait(0.1)


def tell(broker: Broker, folder: Path) -> Figures:
    """Play it: about four minutes, most of them MLflow's cache."""
    figures = Figures()
    arms = {"big": Provider(0.001), "small": Provider(0.001)}
    with Providers(arms) as there, Mlflow(workers=WORKERS, cache_s=CACHE_S) as server:
        server.models({arm: f"{there.url}/{arm}/v1" for arm in arms})
        deployment = deploy(
            broker, "mlflow", folder, gateway__kind="mlflow", gateway__url=server.url, gateway__cache_s=str(CACHE_S),
            gateway__timeout_s="30", actuate__reconcile_s="0.5",
        )  # fmt: skip
        traffic = _Traffic(server)
        with actuator(deployment, folder / "worker.log"):
            for one in STEPS:
                publish(deployment, one)
                began = time.time()
                if one.version == 1:
                    until(lambda: any(there["name"] == "bot" for there in server.endpoints()), 120, "no endpoint")
                    server.ask("bot")
                    traffic.start()
                mark = b'"version":%d' % one.version
                until(lambda mark=mark: any(mark in data for _, data in outcomes(deployment)), 280, "not accepted")  # type: ignore[misc]
                accepted = time.time()
                until(lambda at=accepted: len(_since(traffic, at)) >= AFTER, 120, "no traffic")  # type: ignore[misc]
                figures.steps.append(_step(one, traffic, began, accepted))
        traffic.stop()
        figures.requests, figures.failed = len(traffic.answers) + traffic.failed, traffic.failed
    return figures


def _since(traffic: _Traffic, at: float) -> list[str]:
    return [model for asked, model in list(traffic.answers) if asked >= at]


def _step(one: Split, traffic: _Traffic, began: float, accepted: float) -> Step:
    answers = [(at - began, model) for at, model in list(traffic.answers) if at >= began]
    new = {f"{arm}-1" for arm, weight in one.weights["*"].items() if weight > 0}
    before = {f"{arm}-1" for arm in STEPS[one.version - 2].weights["*"]} if one.version > 1 else set()
    after = Counter(_since(traffic, accepted))
    asked, n = one.weights["*"].get("small", 0.0), sum(after.values())
    return Step(
        one.version,
        min((at for at, model in answers if model in new - before), default=None),
        max((at for at, model in answers if model in before - new), default=None),
        accepted - began,
        asked,
        after["small-1"] / n,
        n,
        two_sided(after["small-1"], n, asked),
    )
