"""How one agent stands now, as readings of the catalogue."""

import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

from app.adapters.kafka.host import Host
from app.adapters.telemetry import catalogue as of
from app.adapters.telemetry.metric import Reading, read
from app.adapters.telemetry.metrics import counted

EVENT_TIME_S = 0
"""Watermarks from 1970 on are times; below, nothing was heard yet."""


@runtime_checkable
class Paned(Protocol):
    """An engine with event time: its watermark (epoch seconds) and how many minutes are open."""

    @property
    def watermark(self) -> int: ...
    @property
    def open_panes(self) -> int: ...


@runtime_checkable
class Moded(Protocol):
    """An engine that keeps services."""

    @property
    def modes(self) -> Mapping[str, int]: ...


def readings(host: Host, *, up_s: float, stalled: int) -> list[Reading]:
    """Everything one agent exports."""
    agent = host.agent.name
    return [
        *_worker(host, agent, up_s, stalled),
        *_sources(host, agent),
        *_services(host, agent),
        *counted(agent, host.stages()),
        *host.agent.shown(),
    ]


def _worker(host: Host, agent: str, up_s: float, stalled: int) -> Iterable[Reading]:
    lane, pump = host.lane, host.pump
    yield read(of.READY, host.ready, agent=agent)
    yield read(of.STALLED, stalled, agent=agent)
    yield read(of.PARTITIONS, len(lane.engines), agent=agent)
    yield read(of.SILENT, len(lane.silent()), agent=agent)
    yield read(of.UNFLUSHED, lane.unflushed, agent=agent)
    yield read(of.RECOVERY_SECONDS, lane.recovery_s, agent=agent)
    yield read(of.RESIDENT, resident_bytes(), agent=agent)
    yield read(of.UP, up_s, agent=agent)
    yield read(of.FOLDED, lane.folded, agent=agent)
    yield read(of.SENT, pump.records, agent=agent)
    yield read(of.FLUSHES, pump.flushes, agent=agent)
    yield read(of.FLUSH_SECONDS, pump.busy_s, agent=agent)
    yield read(of.WAITED_SECONDS, lane.waited_s, agent=agent)
    yield read(of.REBALANCES, lane.built, agent=agent)
    yield read(of.CPU_SECONDS, time.process_time(), agent=agent)


def _sources(host: Host, agent: str) -> Iterable[Reading]:
    now_s, panes = time.time(), 0
    for source, records in host.lane.lag().items():
        yield read(of.LAG_RECORDS, records, agent=agent, source=source)
    for source, seconds in host.lane.lag_seconds(now_s).items():
        yield read(of.LAG_SECONDS, seconds, agent=agent, source=source)
    for source, engine in host.lane.engines.items():
        if isinstance(engine, Paned):
            panes += engine.open_panes
            if engine.watermark >= EVENT_TIME_S:
                yield read(of.WATERMARK_DELAY, now_s - engine.watermark, agent=agent, source=source)
    yield read(of.OPEN_PANES, panes, agent=agent)


def _services(host: Host, agent: str) -> Iterable[Reading]:
    modes: Counter[str] = Counter()
    for engine in host.lane.engines.values():
        if isinstance(engine, Moded):
            modes.update(engine.modes)
    return [read(of.SERVICES, n, agent=agent, mode=mode) for mode, n in sorted(modes.items())]


def resident_bytes() -> int:
    """Resident memory of this process; 0 where the system does not tell (no /proc)."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0
