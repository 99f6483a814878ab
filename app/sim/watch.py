"""The optimizer seen from outside: what its public topics say, record by record. Mutable; knows no Kafka.

It is the simulator's yardstick (how far has the optimizer come, did it count exactly, does an id ever have two
payloads) and the source of the live view.
"""

import hashlib
from collections.abc import Iterable

import msgspec

from app.adapters.kafka.subscriber import Seen
from app.adapters.readmodel.told import Told, told
from app.core import split as splits
from app.core.actuation import newness
from app.core.events import epoch_s
from app.core.outputs import SAVINGS
from app.core.split import Split
from app.settings import Topics
from app.sim.ledger import Key, Sums

MINUTE_S = 60
VIEW_WINDOW_S = 900
MAX_TOLD = 10_000


class _Latency(msgspec.Struct, frozen=True):
    mean: float = 0.0
    p95: float = 0.0


class _Score(msgspec.Struct, frozen=True):
    n: int = 0
    mean: float = 0.0


class Row(msgspec.Struct, frozen=True):
    """The part of an aggregate that is watched. ``window_s`` seconds from ``window_start``; USD, ms."""

    service: str
    segment: str
    arm: str
    slice: str
    window_start: str
    window_end: str
    window_s: int
    count: int
    errors: int
    late: int
    input_tokens: int
    output_tokens: int
    cost_usd: float
    latency_ms: _Latency
    quality: dict[str, _Score] = {}
    complete: bool = True


class Proof(msgspec.Struct, frozen=True):
    """What the optimizer says it has saved: USD per request against the holdout, with its always-valid interval.

    ``why_not`` is empty when it is ``proven``. ``until``: end of the period the claim is about (RFC 3339).
    """

    service: str
    baseline: str
    until: str
    requests: int
    holdout_requests: int
    saving: float
    low: float | None = None
    high: float | None = None
    proven: bool = False
    why_not: str = ""


_decode_proof = msgspec.json.Decoder(Proof).decode
_decode_row = msgspec.json.Decoder(Row).decode


class Watch:
    """Everything seen so far. ``closed_s``: end of the newest closed minute of each service (epoch seconds)."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self._payloads: dict[str, bytes] = {}
        self.closed_s: dict[str, int] = {}
        self.minutes: dict[Key, Sums] = {}
        self.recent: dict[tuple[str, str], Row] = {}
        self.splits: dict[str, Split] = {}
        self.savings: dict[str, Proof] = {}
        self.told: list[Told] = []
        self.late = 0
        self.incomplete = 0
        self.dead_letters: dict[str, int] = {}
        self.repeated = 0
        self.conflicts: list[str] = []
        self.unreadable = 0

    def take(self, records: Iterable[Seen]) -> int:
        """Take new records; returns how many there were."""
        count = 0
        for seen in records:
            count += 1
            if seen.topic == self._topics.dead_letters:
                reason = dict(seen.headers).get("reason", b"?").decode()
                self.dead_letters[reason] = self.dead_letters.get(reason, 0) + 1
            elif self._first_time(seen):
                self._take(seen)
        return count

    def _first_time(self, seen: Seen) -> bool:
        """Consumers keep the first of an id; a second payload under one id is a fault of the optimizer."""
        identity = f"{seen.topic}/{seen.id}"
        digest = hashlib.blake2b(seen.value, digest_size=8).digest()
        if identity not in self._payloads:
            self._payloads[identity] = digest
            return True
        self.repeated += 1
        if self._payloads[identity] != digest:
            self.conflicts.append(identity)
        return False

    def _take(self, seen: Seen) -> None:
        try:
            if seen.topic == self._topics.aggregates:
                self._aggregate(_decode_row(seen.value))
            elif seen.type == SAVINGS:
                proof = _decode_proof(seen.value)
                self.savings[proof.service] = proof
            elif seen.topic == self._topics.splits:
                self._split(splits.decode(seen.value))
            elif seen.topic == self._topics.optimizations:
                self._tell(told(seen))
        except msgspec.MsgspecError:
            self.unreadable += 1

    def _aggregate(self, row: Row) -> None:
        if row.window_s == VIEW_WINDOW_S and row.slice == "*" and row.arm != "*":
            self.recent[row.service, row.arm] = row
        if row.window_s != MINUTE_S:
            return
        if row.arm == "*":
            self.closed_s[row.service] = max(self.closed_s.get(row.service, 0), epoch_s(row.window_end))
            self.late += row.late
            self.incomplete += not row.complete
        elif row.slice == "*":
            _add(self.minutes.setdefault((row.service, row.arm, epoch_s(row.window_start)), Sums()), row)

    def _split(self, new: Split) -> None:
        held = self.splits.get(new.service)
        if held is None or newness(new) > newness(held):
            self.splits[new.service] = new

    def _tell(self, event: Told | None) -> None:
        if event is None:
            self.unreadable += 1
        elif len(self.told) < MAX_TOLD:
            self.told.append(event)


def _add(total: Sums, row: Row) -> None:
    judge = row.quality.get("judge", _Score())
    total.requests += row.count
    total.errors += row.errors
    total.input_tokens += row.input_tokens
    total.output_tokens += row.output_tokens
    total.cost_usd += row.cost_usd
    total.scores += judge.n
    total.quality += judge.n * judge.mean
