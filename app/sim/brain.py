"""The whole optimizer in this process, without Kafka: the bytes of telemetry go through the codec, the fold, the merge
and the rules as they would in a worker, and what comes out is kept with the event time at which it was known.

Mutable. It is a ``Sink`` of the closed loop: what is sent is counted at the next ``flush``. Findings come back as
control facts after it, as they do by the log. One source carries answers and scores, so both share a clock.
"""

from app.adapters.codec import make_decode
from app.core import commands, facts
from app.core.batch import Batch
from app.core.commands import COMMAND, Command
from app.core.facts import ControlFact
from app.core.fold import Fold
from app.core.merge import Merge
from app.core.outputs import FINDING, Output
from app.core.ports import Record
from app.core.row import Row
from app.sim.outbox import Message

SOURCE = "llm.responses-0"
CONTROL = "llm.commands-0"
FINDINGS = "llm.anomalies-0"
SILENT_S = 900


class Brain:
    """``lateness_s`` as in the settings of a worker. ``now_s``: event time reached; set it before each ``flush``."""

    def __init__(self, *, lateness_s: int = 30) -> None:
        self.now_s = 0
        self.said: list[tuple[int, Output]] = []
        self.fresh: list[Output] = []
        self._waiting: list[bytes] = []
        self._sent = self._written = 0
        self._control: dict[str, int] = {}
        self._fold = Fold(
            SOURCE,
            None,
            decode=make_decode(),
            lateness_s=lateness_s,
            ahead_s=0,
            topology={"llm.responses": 1},
            facts_partitions=1,
            partition_of=lambda _: 0,
            road="responses",
        )
        self._merge = Merge(
            0, None, {}, {}, writer="simulate", lateness_s=lateness_s, silent_s=SILENT_S, to_record=self._keep
        )

    def row(self, service: str) -> Row | None:
        """What is known of a service; None before its first event or order."""
        return self._merge.rows.get(service)

    # ---- what comes in ----
    def send(self, message: Message) -> None:
        """One record of telemetry."""
        self._waiting += [message.value] * message.copies

    def order(self, command: Command) -> None:
        """One command of a person."""
        self.control(CONTROL, command.service, COMMAND, commands.to_json(command))

    def control(self, source: str, service: str, type_: str, data: bytes) -> None:
        """One control event, at once."""
        offset = self._control[source] = self._control.get(source, -1) + 1
        fact = ControlFact(source, offset, service, type_, f"{source}-{offset}", self.now_s, data)
        self._write(facts.encode(fact))

    def flush(self) -> None:
        """Count what was sent, close what is over, decide; without telemetry the clock moves all the same."""
        if self._waiting:
            self._count()
        elif self._fold.caught_up:
            self._fold.set_idle(self.now_s)
        cut = self._fold.cut()
        self._fold.acked(cut)
        for record in cut.phases[0]:
            if record.role == "facts":
                self._write(record.value or b"")
        self._hear()

    def _count(self) -> None:
        values: list[bytes | None] = [*self._waiting]
        first, end = self._sent, self._sent + len(values)
        self._fold.fold(
            Batch(SOURCE, values, list(range(first, end)), start=first, end=end, segments=[(end, 1000 * self.now_s)])
        )
        self._sent, self._waiting = end, []

    def _hear(self) -> None:
        findings = [output for output in self.fresh if output.type == FINDING]
        self.fresh = []
        for output in findings:
            self.control(FINDINGS, output.service, FINDING, output.data)
        self.fresh = []

    # ---- what comes out ----
    def _write(self, value: bytes) -> None:
        at = self._written
        self._written = at + 1
        segments = [(at + 1, 1000 * self.now_s)]
        self._merge.fold(Batch("facts-0", [value], [at], start=at, end=at + 1, segments=segments))
        self._merge.acked(self._merge.cut())

    def _keep(self, output: Output) -> Record:
        self.said.append((self.now_s, output))
        self.fresh.append(output)
        return Record(output.role, output.service.encode(), output.data)
