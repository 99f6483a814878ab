"""A changelog-backed table inside an engine: one value per service, written under the key of its writer (rule O5).

Mutable. Every incarnation of an owner writes its own keys (service + writer), so a zombie can overwrite nothing. At
load the value with the largest ``applied`` wins, whoever wrote it: a value is a function of the facts log up to
``applied``. The first cut rewrites what was loaded under the own writer; older keys get tombstones only once the broker
accepted a commit that names this writer.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Generic, Protocol, TypeVar

from app.core.ports import Record, Role

SEPARATOR = b"\0"
META = b"\0meta\0"
"""Prefix of a writer's meta row; a service name is never empty, so no service key begins with the separator."""


class Kept(Protocol):
    """What a table keeps: a value that knows the facts offset of its last mutation."""

    @property
    def applied(self) -> int: ...


K = TypeVar("K", bound=Kept)


class Table(Generic[K]):
    """``values`` by service, with what changed since the last cut. ``fits`` False: a stored value may not be used.

    ``last`` names the service written after all others of a cut: new rows are made from it, so where it is found, the
    rows made before it changed are found, too.
    """

    def __init__(
        self,
        role: Role,
        partition: int,
        writer: str,
        stored: Mapping[bytes, bytes],
        encode: Callable[[K], bytes],
        decode: Callable[[bytes], K],
        fits: Callable[[str, K], bool] = lambda _service, _value: True,
        last: str = "",
    ) -> None:
        self.values: dict[str, K] = {}
        self._role = role
        self._partition = partition
        self._writer = writer.encode()
        self._encode = encode
        self._last = last
        for key, value in sorted(stored.items()):
            if key.startswith(META):
                continue
            service = key.rpartition(SEPARATOR)[0].decode()
            kept = decode(value)
            known = self.values.get(service)
            if not fits(service, kept):
                continue
            if known is None or kept.applied > known.applied:
                self.values[service] = kept
        self._changed = set(self.values)
        self._foreign = sorted(stored)
        self._tombstones: list[bytes] = []

    def put(self, service: str, value: K) -> None:
        """Replace the value of ``service``."""
        self.values[service] = value
        self._changed.add(service)

    def cut(self, extra: Iterable[Record] = ()) -> tuple[Record, ...]:
        """Records of what changed, then ``extra``, then tombstones; forgets that they changed."""
        changed, self._changed = sorted(self._changed, key=lambda s: (s == self._last, s)), set()
        tombstones, self._tombstones = self._tombstones, []
        rows = [
            self.record(service.encode() + SEPARATOR + self._writer, self._encode(self.values[service]))
            for service in changed
        ]
        return (*rows, *extra, *(self.record(key, None) for key in tombstones))

    def record(self, key: bytes, value: bytes | None) -> Record:
        """A changelog record of this table's partition."""
        return Record(self._role, key, value, self._partition)

    def supersede(self) -> None:
        """An accepted commit names this writer: the keys of former writers go with the next cut."""
        self._tombstones += self._foreign
        self._foreign = []
