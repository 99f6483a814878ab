"""The agents' loops: take what is admitted, call the core, nothing in between."""

from collections.abc import AsyncIterator

from agents.ingest import fold_of, ingest
from agents.optimize import optimize
from app.adapters.codec import make_decode
from app.core.batch import Batch
from app.core.ports import Engine
from tests.adapters.kafka.worlds import Counting, FakeReader, batch, lane_of


async def batches(*some: Batch) -> AsyncIterator[Batch]:
    for one in some:
        yield one


async def counting() -> tuple[Counting, object]:
    lane = lane_of(FakeReader())
    await lane.rebuild()
    engine = lane.engines["t-0"]
    assert isinstance(engine, Counting)
    return engine, lane.admit


async def test_what_is_not_admitted_is_not_folded():
    engine, admit = await counting()
    await ingest(batches(batch(0, 3), batch(9, 3), batch(3, 2)), admit)  # type: ignore[arg-type]  # a bound method
    assert (engine.n, engine.position) == (5, 5)


async def test_the_tee_sees_what_is_folded_before_it_is_folded():
    engine, admit = await counting()
    seen: list[tuple[int, int]] = []
    await optimize(
        batches(batch(0, 3), batch(9, 3), batch(1, 4)),
        admit,  # type: ignore[arg-type]  # a bound method
        lambda teed: seen.append((teed.start, engine.position)),
    )
    assert seen == [(0, 0), (3, 3)]
    assert engine.n == 5


def test_only_topics_of_the_topology_are_evidence():
    def open_fold(source: str) -> Engine:
        return fold_of(
            source,
            None,
            decode=make_decode(),
            lateness_s=30,
            ahead_s=30,
            topology={"llm.responses": 2},
            facts_partitions=1,
            partition_of=lambda _: 0,
            start=0,
            beat_cuts=1,
            early_cuts=0,
        )

    assert len(open_fold("llm.responses-1").cut().phases[0]) == 1  # marks: it is a watermark source
    assert open_fold("llm.commands-0").cut().phases[0] == ()
