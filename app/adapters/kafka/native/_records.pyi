from collections.abc import Callable, Sequence
from typing import TypeAlias

_Columns: TypeAlias = tuple[list[bytes | None], Sequence[int], bytes, list[tuple[tuple[str, bytes], ...]] | None]

def crc32c(data: bytes, start: int, stop: int, tables_only: bool = False, /) -> int: ...
def read(
    data: bytes,
    start: int,
    position: int,
    limit: int,
    check: bool,
    not_mine: int,
    decoders: tuple[Callable[[bytes], bytes] | None, ...],
    /,
) -> tuple[_Columns, list[tuple[int, int]], int, int] | None: ...
def split(packed: bytes, count: int, /) -> list[bytes | None]: ...
