"""The demo: the whole product on this machine, around a closed-loop simulation of real traffic.

A mock cluster and the reference Orchestrator live in this process; the worker is the command a user runs, as a child.
What the demo reports, it has read from the public topics, except for what only a simulator can know: how many events
there really were, and what was really saved.
"""

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import msgspec

from app.adapters.kafka.command_log import CommandLog
from app.adapters.kafka.mock import MockCluster
from app.adapters.kafka.security import librdkafka
from app.adapters.kafka.subscriber import Subscriber
from app.core.commands import Command, Configure
from app.core.document import ServiceDocument, parse_toml
from app.core.events import rfc3339
from app.settings import Settings, load
from app.sim import child_process
from app.sim import scenario as scenarios
from app.sim.closed_loop import ClosedLoop
from app.sim.evidence_producer import EvidenceProducer
from app.sim.orchestrator_server import OrchestratorServer
from app.sim.pace import Pace
from app.sim.report import Report, report
from app.sim.scenario import Scenario
from app.sim.scene import Scene, service_scene
from app.sim.story import promotions_seen
from app.sim.view import View
from app.sim.watch import Watch
from app.topics import declared

HOUR_S = 3_600
READY_S = 60.0
"""A worker that has not obeyed the first command after this long will not."""
RUN_OUT_MIN = 10
"""Event minutes of traffic after the end, at most, that push the last minutes over their closing time."""
BUILT_IN = Path(__file__).parent / "scenarios" / "demo.toml"


