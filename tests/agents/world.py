"""A log of splits and commands, a gateway in memory, and an actuator that can be killed at any time."""

from typing import Any

import msgspec

from agents.actuate import actuate
from app.adapters.gateways.memory import MemoryGateway
from app.core.actuator import Actuator, Rules
from app.core.batch import Batch
from app.core.freeze import Freezes
from app.core.ports import Record
from app.core.split import Split
from tests.core.splits import batch, command, decode_command, logged

RULES = Rules(gateway="memory", recheck_s=5, deadline_s=60, backoff_s=1, backoff_limit_s=8)


class World:
    """Append times count up by one; ``now`` is the actuator's clock."""

    def __init__(self, rules: Rules = RULES, gateway: Any = None) -> None:
        self.rules = rules
        self.gateway: Any = gateway or MemoryGateway()
        self.splits: list[Batch] = []
        self.commands: list[Batch] = []
        self.clock_ms = 0
        self.now = 0.0
        self.written: list[Record] = []
        self.restart()

    def restart(self) -> None:
        self.freezes = Freezes(decode_command)
        self.engine = Actuator(self.rules, self.freezes)
        for one in self.commands:
            self.freezes.fold(one)
        self.freezes.complete()
        for one in self.splits:
            self.engine.fold(one)

    def publish(self, *items: Split) -> None:
        self.clock_ms += 1
        self.splits.append(logged(*items, at_ms=self.clock_ms, start=self.engine.position))
        self.engine.fold(self.splits[-1])

    def command(self, verb: str, service: str = "*", **args: object) -> None:
        self.clock_ms += 1
        self.commands.append(batch([command(verb, service, args)], at_ms=self.clock_ms))
        self.freezes.fold(self.commands[-1])

    async def tick(self, seconds: float = 0.0) -> int:
        self.now += seconds
        return await actuate(self.engine, self.gateway, self.now)

    def write(self) -> list[Record]:
        cut = self.engine.cut()
        records = [record for phase in cut.phases for record in phase]
        self.engine.acked(cut)
        self.written += records
        return records

    def held(self, service: str = "bot") -> Split | None:
        applied = self.gateway.store.read(service)
        return None if applied is None else applied.split

    async def drive(self, seconds: float, step: float = 1.0) -> None:
        for _ in range(int(seconds / step)):
            await self.tick(step)


def types(records: list[Record]) -> list[str]:
    return [dict(record.headers)["ce_type"].decode() for record in records]


def header(record: Record, name: str) -> str:
    return dict(record.headers)[name].decode()


def told(record: Record) -> Any:
    return msgspec.json.decode(record.value or b"")
