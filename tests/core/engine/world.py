"""A small world around the two engines: logs in memory, torn sends, crashes, zombies. No Kafka, no clock, no threads.

``run_fold`` and ``run_merge`` drive one partition's engine through its log with random batch splits, crash points and
zombies that go on writing; the records that landed and the final state are what the tests compare.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import msgspec

from app.core import facts
from app.core.batch import Batch
from app.core.events import (
    ControlEvent,
    Event,
    Feedback,
    FeedbackEvent,
    Ignored,
    Many,
    Receipt,
    Rejected,
    Response,
    ResponseEvent,
    rfc3339,
)
from app.core.fold import Fold
from app.core.merge import Merge
from app.core.outputs import Output
from app.core.ports import Cut, Point, Record

PARTITIONS = 2
LATENESS_S = 60
BASE_S = 1_700_000_040  # the start of a minute
TOPOLOGY = {"a": 2}

Log = list[tuple[int, bytes]]
"""(offset, value) in order; offsets may have holes."""


# ---- a codec small enough to be obvious: what the engines fold is decided by the event, not by its bytes ----
_events = msgspec.msgpack.Decoder(tuple[str, bytes])
_kinds: dict[str, type] = {k.__name__: k for k in (ResponseEvent, FeedbackEvent, ControlEvent, Rejected, Ignored)}


def encode(event: Event) -> bytes:
    if isinstance(event, Many):
        return msgspec.msgpack.encode(("Many", msgspec.msgpack.encode([encode(one) for one in event.events])))
    return msgspec.msgpack.encode((type(event).__name__, msgspec.msgpack.encode(event)))


def decode(value: bytes | None, _headers: object) -> Event:
    if value is None:
        return Ignored("tombstone")
    kind, data = _events.decode(value)
    if kind == "Many":
        return Many(tuple(decode(one, ()) for one in msgspec.msgpack.decode(data, type=list[bytes])))  # type: ignore[misc]  # evidence only
    event: Event = msgspec.msgpack.decode(data, type=_kinds[kind])
    return event


def events_of(value: bytes) -> list[Event]:
    """Every event of a record."""
    event = decode(value, ())
    return list(event.events) if isinstance(event, Many) else [event]


def partition_of(service: str) -> int:
    return int(service[1:]) % PARTITIONS


def to_record(output: Output) -> Record:
    value = str(output.time_s).encode() + b" " + output.data
    return Record(output.role, output.service.encode(), value, None, (("ce_id", output.id.encode()),))


def batch(source: str, records: Log, end: int, append_ms: int = 1 << 52) -> Batch:
    """``append_ms`` is far ahead, so that no event is from the future unless a test says so."""
    offsets = [offset for offset, _ in records]
    start = offsets[0] if offsets else end
    return Batch(source, [v for _, v in records], offsets, start=start, end=end, segments=[(end, append_ms)])


# ---- logs ----
def response(identity: str, time_s: int, service: str, arm: str, **more: object) -> ResponseEvent:
    data = {"service": service, "model": arm, "latency_ms": 1.0 + hash_of(identity) % 97, "cost_usd": 0.5, **more}
    return ResponseEvent(identity, "/test", "response", msgspec.convert(data, Response), rfc3339(time_s))


def feedback(identity: str, time_s: int, service: str, arm: str) -> FeedbackEvent:
    receipt = Receipt(service, arm, slice="trial", version=1, session_group=hash_of(identity) % 64)
    return FeedbackEvent(
        identity,
        "/test",
        "feedback",
        Feedback(service=service, source="judge", quality=0.5, receipt=receipt),
        rfc3339(time_s),
    )


def hash_of(text: str) -> int:
    """Not Python's hash: that one differs from run to run."""
    return sum(ord(c) * int(31**i) for i, c in enumerate(text)) % 1_000_003


def command(identity: str, service: str, name: str) -> ControlEvent:
    data = {
        "service": service,
        "command": name,
        "args": {"document": {"service": service}} if name == "configure" else {},
    }
    return ControlEvent(identity, "/test", "io.llm-platform.optimizer.command", service, msgspec.json.encode(data), "")


