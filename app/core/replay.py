"""Decide again from a log of facts: the worker's own engine, without the worker. Same engine and log, same bytes."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from app.core.batch import Batch
from app.core.merge import Merge
from app.core.outputs import Output
from app.core.ports import Record


class FactsFrame(Protocol):
    """One facts record as the worker folded it: where it stood, when the broker appended it (ms), its bytes."""

    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def append_ms(self) -> int: ...
    @property
    def value(self) -> bytes: ...


def replay(frames: Iterable[FactsFrame], *, lateness_s: int = 30, silent_s: int = 900) -> Iterator[Output]:
    """What the engine says to ``frames``, in their order; each partition's frames must be in offset order.

    ``lateness_s`` and ``silent_s`` are the settings the worker ran with.
    """
    said: list[Output] = []

    def keep(output: Output) -> Record:
        said.append(output)
        return Record(output.role, output.service.encode(), output.data)

    engines: dict[int, Merge] = {}
    for frame in frames:
        engine = engines.get(frame.partition)
        if engine is None:
            engine = engines[frame.partition] = Merge(
                frame.partition,
                None,
                {},
                {},
                writer="replay",
                lateness_s=lateness_s,
                silent_s=silent_s,
                to_record=keep,
                start=frame.offset,
            )
        engine.fold(_batch(frame))
        engine.acked(engine.cut())  # nothing is written; the engine forgets what it has said
        yield from said
        said.clear()


def _batch(frame: FactsFrame) -> Batch:
    end = frame.offset + 1
    source = f"facts-{frame.partition}"
    return Batch(source, [frame.value], [frame.offset], start=frame.offset, end=end, segments=[(end, frame.append_ms)])
