"""One owner's part of a spill folder: segments of frames, appended at the end, settled from the front.

Mutable. ``append``, ``settle`` and ``write_off`` are called under the outbox's lock, the last two and ``take`` by one
thread only; ``take`` and ``sync`` need no lock. A process that is killed leaves its segments behind; what was written
is not lost by that (only by a power failure before ``sync``). Of records taken but not settled nothing is written: the
next owner takes them again, with their ids.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import NamedTuple

from llm_optimizer_client.events import Record
from llm_optimizer_client.frames import Frame, frames, mark_frame, record_frame

READ_BYTES = 1 << 20
POLITE = 16
"""After so many records the interpreter is offered to other threads: they tell of answers meanwhile."""


class Position(NamedTuple):
    """A place in the segments of one owner."""

    segment: int
    offset: int


class Journal:
    """Records of ``owner`` in ``folder``. OSError: the disk says no."""

    def __init__(self, folder: Path, owner: str, segment_bytes: int) -> None:
        self._folder, self._owner, self._segment_bytes = folder, owner, segment_bytes
        self._fds: dict[int, int] = {}
        self._sizes: dict[int, int] = {}
        self._taken = self._settled = Position(0, 0)
        self._dirty = False
        self.damaged = self.waiting = self.size = 0
        self._open_existing()

    @property
    def exhausted(self) -> bool:
        """Whether all there is has been settled."""
        return self.waiting == 0

    def append(self, record: Record) -> None:
        """Write ``record`` at the end; nothing of it stays when that fails. OSError."""
        self._write(record_frame(record))
        self.waiting += 1

    def take(self, most: int) -> tuple[list[Record], Position]:
        """The next records, and the place to ``settle`` once they are settled."""
        found: list[Record] = []
        while len(found) < most and (frame := self._peek(most - len(found), found)) is not None:
            self._taken = frame
        return found, self._taken

    def settle(self, upto: Position, records: int) -> None:
        """Everything before ``upto`` needs no sending any more; whole segments before it go."""
        self.waiting -= records
        self._settled = upto
        if self.exhausted:
            self._restart()
            return
        self._write(mark_frame(*upto))
        for segment in [number for number in self._sizes if number < upto.segment]:
            self._drop(segment)

    def write_off(self) -> int:
        """At the end of the files nothing can wait any more: how many records were damaged beyond reading."""
        lost = self.waiting if self._taken == self._end() else 0
        if lost:
            self.settle(self._taken, lost)
        return lost

    def rewind(self) -> None:
        """Take again what was taken and not settled."""
        self._taken = self._settled

    def sync(self) -> None:
        """Have the disk keep what was written (fsync)."""
        if self._dirty:
            self._dirty = False
            for fd in list(self._fds.values())[-2:]:
                os.fsync(fd)

    def close(self, *, remove: bool) -> None:
        """Let go of the files; ``remove``: and of what is in them."""
        for segment in list(self._fds):
            if remove:
                self._drop(segment)
            else:
                os.close(self._fds.pop(segment))

    def forget(self) -> None:
        """Close the files of the process this one was forked from, leaving them as they are."""
        for fd in self._fds.values():
            with contextlib.suppress(OSError):
                os.close(fd)
        self._fds.clear()
        self._sizes.clear()
        self.waiting = self.size = 0

    # ---- segments
    def _path(self, segment: int) -> Path:
        return self._folder / f"{self._owner}.{segment:010d}.spill"

    def _end(self) -> Position:
        if not self._sizes:
            return Position(self._settled.segment, 0)
        last = max(self._sizes)
        return Position(last, self._sizes[last])

    def _open(self, segment: int) -> int:
        fd = os.open(self._path(segment), os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._fds[segment], self._sizes[segment] = fd, os.fstat(fd).st_size
        self.size += self._sizes[segment]
        return fd

    def _drop(self, segment: int) -> None:
        os.close(self._fds.pop(segment))
        self.size -= self._sizes.pop(segment)
        with contextlib.suppress(FileNotFoundError):
            self._path(segment).unlink()

    def _write(self, frame: bytes) -> None:
        segment, size = self._end()
        if segment not in self._fds or (size and size + len(frame) > self._segment_bytes):
            segment, size = (segment + 1 if segment in self._fds else segment), 0
            self._open(segment)
        fd = self._fds[segment]
        try:
            written = os.write(fd, frame)
            if written != len(frame):
                raise OSError(28, "no space for a whole record")
        except OSError:
            os.ftruncate(fd, size)
            raise
        self._sizes[segment] = size + written
        self.size += written
        self._dirty = True

    def _restart(self) -> None:
        """Nothing waits: begin with an empty segment, so that the folder stays small."""
        *old, last = sorted(self._sizes)
        for segment in old:
            self._drop(segment)
        os.ftruncate(self._fds[last], 0)
        self._sizes[last] = self.size = 0
        self._taken = self._settled = Position(last, 0)

    # ---- reading
    def _peek(self, most: int, found: list[Record]) -> Position | None:
        """Add up to ``most`` records from the present segment; the new place, None at the end."""
        segment, offset = self._taken
        size = self._sizes.get(segment, 0)
        if offset >= size:
            later = [number for number in list(self._sizes) if number > segment]
            return Position(min(later), 0) if later else None
        data = os.pread(self._fds[segment], min(READ_BYTES + (1 << 20), size - offset), offset)
        for frame in frames(data, offset, more=offset + len(data) < size):
            self._seen(frame, offset, found)
            offset = frame.end
            most -= frame.what == "record"
            if most <= 0:
                break
            if most % POLITE == 0:
                time.sleep(0)
        return Position(segment, offset)

    def _seen(self, frame: Frame, offset: int, found: list[Record]) -> None:
        if frame.record is not None:
            found.append(frame.record)
        elif frame.what == "damage":
            self.damaged += frame.end - offset

    def _open_existing(self) -> None:
        """What an earlier owner left: from the newest mark on."""
        for path in sorted(self._folder.glob(f"{self._owner}.*.spill")):
            self._open(int(path.name.split(".")[-2]))
        if not self._sizes:
            return
        self._taken = Position(min(self._sizes), 0)
        starts: list[Position] = []
        mark = self._taken
        for segment, offset, frame in self._scan():
            if frame.what == "mark":
                mark = max(mark, Position(*frame.mark))
            elif frame.what == "record":
                starts.append(Position(segment, offset))
        self.waiting = sum(start >= mark for start in starts)
        self._taken = self._settled = mark

    def _scan(self) -> list[tuple[int, int, Frame]]:
        found = []
        for segment, size in sorted(self._sizes.items()):
            offset = 0
            for frame in frames(os.pread(self._fds[segment], size, 0), 0, more=False):
                found.append((segment, offset, frame))
                offset = frame.end
        return found