class Demo:
    """One run in ``folder`` (settings, facts, the worker's log). ``run`` may be called once.

    ``page``: where the API and its live page answer while it lasts; None: nowhere.
    """

    def __init__(
        self, folder: Path, view: View, *, scenario: Path = BUILT_IN, seed: int | None = None, page: int | None = None
    ) -> None:
        found = scenarios.load(scenario)
        self.scenario: Scenario = found if seed is None else msgspec.structs.replace(found, seed=seed)
        self.facts = folder / "facts"
        self.settings_file = folder / "settings.toml"
        self.worker_log = folder / "worker.log"
        self._page, self._page_log = page, folder / "page.log"
        self._beside = scenario.parent
        self._view = view
        self._stack = ExitStack()
        self._began_s = time.monotonic()
        self._shown = 0
        self._applied: set[tuple[str, str]] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def run(self) -> Report:
        """Start everything, walk through the scenario, stop the worker, compare. Raises when it cannot go on."""
        self._start()
        self._configure()
        with self._view:
            for _ in self._loop.ticks():
                self._show()
            self._run_out()
        self.worker.stop()
        self._read_rest()
        return report(
            self.scenario,
            self._loop,
            self._watch,
            facts=self.facts,
            settings=self.settings,
            sent=self._producer.sent,
            worker_exit=self.worker.exit_code,
            wall_s=time.monotonic() - self._began_s,
        )

    def go_on(self) -> None:
        """A worker again, after ``run``, so that orders are obeyed; its facts go beside those that were reported."""
        folder = self.facts.parent
        again = child_process.worker(self.settings_file, folder / "worker-again.log", folder / "facts-again")
        self.worker = self._stack.enter_context(again)

    # ---- starting ----------------------------------------------------------------------------------------------
    def _start(self) -> None:
        cluster = self._stack.enter_context(MockCluster())
        self.gateway = self._stack.enter_context(OrchestratorServer())
        self.settings_file.write_text(
            settings_text(cluster.bootstrap_servers, self.gateway.url, self.facts.parent, self._page or 0)
        )
        self.settings: Settings = load(self.settings_file, env={})
        topics = self.settings.topics
        cluster.touch(*(topic.name for topic in declared(topics)))
        self._watch = Watch(topics)
        if self._page is not None:
            self._stack.enter_context(child_process.page(self.settings_file, self._page_log))
            self._view.say(f"the live page: http://127.0.0.1:{self._page}")
        connection = librdkafka(self.settings.kafka)
        watched = (
            topics.aggregates,
            topics.aggregates_hourly,
            topics.splits,
            topics.optimizations,
            topics.dead_letters,
        )
        self._reader = self._stack.enter_context(Subscriber(connection, watched))
        self._producer = EvidenceProducer(connection, {"responses": topics.responses, "feedback": topics.feedback})
        self.worker = self._stack.enter_context(child_process.worker(self.settings_file, self.worker_log, self.facts))
        self._loop, self._pace = self._make_loop()

    def _make_loop(self) -> tuple[ClosedLoop, Pace]:
        ends_s = time.time() - 60 * self.scenario.ends_ago_min
        start_s = int(ends_s - self.scenario.hours * HOUR_S) // HOUR_S * HOUR_S
        loop = ClosedLoop(
            self.scenario,
            start_s=start_s,
            router=self.gateway.router,
            sink=self._producer,
            follow=self._follow,
            outage=self._outage,
        )
        pace = Pace(
            self._watch, loop.ledger, read=self._read, held=self.gateway.held, check=self.worker.check, stall_s=READY_S
        )
        return loop, pace

    def _configure(self) -> None:
        """Apply the first documents and wait until the gateway has a split of each."""
        self._view.say("starting the worker, applying the service document")
        wanted = [document.service for document in self._apply_due()]
        self._pace.wait_for(lambda: [f"a split of {name}" for name in wanted if self.gateway.held(name) is None])

    def _apply_due(self) -> list[ServiceDocument]:
        """Apply the documents whose time has come, each once."""
        promoted = {(event.service, event.challenger) for event in promotions_seen(self._watch.told)}
        due = [
            (service.name, document.file)
            for service in self.scenario.services
            for document in service.documents
            if not document.after_promotion_of or (service.name, document.after_promotion_of) in promoted
        ]
        return [self._apply(*where) for where in due if where not in self._applied]

    def _apply(self, service: str, file: str) -> ServiceDocument:
        self._applied.add((service, file))
        document = parse_toml((self._beside / file).read_text(), file)
        command = Command(
            service=document.service, command="configure", args=Configure(document), actor="demo", reason=file
        )
        CommandLog(self.settings).send(command)
        return document

    def _follow(self, now_s: int) -> None:
        self._pace.follow(now_s)
        self._apply_due()

    # ---- going on ----------------------------------------------------------------------------------------------
    def _read(self) -> int:
        """Take what is new. A short wait, because the loop stands still meanwhile."""
        count = self._watch.take(self._reader.poll(timeout_s=0.02))
        self._tell()
        return count

    def _tell(self) -> None:
        now = rfc3339(self._loop.now_s)  # what a person orders, and what a gateway answers, has the wall clock's time
        for event in self._watch.told[self._shown :]:
            self._view.tell(msgspec.structs.replace(event, time=min(event.time, now)))
        self._shown = len(self._watch.told)

    def _show(self) -> None:
        self._view.show(self._scene)

    def _scene(self) -> Scene:
        loop = self._loop
        services = tuple(service_scene(run.service.name, self._watch) for run in loop.runs)
        return Scene(loop.start_s, loop.now_s, loop.end_s, loop.requests, self._pace.gateway_down, services)

    def _outage(self, down: bool) -> None:
        if down != self._pace.gateway_down:
            self._view.say("the gateway refuses configuration" if down else "the gateway takes configuration again")
        self._pace.gateway_down = down
        self.gateway.outage(down=down)

    def _run_out(self) -> None:
        """Traffic goes on for some minutes, so that every minute of the scenario closes."""
        for _ in range(RUN_OUT_MIN):
            self._loop.tick()
        self._pace.catch_up(self._loop.end_s)

    def _read_rest(self) -> None:
        """What the worker wrote while it stopped."""
        while self._watch.take(self._reader.poll(timeout_s=0.3)):
            self._tell()
        self._tell()


def settings_text(bootstrap: str, gateway_url: str, folder: Path, page_port: int = 0) -> str:
    """Settings of the demo's worker and page: quick flushes, because an event minute takes a few
    hundredths of a second.
    """
    return f"""# Settings of the demo's worker.
[kafka]
bootstrap_servers = "{bootstrap}"
mock = true
group = "demo"
fetch_min_bytes = 1
fetch_max_wait_ms = 20
commit_interval_s = 0.5

[topics]
partitions = 4
spans = ""  # a partition that never gets an event would hold every close while event time is compressed

[ingest]
flush_s = 0.05

[optimize]
checkpoint_s = 0.05

[actuate]
reconcile_s = 0.5

[gateway]
kind = "orchestrator"
shadow = true
url = "{gateway_url}"

[state]
dir = "{folder / "state"}"

[web]
port = 0

[api]
port = {page_port}
grpc_port = -1

[log]
format = "human"
"""