def evidence_logs(rnd: random.Random, events: int = 300) -> dict[str, Log]:
    """Two sources with disorder within lateness, late events, producer duplicates, garbage; one has offset holes."""
    logs: dict[str, list[bytes]] = {"a-0": [], "a-1": []}
    time_s = BASE_S
    for i in range(events):
        time_s += rnd.choice((0, 1, 2, 5))
        log = logs[rnd.choice(("a-0", "a-1"))]
        when = time_s - rnd.choice((0, 0, 0, 7, 31, 59, 400))
        service, arm = f"s{rnd.randrange(4)}", f"m{rnd.randrange(2)}"
        make = rnd.random()
        event: Event = response(f"e{i}", when, service, arm) if make < 0.9 else feedback(f"e{i}", when, service, arm)
        log.append(encode(Rejected("garbage", str(i)) if make > 0.98 else event))
        if rnd.random() < 0.03 and isinstance(
            event, ResponseEvent
        ):  # the same id from another producer is another event
            log.append(encode(msgspec.structs.replace(event, source="/other")))
        if rnd.random() < 0.15:
            log.append(log[-min(len(log), rnd.randrange(1, 40))])
    for i, log in enumerate(logs.values()):  # the last panes close, and an hour later without traffic the windows
        log += [encode(response(f"tail{i}{later}", time_s + later, "s9", "z")) for later in (200, 4000)]
    records = {name: packed(rnd, log) for name, log in logs.items()}
    return {name: [(j * (1 + i), v) for j, v in enumerate(log)] for i, (name, log) in enumerate(records.items())}


def packed(rnd: random.Random, log: list[bytes]) -> list[bytes]:
    """The same events in the same order, with runs of some of them in one record, and now and then none at all."""
    rest, records = list(log), []
    while rest:
        many = rnd.choice((1, 1, 1, 1, 0, 2, 5, 12))
        records.append(encode(Many(tuple(decode(v, ()) for v in rest[:many]))) if many != 1 else rest[0])  # type: ignore[misc]  # evidence only
        del rest[:many]
    return records


# ---- stage 1 ----
@dataclass
class Landed:
    """What reached the facts log, by partition, in order, and the dead letters."""

    facts: dict[int, list[bytes]] = field(default_factory=lambda: {p: [] for p in range(PARTITIONS)})
    dead: list[Record] = field(default_factory=list)

    def put(self, record: Record) -> None:
        if record.role == "dead_letters":
            self.dead.append(record)
        else:
            assert record.partition is not None and record.value is not None
            self.facts[record.partition].append(record.value)


E = TypeVar("E", bound=Fold | Merge)


class Owner(Generic[E]):
    """One incarnation of an engine with a send in flight: ``torn`` sends stop anywhere and may go on later."""

    def __init__(self, engine: E, put: Callable[[Record], None]) -> None:
        self.engine: E = engine
        self._put = put
        self._flying: tuple[list[Record], Cut] | None = None

    def send(self, rnd: random.Random, *, torn: bool) -> None:
        records, cut = self._flying or self._cut()
        many = rnd.randrange(len(records) + 1) if torn else len(records)
        for record in records[:many]:
            self._put(record)
        self._flying = (records[many:], cut)
        if many == len(records):
            self._flying = None
            self.engine.acked(cut)

    def _cut(self) -> tuple[list[Record], Cut]:
        cut = self.engine.cut()
        return [record for phase in cut.phases for record in phase], cut

    @property
    def flying(self) -> bool:
        return self._flying is not None

    def fold(self, log: Log, rnd: random.Random, most: int) -> None:
        ahead = [r for r in log if r[0] >= self.engine.position][: rnd.randrange(1, most)]
        if ahead:
            self.engine.fold(batch("x-0", ahead, ahead[-1][0] + 1))


