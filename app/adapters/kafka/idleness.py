"""Which sources of a lane are called idle, and up to which second (rule I5). Knows Kafka only through ``Logs``."""

import logging
from collections.abc import Collection, Mapping
from typing import Protocol, runtime_checkable

import msgspec
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from app.adapters.kafka.broker_clock import BrokerClock
from app.adapters.kafka.idle import UNKNOWN, Newest, Stand, claim
from app.adapters.kafka.options import LaneOptions

log = logging.getLogger(__name__)


@runtime_checkable
class Source(Protocol):
    """An engine that can be idle: evidence only."""

    position: int
    appended_s: int

    @property
    def watermark(self) -> int: ...
    @property
    def caught_up(self) -> bool: ...
    def set_idle(self, second: int) -> None: ...


class LogEnd(msgspec.Struct, frozen=True):
    """What the last fetch saw: the end of the log, and when (epoch seconds of this machine)."""

    offset: int
    seen_s: float


class Logs(Protocol):
    """Where logs end: as the last fetch saw it (assigned partitions), and as the broker says now (any)."""

    def log_end(self, tp: TopicPartition) -> LogEnd | None: ...
    async def log_ends(self, topics: Collection[str]) -> Mapping[TopicPartition, int]: ...


class Idleness:
    """Mutable: how long each source has stood at its end, and how far its neighbours were meanwhile."""

    def __init__(self, options: LaneOptions, clock: BrokerClock) -> None:
        self._options = options
        self._clock = clock
        self._standing: dict[str, LogEnd] = {}
        self._newest = Newest(options.idle_after_s)

    def clear(self) -> None:
        """Forget what was seen: the partitions may have been another's."""
        self._standing.clear()
        self._newest.clear()

    async def claims(
        self, logs: Logs, tps: Mapping[str, TopicPartition], sources: Mapping[str, Source]
    ) -> dict[str, int]:
        """The second up to which each of ``sources`` is idle, as of now; those that are not are left out.

        ``tps``: all partitions of the lane by name.
        """
        if not self._options.idle_after_s:
            return {}
        ends = {name: end for name, tp in tps.items() if (end := logs.log_end(tp)) is not None}
        stands = {name: self._stand(name, source, ends.get(name)) for name, source in sources.items()}
        heard = {name: source.watermark for name, source in sources.items() if source.watermark > UNKNOWN}
        claims = {name: second for name in heard if (second := self._claim(stands[name])) is not None}
        if heard and ends:
            self._newest.note(max(end.seen_s for end in ends.values()), max(*heard.values(), *claims.values(), UNKNOWN))
        for name in [name for name in sources if name in ends and name not in heard]:
            newest = self._newest.before(ends[name].seen_s)
            if (newest is not None or not heard) and (second := self._claim(stands[name], newest)) is not None:
                claims[name] = second
        return claims if heard or not claims or await _begun(logs, tps, sources) else {}

    def _stand(self, name: str, source: Source, end: LogEnd | None) -> Stand | None:
        """The source where it has been standing; None while it has something to read or to have acked."""
        if end is None or not source.caught_up or end.offset != source.position:
            self._standing.pop(name, None)
            return None
        since = self._standing.get(name)
        if since is None or since.offset != end.offset:
            since = self._standing[name] = end
        seen_s = self._clock.at(end.seen_s)
        if seen_s is None:
            return None
        since_s = seen_s - (end.seen_s - since.seen_s)
        return Stand(end.offset, since_s, seen_s, source.appended_s or None, source.watermark)

    def _claim(self, stand: Stand | None, newest: int | None = None) -> int | None:
        if stand is None:
            return None
        return claim(
            stand,
            newest,
            after_s=self._options.idle_after_s,
            session_s=self._options.session_timeout_s,
            lateness_s=self._options.lateness_s,
        )


async def _begun(logs: Logs, tps: Mapping[str, TopicPartition], sources: Mapping[str, Source]) -> bool:
    """Where none of ``sources`` was ever heard: whether all are read to their ends and the traffic is elsewhere. Before
    the first event everywhere nobody waits for a claim, and the events to come may be of last year.
    """
    try:
        ends = await logs.log_ends({tps[name].topic for name in sources})
    except KafkaError as error:
        log.info("cannot see where the logs end: %r; nothing is called idle", error)
        return False
    return any(ends.values()) and all(ends.get(tps[name], 0) <= source.position for name, source in sources.items())
