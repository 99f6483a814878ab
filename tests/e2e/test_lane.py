"""The lane under Faust against a broker, with an engine that only counts."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka.consumer.group_coordinator import CoordinatorGroupRebalance, GroupCoordinator
from aiokafka.errors import GroupAuthorizationFailedError, InvalidRequestError, UnknownError
from confluent_kafka import Producer

from app.adapters.kafka.host import Agent, Host, fold_each
from app.adapters.kafka.lane import Start
from app.adapters.kafka.options import LaneOptions
from app.core.batch import Batch
from app.core.ports import Engine
from tables.services import services
from tests.adapters.kafka.worlds import Counting, ended
from tests.e2e.harness.broker import Broker
from tests.e2e.harness.deployment import Deployment, deploy
from tests.e2e.harness.waits import TooSlow

pytestmark = pytest.mark.e2e
N = 20_000
Seen = tuple[bytes | None, bytes | None, tuple[tuple[str, bytes], ...]]


def fill(deployment: Deployment) -> None:
    producer = Producer({"bootstrap.servers": deployment.settings.kafka.bootstrap_servers, "linger.ms": 2})
    for number in range(N):
        producer.produce(deployment.settings.topics.responses, str(number).encode(), partition=number % 4)
        if number % 400 == 0:  # many record batches: the lane takes them whole
            producer.flush(30)
    assert producer.flush(30) == 0


class Keeping(Counting):
    """Keeps what it folds."""

    def __init__(self, start: Start) -> None:
        super().__init__(start)
        self.seen: list[Seen] = []

    def fold(self, batch: Batch) -> None:
        super().fold(batch)
        keys, headers = batch.keys or (), batch.headers or ((),) * len(batch.values)
        self.seen += zip(batch.values, keys, map(tuple, headers), strict=True)


def host_of(
    deployment: Deployment, state: Path, batch_records: int = 50, engine: Callable[[Start], Engine] = Counting
) -> Host:
    settings = deployment.settings
    address = settings.kafka.bootstrap_servers
    roles = {"facts": settings.topics.facts, "services": settings.topics.services}
    agent = Agent(
        name="count",
        topics=(settings.topics.responses,),
        open=engine,
        run=fold_each,
        roles=roles,
        tables={"services": services},
    )
    options = LaneOptions(
        group=f"{settings.kafka.group}-count",
        bootstrap_servers=address,
        state_dir=str(state),
        session_timeout_s=6,
        heartbeat_s=1,
        rebalance_timeout_s=8,
        batch_records=batch_records,
        fetch_max_partition_bytes=20_000,
        commit_interval_s=0.2,
        flush_interval_s=0.05,
    )
    return Host(agent, options, {"bootstrap_servers": address}, 4, ended)


@asynccontextmanager
async def running(host: Host) -> AsyncIterator[Host]:
    """``host``, started, and ended whatever happens: its thread would keep the suite from ending."""
    await host.start()
    try:
        yield host
    finally:
        await host.stop()


def engines(host: Host) -> list[Counting]:
    return [engine for engine in host.lane.engines.values() if isinstance(engine, Counting)]


async def until(condition: Callable[[], bool], within_s: float = 120) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise TooSlow("it did not happen in time")
        await asyncio.sleep(0.02)


async def test_batches_thrown_away_are_fetched_again_and_a_restart_goes_on_from_the_metadata(
    kafka: Broker, tmp_path: Path
):
    deployment = deploy(kafka, "thrown", tmp_path)
    fill(deployment)
    host, rnd = host_of(deployment, tmp_path), random.Random(5)
    admit = host.lane.admit

    def leaky(batch: Batch) -> Engine | None:
        return None if rnd.random() < 0.2 else admit(batch)

    host.lane.admit = leaky  # type: ignore[method-assign]
    async with running(host):
        await until(lambda: sum(engine.n for engine in engines(host)) == N)
        assert host.lane.counts["resyncs"] > 0
        await until(
            lambda: all(e.committed_points and e.committed_points[-1].offset == e.position for e in engines(host))
        )

    async with running(host_of(deployment, tmp_path)) as again:
        await until(lambda: again.ready and len(engines(again)) == 4)
        assert sum(engine.n for engine in engines(again)) == N
        assert again.lane.folded == 0
        rows = {engine.start.partition: engine.start.rows["services"] for engine in engines(again)}
        assert rows == {engine.start.partition: {b"row": str(engine.n).encode()} for engine in engines(again)}


def produce(deployment: Deployment, texts: Sequence[str], **options: Any) -> list[Seen]:
    """Send ``texts`` to the first partition; what should come out of it."""
    producer = Producer({"bootstrap.servers": deployment.settings.kafka.bootstrap_servers, "linger.ms": 20, **options})
    transactional = "transactional.id" in options
    if transactional:
        producer.init_transactions(30)
        producer.begin_transaction()
    sent: list[Seen] = [
        (text.encode() * 20, b"key" if number % 2 else None, (("number", str(number).encode()),) * (number % 3))
        for number, text in enumerate(texts)
    ]
    for value, key, headers in sent:
        topic = deployment.settings.topics.responses
        producer.produce(topic, value, key, partition=0, headers=list(headers))
    assert producer.flush(30) == 0
    if transactional and texts[0].startswith("rolled back"):
        producer.abort_transaction(30)
        return []
    if transactional:
        producer.commit_transaction(30)
    return sent


async def test_every_compression_and_transactions_come_out_as_they_were_sent(real: Broker, tmp_path: Path):
    deployment = deploy(real, "kinds", tmp_path)
    sent: list[Seen] = []
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        sent += produce(deployment, [f"{codec} {n}" for n in range(300)], **{"compression.type": codec})
    for n, what in enumerate(("committed", "rolled back", "committed again")):
        transaction = {"transactional.id": f"{deployment.settings.kafka.group}-{n % 2}"}
        sent += produce(deployment, [f"{what} {i}" for i in range(100)], **transaction)
    sent += produce(deployment, ["last"])
    async with running(host_of(deployment, tmp_path, engine=Keeping)) as host:
        await until(lambda: sum(engine.n for engine in engines(host)) >= len(sent))
        (seen,) = [engine.seen for engine in host.lane.engines.values() if isinstance(engine, Keeping) and engine.seen]
        assert seen == sent


Answers = Callable[[str, list[Exception]], None]


@pytest.fixture
def group_answers(kafka: Broker, monkeypatch: pytest.MonkeyPatch) -> Answers:
    """Has the group's coordinator answer a request with these errors first, which aiokafka knows nothing to do about."""
    if kafka.real:
        pytest.skip("the answers are put on here: the run against the mock cluster says as much")

    def answer(request: str, errors: list[Exception]) -> None:
        owner = GroupCoordinator if request == "_do_heartbeat" else CoordinatorGroupRebalance
        ask = getattr(owner, request)

        async def asked(*args: Any) -> Any:
            if errors:
                raise errors.pop()
            return await ask(*args)

        monkeypatch.setattr(owner, request, asked)

    return answer


