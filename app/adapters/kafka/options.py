"""Every knob of the lane, for one consumer group; and the exit codes of a worker process."""

from typing import Any, Literal

import msgspec

from app.settings import Settings

EXIT_FLUSH = 3
"""Exit code: a flush failed, so its cut is lost to this process (rule L9). A restart repairs it by re-reading."""
EXIT_STATE = 4
"""Exit code: the state of a partition could not be loaded (changelog damaged, metadata unreadable, offsets lost)."""
EXIT_BROKER = 5
"""Exit code: no broker answered within ``broker_wait_s``."""
EXIT_CRASH = 6
"""Exit code: the worker crashed for any other reason; the log says which."""
EXIT_TOPICS = 7
"""Exit code: a topic is missing or wrong; the log says which, and the command that mends it."""
EXIT_REGISTRY = 9
"""Exit code: the schema registry does not answer, or refuses a schema; the log says which."""

ALARM_S = 120.0


class LaneOptions(msgspec.Struct, frozen=True, kw_only=True):
    """One consumer group of one agent; what each means and why stands in the settings. Seconds unless the name says."""

    group: str
    bootstrap_servers: str
    credentials: Any = None
    state_dir: str = "state"
    fetch_min_bytes: int = 128 * 1024
    fetch_max_wait_ms: int = 50
    fetch_idle_wait_ms: int = 250
    """Longest wait of a fetch for the first byte after an empty one; a rebalance may wait for it, twice."""
    fetch_gap_s: float = 0.0
    """Shortest time between two fetches of one broker."""
    fetch_max_partition_bytes: int = 1 << 20
    batch_records: int = 5_000
    buffered_batches: int = 8
    max_unflushed_records: int = 250_000
    session_timeout_s: float = 10.0
    heartbeat_s: float = 3.0
    rebalance_timeout_s: float = 15.0
    request_timeout_s: float = 30.0
    commit_interval_s: float = 1.0
    flush_interval_s: float = 0.25
    flush_eagerly: bool = False
    """Flush after the last fetch before the interval is over, not when it is over."""
    broker_wait_s: float = 120.0
    """How long to wait for a broker while the state of newly assigned partitions is loaded."""
    idle_after_s: float = 0.0
    """A source that stood at its log end for this long may claim to be idle (``idle.claim``); 0 = never."""
    lateness_s: float = 30.0
    alarm_s: float = ALARM_S
    """A source that does not move for this long in log time is named in the log and in a metric (rule O9)."""
    metadata_max_age_s: float = 5.0
    """How soon added partitions are found: what they get before they are declared misses closes, so below lateness."""
    on_retention_gap: Literal["exit", "accept"] = "exit"
    """Retention ran past the committed offset: records are lost. ``exit`` with an explanation, or ``accept`` it."""
    producer_linger_ms: int = 0
    producer_timeout_s: float = 60.0
    max_batch_bytes: int = 1 << 20
    max_request_bytes: int = 4 << 20


def lane_options(
    settings: Settings,
    agent: str,
    *,
    flush_interval_s: float,
    flush_eagerly: bool = False,
    fetch_gap_s: float = 0.0,
    idle_after_s: float = 0.0,
    credentials: Any = None,
) -> LaneOptions:
    """The options of one agent's consumer group, ``<group>-<agent>``. ``fetch_gap_s``: 0, or its records are few and
    wanted at once, so that a fetch waits for a single byte.
    """
    kafka = settings.kafka
    return LaneOptions(
        group=f"{kafka.group}-{agent}",
        bootstrap_servers=kafka.bootstrap_servers,
        credentials=credentials,
        state_dir=settings.state.dir,
        fetch_min_bytes=1 if fetch_gap_s else kafka.fetch_min_bytes,
        fetch_max_wait_ms=kafka.fetch_max_wait_ms,
        fetch_gap_s=fetch_gap_s,
        fetch_max_partition_bytes=kafka.fetch_max_bytes,
        batch_records=kafka.batch_records,
        buffered_batches=kafka.buffer_batches,
        max_unflushed_records=kafka.max_unflushed_records,
        session_timeout_s=kafka.session_timeout_s,
        heartbeat_s=kafka.heartbeat_s,
        rebalance_timeout_s=kafka.rebalance_timeout_s,
        request_timeout_s=kafka.request_timeout_s,
        commit_interval_s=kafka.commit_interval_s,
        flush_interval_s=flush_interval_s,
        flush_eagerly=flush_eagerly,
        broker_wait_s=kafka.broker_wait_s,
        on_retention_gap=kafka.on_retention_gap,
        idle_after_s=idle_after_s,
        lateness_s=settings.ingest.lateness_s,
        alarm_s=min(ALARM_S, settings.optimize.silent_s / 2),
        producer_linger_ms=kafka.producer_linger_ms,
        producer_timeout_s=kafka.producer_timeout_s,
        max_batch_bytes=kafka.max_batch_bytes,
        max_request_bytes=kafka.max_request_bytes,
    )
