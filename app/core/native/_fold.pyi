"""The C module of the fold: ``_fold.c`` and its headers."""

from typing import Any, TypeAlias

Entry: TypeAlias = tuple[str, str, str, float, float, bool, bool, tuple[str, ...], int]
"""(name in JSON; kind: text, real, whole, choice, truth, map, group; field it means; least and greatest number, length
of a text, or longest text and most entries of a map; may be null; must be there; choices; level inside a group)"""

class Buckets:
    """Counts of a log-histogram by bucket; 0 where nothing was counted. ValueError beyond 100,000 of either sign."""

    def __init__(self) -> None: ...
    def __getitem__(self, bucket: int) -> int: ...
    def __setitem__(self, bucket: int, count: int) -> None: ...
    def counts(self) -> dict[int, int]:
        """Those that are not 0, in order of their buckets."""

class Ids:
    """A set of hashes, as ``hash((source, id))`` gives them."""

    def __init__(self) -> None: ...
    def __contains__(self, number: int) -> bool: ...
    def __len__(self) -> int: ...
    def add(self, number: int) -> None: ...

class Sums:
    """The sums of one cell, all 0; tokens as whole numbers, times in ms, costs in USD."""

    histogram: Buckets
    compared: bool
    changed: bool
    n: int
    errors: int
    ttft_n: int
    quality_n: int
    in_session: int
    input: int
    output: int
    cached: int
    limited: int
    limits: int
    written: int
    unpriced_n: int
    unpriced_input: int
    unpriced_output: int
    unpriced_cached: int
    unpriced_input_sq: float
    unpriced_output_sq: float
    unpriced_cached_sq: float
    unpriced_input_output: float
    unpriced_input_cached: float
    unpriced_output_cached: float
    input_sq: float
    latency: float
    latency_max: float
    log_latency: float
    log_latency_sq: float
    ttft: float
    cost: float
    cost_sq: float
    input_cost: float
    own_cost: float
    quality: float
    quality_sq: float
    response_model: str
    fingerprint: str

    def __init__(self, histogram: Buckets, compared: bool) -> None: ...
    def add_grouped(
        self,
        number: int,
        log_latency: float,
        status: str,
        cost: float,
        quality: float | None,
        tokens: tuple[int, int, int],
        /,
    ) -> None:
        """An answer of session group ``number``, 0 to 63, else ValueError; ``tokens``: input, output, cached."""
    def score_grouped(self, number: int, quality: float, /) -> None:
        """A score of an answer of session group ``number`` that came later."""
    def group_sums(self) -> list[tuple[int, tuple[int, int, float, float, int, float, int, int, int]]]:
        """The groups met, in order of their numbers, with what ``app.core.cell.Group`` has of each."""

class Marked:
    """What has a newest source offset."""

    hwm: int

class Known:
    """The cells of a minute by what answers say of themselves: a tuple of texts, numbers, None, segments."""

    def __init__(self) -> None: ...
    def __len__(self) -> int: ...
    def __setitem__(self, key: tuple[Any, ...], found: tuple[Marked, Sums, Any]) -> None:
        """Keys of more than 2,048 bytes are not kept. TypeError: not such a tuple."""
    def get(self, key: tuple[Any, ...]) -> Any:
        """What was set, or None."""

class Layout:
    """One spelling. ``levels`` has the entries of every object, the event's first, where other names are passed over;
    ``key``: fields of ``app.core.usual.KEY``; ``cut_off``: finish reasons of truncated answers; the rest are the
    constants of ``app.core.sketch``. ValueError: more than 8 levels, 64 names in one, or 8 choices.
    """

    def __init__(
        self,
        levels: tuple[tuple[Entry, ...], ...],
        key: tuple[str, ...],
        cut_off: tuple[str, ...],
        floor: float,
        scale: float,
        log_floor: float,
        lowest: int,
        /,
    ) -> None: ...
    def run(
        self,
        values: list[bytes | None],
        offsets: list[int] | None,
        first: int,
        at: int,
        known: Known,
        ids: Ids,
        low_s: int,
        high_s: int,
        top_s: int,
        early: bool,
        /,
    ) -> tuple[int, int, int]:
        """Count ``values`` from index ``at`` on, until one is not surely an answer of a cell of ``known`` within the
        seconds ``low_s..high_s``. ``offsets`` None: ``first`` plus the index. ``early``: note which cells changed.

        Returns the index of the one it left (the number of values: none), the larger of ``top_s`` and the seconds of
        those counted, and the number of repeats, whose id is in ``ids``.
        """
