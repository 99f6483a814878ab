"""Stand-ins for the lane's tests: an engine that counts, and a broker as the lane's ``Reader`` sees it."""

from collections.abc import Callable, Collection, Mapping
from typing import NoReturn

from aiokafka.structs import TopicPartition

from app.adapters.kafka.fence import Committed, Fence, Verdict
from app.adapters.kafka.idleness import LogEnd
from app.adapters.kafka.lane import Lane, Start
from app.adapters.kafka.options import LaneOptions
from app.core.batch import Batch
from app.core.ports import Cut, Point, Record

OPTIONS = LaneOptions(group="g", bootstrap_servers="127.0.0.1:1", broker_wait_s=0.0)
TP = TopicPartition("t", 0)


class Counting:
    """Counts records; the count is its commit metadata, so a restart goes on counting."""

    def __init__(self, start: Start) -> None:
        self.start = start
        self.point = start.point or Point(start.log_start, "0")
        self.position = self.point.offset
        self.n = int(self.point.metadata)
        self.watermark = 0
        self.appended_s = 0
        self.caught_up = True
        self.idle: list[int] = []
        self.committed_points: list[Point] = []
        self.counts: dict[str, int] = {}
        self.flying = False

    def fold(self, batch: Batch) -> None:
        self.n += len(batch.values)
        self.counts["counted"] = self.counts.get("counted", 0) + len(batch.values)
        self.position = batch.end
        self.appended_s = batch.append_ms(batch.end) // 1000

    def cut(self) -> Cut:
        assert not self.flying, "cut before the last one was acked"
        self.flying = True
        facts = Record("facts", b"k", str(self.n).encode(), self.start.partition)
        row = Record("services", b"row", str(self.n).encode(), self.start.partition)
        return Cut(((facts,), (row,)), Point(self.position, str(self.n)), self.position)

    def acked(self, cut: Cut) -> None:
        self.point = cut.point
        self.flying = False

    def committed(self, point: Point) -> None:
        self.committed_points.append(point)

    def set_idle(self, second: int) -> None:
        self.idle.append(second)


class Ended(Exception):  # noqa: N818  # the process ended; not an error of the code under test
    """What ``on_fatal`` raises in tests instead of ending the process."""


def ended(code: int, reason: str) -> NoReturn:
    raise Ended(code, reason)


class FakeReader:
    """A group coordinator and a log per partition, in memory."""

    def __init__(self) -> None:
        self.owned = {TP}
        self.fence = Fence(1, "member")
        self.points: dict[TopicPartition, Committed] = {TP: Committed(None, 0, 1000)}
        self.verdict: Verdict = "accepted"
        self.seeks: list[Mapping[TopicPartition, int]] = []
        self.commits: list[tuple[Mapping[TopicPartition, Point], Fence]] = []
        self.end: LogEnd | None = None
        self.ends: dict[TopicPartition, int] = {TP: 0, TopicPartition("t", 9): 7}
        self.fetched: int | None = None
        self.failures: list[Exception] = []
        self.before_answer: Callable[[], None] = lambda: None

    def assigned(self) -> set[TopicPartition]:
        return set(self.owned)

    def partition_counts(self) -> Mapping[str, int]:
        return {"t": 1}

    def log_end(self, tp: TopicPartition) -> LogEnd | None:
        return self.end

    def fetch_position(self, tp: TopicPartition) -> int | None:
        return self.fetched

    async def restart_points(self, tps: Collection[TopicPartition]) -> tuple[Fence, Mapping[TopicPartition, Committed]]:
        if self.failures:
            raise self.failures.pop(0)
        return self.fence, {tp: self.points[tp] for tp in tps}

    async def log_start(self, tp: TopicPartition) -> int:
        return self.points[tp].log_start

    async def log_ends(self, topics: Collection[str]) -> Mapping[TopicPartition, int]:
        return self.ends

    async def seek(self, positions: Mapping[TopicPartition, int]) -> None:
        self.seeks.append(dict(positions))

    async def commit(self, points: Mapping[TopicPartition, Point], fence: Fence) -> Verdict:
        self.commits.append((dict(points), fence))
        self.before_answer()
        return self.verdict


def batch(first: int, n: int, source: str = "t-0", append_ms: int = 0) -> Batch:
    offsets = list(range(first, first + n))
    return Batch(
        source, [b"v"] * n, offsets, start=first, end=first + n, segments=[(first + n, append_ms)] if n else []
    )


def lane_of(reader: FakeReader, options: LaneOptions = OPTIONS, **kwargs: object) -> Lane:
    lane = Lane(options, ["t"], Counting, on_fatal=ended, **kwargs)  # type: ignore[arg-type]  # keywords of single tests
    lane.reader = reader
    return lane