@pytest.mark.parametrize("request_", ["perform_group_join", "_send_sync_group_request"])
async def test_a_worker_joins_again_after_an_answer_that_nobody_expects(
    kafka: Broker, tmp_path: Path, group_answers: Answers, request_: str
):
    deployment = deploy(kafka, "unexpected", tmp_path)
    fill(deployment)
    left: list[Exception] = [InvalidRequestError(), UnknownError()]
    group_answers(request_, left)
    async with running(host_of(deployment, tmp_path)) as host:
        await until(lambda: sum(engine.n for engine in engines(host)) == N)
        assert not left


async def test_a_worker_whose_heartbeat_is_refused_joins_again_and_goes_on(
    kafka: Broker, tmp_path: Path, group_answers: Answers
):
    deployment = deploy(kafka, "heartbeat", tmp_path)
    async with running(host_of(deployment, tmp_path)) as host:
        await until(lambda: host.ready and len(engines(host)) == 4)
        before = host.lane.fence
        group_answers("_do_heartbeat", [UnknownError()])
        await until(lambda: host.ready and host.lane.fence not in (before, None))
        fill(deployment)
        await until(lambda: sum(engine.n for engine in engines(host)) == N)


async def test_a_worker_that_may_not_join_ends_and_says_so(kafka: Broker, tmp_path: Path, group_answers: Answers):
    deployment = deploy(kafka, "forbidden", tmp_path)
    group_answers("perform_group_join", [GroupAuthorizationFailedError(deployment.settings.kafka.group)])
    async with running(host_of(deployment, tmp_path)) as host:
        await asyncio.wait_for(host.crashed(), 60)
        assert isinstance(host.failed, GroupAuthorizationFailedError)