def drive(
    rnd: random.Random, log: Log, make: Callable[[Point | None], E], put: Callable[[Record], None], *, crashes: float
) -> E:
    """Run incarnations until the log is folded and acked. Crashes leave zombies that go on folding and sending."""
    committed: Point | None = None
    owner: Owner[E] = Owner(make(None), put)
    zombies: list[Owner[E]] = []
    left = 6 if crashes else 0
    end = log[-1][0] + 1
    while True:
        for one in [owner, *[z for z in zombies if rnd.random() < 0.5]]:
            if one.flying:
                one.send(rnd, torn=rnd.random() < 0.5)
                continue
            one.fold(log, rnd, 25)
            if rnd.random() < 0.5:
                one.send(rnd, torn=one is not owner)
        if rnd.random() < 0.5 and owner.engine.point.metadata:
            committed = owner.engine.point
            owner.engine.committed(committed)
        if left and rnd.random() < crashes:
            left -= 1
            if not owner.flying:
                owner.send(rnd, torn=True)
            zombies.append(owner)
            del zombies[: -2 if rnd.random() < 0.5 else len(zombies)]
            owner = Owner(make(committed), put)
        if owner.engine.position >= end and not owner.flying:
            owner.send(rnd, torn=False)
            return owner.engine


def data_of(value: bytes) -> dict[str, Any]:
    """The JSON data of an output's bytes."""
    decoded: dict[str, Any] = msgspec.json.decode(value.partition(b" ")[2])
    return decoded


def make_fold(source: str, **more: object) -> Callable[[Point | None], Fold]:
    settings = {
        "decode": decode,
        "lateness_s": LATENESS_S,
        "ahead_s": 30,
        "topology": TOPOLOGY,
        "facts_partitions": PARTITIONS,
        "partition_of": partition_of,
        **more,
    }
    return lambda point: Fold(source, point, **settings)  # type: ignore[arg-type]  # one dict of mixed settings


def stage1(rnd: random.Random, source: str, log: Log, *, crashes: float, **more: object) -> tuple[Landed, Fold]:
    landed = Landed()
    engine = drive(rnd, log, make_fold(source, **more), landed.put, crashes=crashes)
    return landed, engine


# ---- stage 2 ----
@dataclass
class Store:
    """The changelogs as a loader would see them, and every output that landed."""

    services: dict[bytes, bytes] = field(default_factory=dict)
    windows: dict[bytes, bytes] = field(default_factory=dict)
    outputs: list[tuple[str, bytes]] = field(default_factory=list)

    def put(self, record: Record) -> None:
        if record.role in ("services", "windows"):
            table = self.services if record.role == "services" else self.windows
            assert record.key is not None
            if record.value is None:
                table.pop(record.key, None)
            else:
                table[record.key] = record.value
        else:
            assert record.value is not None
            self.outputs.append((dict(record.headers)["ce_id"].decode(), record.value))


@dataclass
class Said:
    """The outputs by id (first seen), ids that came with two payloads, and the final rows."""

    outputs: dict[str, bytes]
    conflicts: list[str]
    rows: dict[str, bytes]


def stage2(rnd: random.Random, partition: int, log: Log, *, crashes: float) -> Said:
    store = Store()
    writers = iter(range(1_000_000))

    def make(point: Point | None) -> Merge:
        return Merge(
            partition, point, dict(store.services), dict(store.windows),
            writer=f"w{next(writers)}", lateness_s=LATENESS_S, silent_s=10**9, to_record=to_record,
        )  # fmt: skip

    engine = drive(rnd, log, make, store.put, crashes=crashes)
    engine.committed(engine.point)
    reloaded = make(engine.point)
    outputs: dict[str, bytes] = {}
    conflicts = [identity for identity, value in store.outputs if outputs.setdefault(identity, value) != value]
    return Said(outputs, conflicts, {name: msgspec.msgpack.encode(row) for name, row in sorted(reloaded.rows.items())})


def interleave(rnd: random.Random, lists: list[list[bytes]]) -> Log:
    """Any interleaving that keeps each list's own order."""
    rest = [list(x) for x in lists if x]
    merged: list[bytes] = []
    while rest:
        chosen = rnd.choice(rest)
        merged.append(chosen.pop(0))
        rest = [x for x in rest if x]
    return list(enumerate(merged))


def control_fact(offset: int, service: str, name: str, source: str = "llm.commands-0") -> bytes:
    event = command(f"c{offset}", service, name)
    return facts.encode(facts.ControlFact(source, offset, service, event.type, event.id, BASE_S, event.data))
