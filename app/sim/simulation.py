"""A scenario played against the whole optimizer in this process: no Kafka, no clock, the same bytes every time.

The gateway is the reference Orchestrator without its network; it takes a split at the end of the minute in which it was
decided, unless a fault says that it refuses configuration. Event time begins at a fixed moment.
"""

from collections.abc import Callable
from pathlib import Path

import msgspec

from app.core import outputs
from app.core.commands import Command, Configure
from app.core.decision import Outcome, encode_outcome
from app.core.document import DocumentError, ServiceDocument, from_object, parse_toml
from app.core.outputs import Output
from app.core.split import Split, decode
from app.sim.brain import Brain
from app.sim.closed_loop import TICK_S, ClosedLoop
from app.sim.orchestrator_state import OrchestratorState
from app.sim.outbox import Message
from app.sim.routing import StateRouter
from app.sim.scenario import Scenario, ScenarioError
from app.sim.service_run import Bill

START_S = 1_767_225_600
"""2026-01-01T00:00:00Z."""
GATEWAY = "llm.outcomes-0"
NAME = "simulated"
CAPABILITIES = ("shadow", "slices", "sticky", "weights")


class Simulation:
    """One run. Mutable; ``run`` may be called once. ``folder``: where the documents of the scenario are."""

    def __init__(self, scenario: Scenario, folder: Path) -> None:
        self.scenario = scenario
        self.brain = Brain()
        self._folder = folder
        self._seen = 0
        self._down = False
        self._applied: set[tuple[str, str]] = set()
        self._promoted: set[tuple[str, str]] = set()
        self._wanted: dict[str, Split] = {}
        self._gateway = OrchestratorState(clock=lambda: float(self.brain.now_s))
        self.loop = ClosedLoop(
            scenario,
            start_s=START_S,
            router=StateRouter(self._gateway),
            sink=self,
            follow=self._follow,
            outage=self._outage,
        )
        self.brain.now_s = self.loop.now_s
        self.bills: dict[str, dict[int, Bill]] = {service.name: {} for service in scenario.services}

    @property
    def said(self) -> list[tuple[int, Output]]:
        """Everything the optimizer said, each with the event time at which it was known."""
        return self.brain.said

    def run(self, told: Callable[[int], None] = lambda _: None) -> None:
        """Walk through the scenario; ``told(now_s)`` is called once a minute."""
        self._apply_due()
        self._take()
        for tick in self.loop.ticks():
            told(tick.now_s)

    # ---- the gateway ----
    def serving(self, service: str) -> Split | None:
        """The split traffic follows."""
        return self._gateway.serving(service)

    def _outage(self, down: bool) -> None:
        self._down = down

    # ---- the optimizer ----
    def send(self, message: Message) -> None:
        """A ``closed_loop.Sink``: one record of telemetry."""
        self.brain.send(message)

    def flush(self) -> None:
        """The telemetry of this minute is counted at its end."""
        self.brain.now_s = self.loop.now_s + TICK_S
        self.brain.flush()

    def _follow(self, now_s: int) -> None:
        for run in self.loop.runs:
            self.bills[run.service.name][now_s] = msgspec.structs.replace(run.bill)
        self._apply_due()
        self._take()

    def _take(self) -> None:
        """Let the gateway take the newest split of each service, and say so."""
        for _, output in self.said[self._seen :]:
            if output.role == "splits":
                self._wanted[output.service] = decode(output.data)
            elif output.type == outputs.DECIDED:
                self._note(output)
        self._seen = len(self.said)
        if self._down:
            return
        for service, split in sorted(self._wanted.items()):
            self._gateway.apply(split)
            outcome = Outcome(
                decision_id=split.decision_id,
                service=service,
                version=split.version,
                gateway=NAME,
                capabilities=CAPABILITIES,
            )
            self.brain.control(GATEWAY, service, outputs.ACCEPTED, encode_outcome(outcome))
        self._wanted = {}

    # ---- documents ----
    def _note(self, output: Output) -> None:
        data = msgspec.json.decode(output.data)
        if data["action"] in ("promote", "admit"):
            self._promoted.add((output.service, str(data["evidence"].get("challenger", ""))))

    def _apply_due(self) -> None:
        """Put the documents in force whose time has come, each once."""
        for service in self.scenario.services:
            if service.document and (service.name, "") not in self._applied:
                self._configure(service.name, "", _inline(service.name, service.document))
            for document in service.documents:
                place = (service.name, document.file)
                due = not document.after_promotion_of or (service.name, document.after_promotion_of) in self._promoted
                if due and place not in self._applied:
                    self._configure(*place, _from_file(self._folder / document.file))

    def _configure(self, service: str, file: str, document: ServiceDocument) -> None:
        self._applied.add((service, file))
        command = Command(
            service=document.service, command="configure", args=Configure(document), actor="scenario", reason=file
        )
        self.brain.order(command)


def _inline(service: str, raw: dict[str, object]) -> ServiceDocument:
    try:
        return from_object({"service": service, **raw})
    except DocumentError as error:
        raise ScenarioError(f"service {service!r}: document: {error}") from error


def _from_file(path: Path) -> ServiceDocument:
    try:
        return parse_toml(path.read_text(), str(path))
    except (OSError, DocumentError) as error:
        raise ScenarioError(f"{path}: {error}") from error
