"""The whole brain without Kafka: requests drawn by the split in force, folded, merged and stepped, minute by minute."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from app.core import commands, facts
from app.core.assign import assign
from app.core.batch import Batch
from app.core.commands import COMMAND, Command
from app.core.decision import Outcome, encode_outcome
from app.core.document import ServiceDocument
from app.core.events import Feedback, FeedbackEvent, Receipt, Response, ResponseEvent, rfc3339
from app.core.fold import Fold
from app.core.merge import Merge
from app.core.outputs import ACCEPTED, Output
from app.core.ports import Record
from app.core.row import Row
from app.core.split import Split, decode

START_S = 1_700_000_040
SERVICE = "chat"


@dataclass
class Arm:
    """How an arm behaves: cost (USD), latency (ms), quality (mean score), error rate."""

    cost: float = 0.01
    latency: float = 900.0
    quality: float = 0.8
    errors: float = 0.005


@dataclass
class Loop:
    """``arms`` may be changed while running; ``follow`` False: the gateway keeps its old split."""

    arms: dict[str, Arm]
    requests: int = 120
    scored: float = 1.0
    seed: int = 1
    follow: bool = True
    default_arm: str = ""
    outputs: list[Output] = field(default_factory=list)
    minute: int = 0
    split: Split | None = None
    served: dict[tuple[str, str], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._rnd = random.Random(self.seed)
        self._offset = self._facts = self._commands = 0
        self._events: list[Any] = []
        self._fold = Fold(
            "llm.responses-0", None, decode=lambda value, _: self._events[int(value or b"0")], lateness_s=0, ahead_s=0,
            topology={"llm.responses": 1}, facts_partitions=1, partition_of=lambda _: 0,
        )  # fmt: skip
        self._merge = Merge(0, None, {}, {}, writer="w", lateness_s=0, silent_s=10**9, to_record=self._keep)

    @property
    def merge(self) -> Merge:
        return self._merge

    @property
    def row(self) -> Row:
        return self._merge.rows[SERVICE]

    @property
    def now_s(self) -> int:
        return START_S + 60 * self.minute

    def said(self, *types: str) -> list[dict[str, Any]]:
        """Data of the outputs of these types (all but aggregates when none is named), with their type, in order."""
        chosen = [o for o in self.outputs if (o.type in types if types else o.role == "optimizations")]
        return [{"type": o.type.rpartition(".")[2], **msgspec.json.decode(o.data)} for o in chosen]

    def actions(self) -> list[str]:
        return [f"{d['type']}:{d.get('action', '')}" for d in self.said()]

    def configure(self, document: ServiceDocument) -> None:
        self.order("configure", commands.Configure(document))

    def order(self, verb: str, args: commands.Args, service: str = SERVICE) -> None:
        command = Command(service=service, command=verb, args=args, actor="alice")  # type: ignore[arg-type]  # a test names its verb
        self.control(COMMAND, commands.to_json(command), service)

    def control(self, type_: str, data: bytes, service: str = SERVICE) -> None:
        fact = facts.ControlFact(
            "llm.commands-0", self._commands, service, type_, f"c{self._commands}", self.now_s, data
        )
        self._commands += 1
        self._write(facts.encode(fact))

    def accepts(self, *capabilities: str) -> None:
        """The gateway took the newest split and says what it can do."""
        split = self.row.split
        assert split is not None
        outcome = Outcome(decision_id=split.decision_id, service=SERVICE, version=split.version, gateway="g",
                          capabilities=capabilities)  # fmt: skip
        self.control(ACCEPTED, encode_outcome(outcome))

    def run(self, minutes: int, until: Callable[["Loop"], bool] = lambda _: False) -> "Loop":
        for _ in range(minutes):
            self._traffic()
            self.minute += 1
            self._tick()
            if until(self):
                break
        return self

    def _traffic(self) -> None:
        for i in range(self.requests):
            self._request(f"{self.minute}-{i}", self.now_s + (60 * i) // max(1, self.requests))

    def _request(self, identity: str, time_s: int) -> None:
        split = self.split
        if split is None:
            slice_, arm, version, group = "main", self.default_arm or next(iter(self.arms)), 0, None
        else:
            drawn = assign(split, identity)
            slice_, arm, version, group = drawn.slice, drawn.arm, split.version, drawn.session_group
            if drawn.mirror:
                self._answer("shadow-" + identity, time_s, "shadow", drawn.mirror, version, group)
        self._answer(identity, time_s, slice_, arm, version, group)

    def _answer(self, identity: str, time_s: int, slice_: str, arm: str, version: int, group: int | None) -> None:
        self.served[slice_, arm] = self.served.get((slice_, arm), 0) + 1
        behaviour, rnd = self.arms[arm], self._rnd
        data = Response(
            service=SERVICE, model=arm, arm=arm, slice=slice_, version=version, session_group=group,  # type: ignore[arg-type]  # drawn from the split
            latency_ms=behaviour.latency * rnd.lognormvariate(0, 0.4), input_tokens=rnd.randrange(100, 2000),
            output_tokens=200, cost_usd=behaviour.cost * rnd.uniform(0.5, 1.5),
            status="error" if rnd.random() < behaviour.errors else "ok",
        )  # fmt: skip
        self._events.append(ResponseEvent(identity, "/gw", "response", data, rfc3339(time_s)))
        if rnd.random() < self.scored:
            score = min(1.0, max(0.0, rnd.gauss(behaviour.quality, 0.11)))
            receipt = Receipt(SERVICE, arm, slice=slice_, version=version, session_group=group)  # type: ignore[arg-type]  # as above
            feedback = Feedback(service=SERVICE, source="judge", quality=score, receipt=receipt)
            self._events.append(FeedbackEvent("f" + identity, "/gw", "feedback", feedback, rfc3339(time_s)))

    def _tick(self) -> None:
        beat = Response(service="clock", model="m", latency_ms=1.0)
        self._events.append(ResponseEvent(f"beat{self.minute}", "/gw", "response", beat, rfc3339(self.now_s)))
        first, end = self._offset, len(self._events)
        values: list[bytes | None] = [str(i).encode() for i in range(first, end)]
        self._fold.fold(
            Batch("llm.responses-0", values, list(range(first, end)), start=first, end=end, segments=[(end, 1 << 52)])
        )
        self._offset = end
        cut = self._fold.cut()
        self._fold.acked(cut)
        for record in cut.phases[0]:
            self._write(record.value or b"")

    def _write(self, value: bytes) -> None:
        at = self._facts
        self._facts += 1
        append_ms = 1000 * self.now_s
        self._merge.fold(Batch("facts-0", [value], [at], start=at, end=at + 1, segments=[(at + 1, append_ms)]))
        self._merge.acked(self._merge.cut())

    def _keep(self, output: Output) -> Record:
        self.outputs.append(output)
        if output.role == "splits" and self.follow:
            self.split = decode(output.data)
        return Record(output.role, None, output.data)
