"""Recorded facts with another service document in them: every ``configure`` of its service says the other one."""

from collections.abc import Iterable, Iterator

import msgspec

from app.core import facts
from app.core.commands import COMMAND, Command, CommandError, Configure, parse, to_json
from app.core.document import ServiceDocument
from app.core.facts import ControlFact
from app.core.replay import FactsFrame


class Swapped(msgspec.Struct, frozen=True):
    """A facts record with other bytes at the same place."""

    partition: int
    offset: int
    append_ms: int
    value: bytes


class Swap:
    """Replaces documents while facts pass; ``count``: how many configure commands of the service there were."""

    def __init__(self, document: ServiceDocument) -> None:
        self.count = 0
        self._document = document

    def frames(self, recorded: Iterable[FactsFrame]) -> Iterator[FactsFrame]:
        """``recorded`` with the other document, everything else byte for byte as it was."""
        for frame in recorded:
            value = self._other(frame.value)
            yield frame if value is None else Swapped(frame.partition, frame.offset, frame.append_ms, value)

    def _other(self, value: bytes) -> bytes | None:
        try:
            fact = facts.decode(value)
        except msgspec.MsgspecError:
            return None
        if not isinstance(fact, ControlFact) or fact.type != COMMAND or fact.service != self._document.service:
            return None
        try:
            command = parse(fact.data)
        except CommandError:
            return None
        return self._configured(fact, command) if isinstance(command.args, Configure) else None

    def _configured(self, fact: ControlFact, command: Command) -> bytes:
        self.count += 1
        other = msgspec.structs.replace(command, args=Configure(self._document))
        return facts.encode(msgspec.structs.replace(fact, data=to_json(other)))
