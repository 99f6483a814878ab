"""One story at a real LiteLLM: a cheaper model goes up and serves, one that turns bad is taken back, a provider fails.

Real broker or mock cluster, real worker, real proxy, providers over HTTP. Event time runs ``RATE`` times as fast as the
wall's. What is measured is returned as ``Figures``; nothing is asserted here.
"""

import asyncio
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from confluent_kafka import Producer

from app.adapters.kafka.command_log import CommandLog
from app.core import split as splits
from app.core.assign import expected_shares
from app.core.commands import Command, Configure
from app.core.document import ServiceDocument, parse_toml
from app.core.events import rfc3339
from app.core.outputs import ACCEPTED, VERIFIED
from app.core.split import Split
from app.core.stats.binomial import two_sided
from tests.e2e.harness.broker import ROOT, Broker
from tests.e2e.harness.deployment import Deployment, deploy
from tests.e2e.harness.litellm import Clock, Proxy
from tests.e2e.harness.providers import Provider, Providers
from tests.e2e.harness.topic import Follower
from tests.e2e.harness.waits import TooSlow, until

SERVICE, KEY = "chat", "a key for the story"
RATE = 20.0
IN_FLIGHT = 8
PROMOTED_S, ROLLED_BACK_S, OUTAGE_S = 420.0, 300.0, 6.0
# Wide tolerances: a story of some thousand requests shows the way to the gateway, not the power of the tests.
DOCUMENT = """
service = "chat"
mode = "auto"
holdout_share = 0.05
[verify]
requests_min = 50
[trial]
steps = [25, 50, 90, 100]
step_minutes_min = 1
scored_min = 30
cooldown_minutes = 0
[guardrails.quality]
tolerance_points = 0.2
[guardrails.errors]
tolerance_points = 0.3
[guardrails.latency]
tolerance_percent = 1000
[guardrails.cost]
tolerance_percent = 100
"""


class Answer(msgspec.Struct, frozen=True):
    """One answered request as the caller saw it; ``at`` unix seconds."""

    at: float
    status: int
    slice: str
    arm: str
    served: str
    version: int


class Figures(msgspec.Struct):
    """What was measured. Shares: (version, slice|arm, asked, observed, requests, p-value)."""

    requests: int = 0
    failed: int = 0
    steps: list[str] = []
    promoted_s: float | None = None
    rolled_back_s: float | None = None
    shares: list[tuple[int, str, float, float, int, float]] = []
    first_stamped_s: list[float] = []
    accepted: int = 0
    verified: int = 0
    outage_requests: int = 0
    outage_failed: int = 0
    outage_elsewhere: int = 0
    events: int = 0
    duplicates: int = 0
    litellm_cost_ratio: float | None = None


def document(*arms: str) -> ServiceDocument:
    """The service with these arms, the first one serving at the start."""
    tables = "".join(f'[[arms]]\nname = "{arm}"\nmodel = "{arm}-1"\n' for arm in arms)
    head, trial = DOCUMENT.split("[verify]")
    return parse_toml(f"{head}{tables}[verify]{trial}")


