"""The facts tee: everything optimize folds, appended to a file in the order of each partition's log.

The mock cluster forgets all but the newest 5 MB of a partition; the tee keeps the whole log for ``replay``. A frame is
its length (4 bytes, big-endian) and a MessagePack array ``[partition, offset, append_ms, value]``. Offsets of a
partition grow by folding order; after a restart they begin again at the commit point, so a reader keeps the first
frame of each (partition, offset).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from app.core.batch import Batch


class Frame(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One facts record as optimize folded it."""

    partition: int
    offset: int
    append_ms: int
    value: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Frame).decode
_LENGTH_BYTES = 4


class Tee:
    """Appends batches to ``path``."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: BinaryIO = path.open("ab")

    def write(self, batch: Batch) -> None:
        """Append what is about to be folded; flushed to the operating system batch by batch."""
        partition = int(batch.source.rpartition("-")[2])
        for i, value in enumerate(batch.values):
            offset = batch.offset(i)
            frame = _encode(Frame(partition, offset, batch.append_ms(offset), value or b""))
            self._file.write(len(frame).to_bytes(_LENGTH_BYTES, "big"))
            self._file.write(frame)
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def frames(path: Path) -> Iterator[Frame]:
    """The frames of a tee in file order, each (partition, offset) once; a torn last frame (a crash) is left out."""
    seen: dict[int, int] = {}
    with path.open("rb") as file:
        while len(head := file.read(_LENGTH_BYTES)) == _LENGTH_BYTES:
            size = int.from_bytes(head, "big")
            raw = file.read(size)
            if len(raw) < size:
                return
            frame = _decode(raw)
            if frame.offset > seen.get(frame.partition, -1):
                seen[frame.partition] = frame.offset
                yield frame
