"""A source that stands although there is something to read: the one thing only a new process mends. Pure."""

from collections.abc import Mapping

import msgspec


class Standing(msgspec.Struct, frozen=True):
    """Where a source is: next offset to fold, records between it and the log end as last seen."""

    position: int
    lag: int


class Stall:
    """Remembers since when each source stands with lag. Mutable; looks may be far apart, since a position that is the
    same with lag at both has not moved between (what was folded is not folded again without a rebuild).
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._since: dict[str, tuple[int, float]] = {}

    def look(self, sources: Mapping[str, Standing], now_s: float) -> list[str]:
        """Sources that have stood with lag for ``limit_s`` (0: never), by name; ``now_s`` of a steady clock."""
        since: dict[str, tuple[int, float]] = {}
        for name, standing in sources.items():
            if standing.lag > 0:
                known = self._since.get(name)
                same = known is not None and known[0] == standing.position
                since[name] = known if known is not None and same else (standing.position, now_s)
        self._since = since
        return sorted(name for name, (_, began_s) in since.items() if 0 < self._limit_s <= now_s - began_s)


class Living:
    """Remembers since when each process does not answer. Mutable."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._since: dict[str, float] = {}

    def lost(self, heard: Mapping[str, bool], now_s: float) -> list[str]:
        """Who has not answered for ``limit_s`` (0: never), by name; ``heard``: whether each answered just now."""
        self._since = {name: self._since.get(name, now_s) for name, answered in heard.items() if not answered}
        return sorted(name for name, since_s in self._since.items() if 0 < self._limit_s <= now_s - since_s)