class Callers:
    """Sends requests until stopped, and a judge's score for each answer."""

    def __init__(self, proxy: Proxy | None, deployment: Deployment, clock: Clock) -> None:
        self.answers: list[Answer] = []
        self._proxy, self._clock = proxy, clock
        self._topics = deployment.settings.topics
        self._producer = Producer({"bootstrap.servers": deployment.settings.kafka.bootstrap_servers, "linger.ms": 20})
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    @contextmanager
    def calling(self) -> Iterator["Callers"]:
        self._thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            self._thread.join(30)
            self._producer.flush(10)

    async def _run(self) -> None:
        async with aiohttp.ClientSession() as session:
            await asyncio.gather(*(self._caller(session, number) for number in range(IN_FLIGHT)))

    async def _caller(self, session: aiohttp.ClientSession, number: int) -> None:
        asked = 0
        while not self._stop.is_set():
            asked += 1
            await self._ask(session, f"session-{number}-{asked}")

    async def _ask(self, session: aiohttp.ClientSession, name: str) -> None:
        assert self._proxy is not None
        headers = {"Authorization": f"Bearer {self._proxy.key}", "x-litellm-session-id": name}
        body = {"model": SERVICE, "messages": [{"role": "user", "content": "hello"}]}
        async with session.post(f"{self._proxy.url}/v1/chat/completions", json=body, headers=headers) as answer:
            said = await answer.json()
            told = answer.headers
        now = time.time()
        self.answers.append(
            Answer(
                now, answer.status, told.get("x-llm-optimizer-slice", ""), told.get("x-llm-optimizer-arm", ""),
                told.get("x-litellm-model-id", ""), int(told.get("x-llm-optimizer-version", 0)),
            )
        )  # fmt: skip
        if answer.status == 200:
            self._judge(told.get("x-llm-optimizer-request-id", ""), said["choices"][0]["message"]["content"], now)

    def _judge(self, request_id: str, score: str, now: float) -> None:
        event_time = self._clock.at(now)
        event = {
            "specversion": "1.0", "id": f"score-{request_id[:60]}", "source": "/judge",
            "type": "io.llm-platform.feedback.recorded", "time": rfc3339(int(event_time)),
            "data": {"request_id": request_id, "service": SERVICE, "source": "judge", "quality": float(score)},
        }  # fmt: skip
        self._producer.produce(self._topics.feedback, msgspec.json.encode(event), request_id.encode())
        self._producer.poll(0)


class Log:
    """Decisions, outcomes and splits as they come."""

    def __init__(self, deployment: Deployment) -> None:
        kafka, topics = deployment.settings.kafka, deployment.settings.topics
        self._splits = Follower(kafka.bootstrap_servers, topics.splits)
        self._events = Follower(kafka.bootstrap_servers, topics.optimizations)
        self.splits: list[tuple[float, Split]] = []
        self.decisions: dict[str, dict[str, Any]] = {}
        self.outcomes: Counter[str] = Counter()
        self._known: set[bytes] = set()

    def look(self) -> None:
        for message in self._splits.new():
            self.splits.append((message.append_ms / 1000, splits.decode(message.value)))
        for message in self._events.new():
            headers = dict(message.headers)
            if (id_ := headers["ce_id"]) in self._known:
                continue
            self._known.add(id_)
            data = msgspec.json.decode(message.value)
            if "action" in data:
                self.decisions[id_.decode()] = data
            else:
                self.outcomes[headers["ce_type"].decode()] += 1

    def await_(self, what: Callable[[], bool], within_s: float) -> bool:
        """Whether it came to pass."""
        deadline = time.monotonic() + within_s
        while not what():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.25)
            self.look()
        return True

    def did(self, action: str, arm: str) -> bool:
        return any(
            d["action"] == action and arm in (d["evidence"].get("challenger"), d.get("split", {}).get("incumbent"))
            for d in self.decisions.values()
        )


@contextmanager
def worker(deployment: Deployment, log: Path) -> Iterator[None]:
    """The whole worker; ended with the block."""
    command = [sys.executable, "-m", "app.cli.main", "worker"]
    with log.open("ab") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=dict(deployment.env), stdout=output, stderr=output)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(60)


def tell(broker: Broker, folder: Path, port: int) -> Figures:
    """Play the story; ``port`` is free for the worker's web server."""
    deployment = deploy(
        broker, "litellm", folder, gateway__kind="desired", gateway__desired_key=KEY, web__port=str(port),
        ingest__lateness_s="120", ingest__ahead_s="120", topics__spans="", ingest__idle_s="3600",
    )  # fmt: skip
    began = time.time()
    clock = Clock(began=began, base=began - 12 * 3600 - began % 60, rate=RATE)
    providers = {"large": Provider(), "small": Provider(), "tiny": Provider()}
    prices = {"large": 1e-5, "small": 1e-6, "tiny": 2e-7}
    env = {
        "LLM_OPTIMIZER_URL": f"http://127.0.0.1:{port}", "LLM_OPTIMIZER_KEY": KEY,
        "LLM_OPTIMIZER_KAFKA": deployment.settings.kafka.bootstrap_servers,
        "LLM_OPTIMIZER_TOPIC": deployment.settings.topics.responses,
    }  # fmt: skip
    with Providers(providers) as there, worker(deployment, folder / "worker.log"):
        arms = {arm: (f"{there.url}/{arm}", prices[arm]) for arm in providers}
        with Proxy(folder, SERVICE, arms, env, clock) as proxy:
            return play(there, Callers(proxy, deployment, clock), deployment)


def play(there: Providers, callers: "Callers", deployment: Deployment) -> Figures:
    """The story itself, whatever gateway the callers call."""
    figures, log = Figures(), Log(deployment)
    commands = CommandLog(deployment.settings)
    commands.send(Command(service=SERVICE, command="configure", args=Configure(document("large", "small"))))
    with callers.calling():
        began = time.monotonic()
        if log.await_(lambda: log.did("promote", "small"), PROMOTED_S):
            figures.promoted_s = time.monotonic() - began
        commands.send(Command(service=SERVICE, command="configure", args=Configure(document("large", "small", "tiny"))))
        log.await_(lambda: log.did("open-trial", "tiny"), ROLLED_BACK_S)
        time.sleep(2)
        there.arms["tiny"].quality = 0.4
        began = time.monotonic()
        if log.await_(lambda: log.did("roll-back", "tiny"), ROLLED_BACK_S):
            figures.rolled_back_s = time.monotonic() - began
        time.sleep(3)
        _outage(there, callers, figures)
    log.look()
    _measure(figures, callers.answers, log)
    _count_events(figures, deployment)
    return figures


def _outage(there: Providers, callers: Callers, figures: Figures) -> None:
    serving = Counter(answer.served for answer in callers.answers[-50:]).most_common(1)[0][0]
    there.arms[serving].down = True
    since = time.time()
    time.sleep(OUTAGE_S)
    there.arms[serving].down = False
    hit = [a for a in callers.answers if a.at > since + 0.5 and a.arm == serving]
    figures.outage_requests = len(hit)
    figures.outage_failed = sum(a.status != 200 for a in hit)
    figures.outage_elsewhere = sum(a.served != serving for a in hit if a.status == 200)


def _measure(figures: Figures, answers: list[Answer], log: Log) -> None:
    figures.requests, figures.failed = len(answers), sum(a.status != 200 for a in answers)
    figures.steps = [
        f"{d['action']} {d['evidence'].get('challenger', '')}: {d['rationale']}" for d in log.decisions.values()
    ]
    figures.accepted, figures.verified = log.outcomes[ACCEPTED], log.outcomes[VERIFIED]
    known: set[int] = set()
    for at, split in log.splits:
        if split.version in known or split.service != SERVICE:
            continue
        known.add(split.version)
        stamped = [a for a in answers if a.version == split.version]
        later = [a.at - at for a in answers if a.version >= split.version]
        if later and at > answers[0].at:  # a split from before the first request waits for traffic, not for the gateway
            figures.first_stamped_s.append(max(0.0, min(later)))
        for (slice_, arm), asked in expected_shares(split).items():
            n = sum(1 for a in stamped if (a.slice, a.arm) == (slice_, arm))
            if stamped:
                p = two_sided(n, len(stamped), min(1.0, asked))
                figures.shares.append((split.version, f"{slice_}|{arm}", asked, n / len(stamped), len(stamped), p))


def _count_events(figures: Figures, deployment: Deployment) -> None:
    follower = Follower(deployment.settings.kafka.bootstrap_servers, deployment.settings.topics.responses)
    costs: dict[str, list[float]] = {}
    ids: Counter[str] = Counter()

    def everything() -> bool:
        for message in follower.new():
            ids[dict(message.headers)["ce_id"].decode()] += 1
            data = msgspec.json.decode(message.value)
            if "cost_usd" in data:
                costs.setdefault(data.get("served_arm", data["arm"]), []).append(data["cost_usd"])
        return len(ids) >= figures.requests

    try:
        until(everything, 90, "not every request was told")
    except TooSlow:
        pass  # the figures say so
    finally:
        follower.close()
    figures.events, figures.duplicates = len(ids), sum(n - 1 for n in ids.values())
    if costs.get("large") and costs.get("small"):
        figures.litellm_cost_ratio = statistics.mean(costs["small"]) / statistics.mean(costs["large"])
