"""The usual event's path through the fold, written out for one spelling: one loop, no call of it per event.

Nearly all of a log is one more answer of a known cell, in the minute of the watermark, spelled as the one before. For
these the fold runs a function made here, as dataclasses make theirs, from the lines below and the places where a
spelling has its fields. What a spelling cannot say costs nothing; everything else is the business of ``app.core.fold``,
which gives the same result for the same event. Measured: 1.5 to 1.7 x the speed of calls and a canonical event.
"""

import textwrap
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from math import ceil, log
from typing import Any

from app.core import sketch
from app.core.cell import CUT_OFF
from app.core.events import NO_TIME, Response, second_of

Places = tuple[tuple[str, str], ...]
"""(canonical field of ``Response``, or of its segment as ``segment.tenant``; expression over ``data`` that has it)."""
Run = Callable[..., tuple[Any, int, int]]

FOREIGN = (ValueError, RecursionError, TypeError)
"""What a reader raises on bytes of another spelling; msgspec's errors and UnicodeDecodeError are ValueErrors."""

UNREAD: Any = object()
"""What a path returns for a record that its reader cannot read."""

KEY = (
    "service",
    "arm",
    "model",
    "segment",
    "segment.tenant",
    "segment.task_type",
    "segment.region",
    "slice",
    "version",
)
"""What says in which cell an answer counts."""

_ALWAYS = """
latency = {latency_ms}
if latency > FLOOR:
    log_latency = log(latency)
    bucket = ceil(log_latency * SCALE)
else:
    log_latency, bucket = LOG_FLOOR, LOWEST
cell.histogram[bucket] += 1
cell.n += 1
cell.latency += latency
cell.log_latency += log_latency
cell.log_latency_sq += log_latency * log_latency
tokens = {input_tokens}
cell.input += tokens
cell.input_sq += tokens * tokens
cell.output += {output_tokens}
if latency > cell.latency_max:
    cell.latency_max = latency
if {status} != "ok":
    cell.errors += 1
cost = {cost_usd}
if cost is not None:
    cell.cost += cost
    cell.cost_sq += cost * cost
    cell.input_cost += tokens * cost
else:
    cell.add_unpriced(tokens, {output_tokens}, {cached_tokens})
"""
_WHERE = (
    (
        ("quality",),
        """
quality = {quality}
if quality is not None:
    cell.quality_n += 1
    cell.quality += quality
    cell.quality_sq += quality * quality
""",
    ),
    (("cached_tokens",), "cell.cached += {cached_tokens}"),
    (
        ("session_id",),
        """
if {session_id}:
    cell.in_session += 1
""",
    ),
    (
        ("ttft_ms",),
        """
ttft = {ttft_ms}
if ttft is not None:
    cell.ttft_n += 1
    cell.ttft += ttft
""",
    ),
    (("own_cost_usd",), "cell.own_cost += {own_cost_usd}"),
    (
        ("response_model", "fingerprint"),
        """
if {response_model} != cell.response_model or {fingerprint} != cell.fingerprint:
    cell.add_model({response_model}, {fingerprint})
""",
    ),
    (
        ("max_tokens", "retry_of", "prompt_hash", "valid_json", "finish_reason"),
        """
if (
    {max_tokens} is not None or {retry_of} or {prompt_hash} or {valid_json} is False or {finish_reason} in CUT_OFF
):
    cell.add_waste(
        cost or 0.0, {retry_of}, {valid_json}, {max_tokens}, {output_tokens}, {prompt_hash}, {finish_reason}
    )
""",
    ),
    (
        ("session_group",),
        """
number = {session_group}
if number is not None and (cell.compared or {session_id}):
    sums = tokens, {output_tokens}, {cached_tokens}
    cell.add_grouped(number, log_latency, {status}, cost or 0.0, {quality}, sums)
""",
    ),
)
_EARLY = """
if not cell.changed:
    service.change(key, cell)
"""
_RUN = """
def run(records, known, ids, low_s, high_s, top_s):
    find, remember, twice, now_s, since = known.get, ids.add, 0, top_s, -1
    second = after = "~"
    try:
        for offset, event in records:
            time = event.time
            if not second <= time < after:
                top_s = max(top_s, now_s)
                now_s = second_of(time) if time[-1:] == "Z" else NO_TIME
                since = offset
                if not low_s <= now_s <= high_s:
                    return event, top_s, twice
                second = time[:19]
                after = second[:18] + chr(ord(second[18]) + 1)
            elif time[-1] != "Z":
                return event, max(top_s, now_s), twice
            data = event.data
            at = find({key})
            if at is None:
                return event, top_s if since == offset else max(top_s, now_s), twice
            seen = hash((event.source, event.id))
            if seen in ids:
                twice += 1
                continue
            remember(seen)
            service, cell, key = at
            service.hwm = offset
{body}
    except FOREIGN:
        return UNREAD, max(top_s, now_s), twice
    return None, max(top_s, now_s), twice
"""
SKETCH = (sketch.FLOOR, 1 / log(sketch.GAMMA), log(sketch.FLOOR), sketch.bucket(0.0))
"""Of the histogram: least value told apart, buckets a unit of log, log of the least value and its bucket."""
_NAMES = {
    "CUT_OFF": CUT_OFF,
    **dict(zip(("FLOOR", "SCALE", "LOG_FLOOR", "LOWEST"), SKETCH, strict=True)),
    "FOREIGN": FOREIGN,
    "UNREAD": UNREAD,
    "NO_TIME": NO_TIME,
    "ceil": ceil,
    "log": log,
    "second_of": second_of,
    "max": max,
}
_DEFAULTS = {
    name: repr(getattr(Response(service="s", model="m", latency_ms=0.0), name)) for name in Response.__struct_fields__
}


def adder() -> Callable[[Any, Response], None]:
    """``add(cell, data)``: count one canonical answer in an ``app.core.open_pane.Counted``."""
    body = _sums({name: f"data.{name}" for name in Response.__struct_fields__})
    add: Callable[[Any, Response], None] = _made("def add(cell, data):\n" + textwrap.indent(body, "    "), "add")
    return add


@lru_cache(maxsize=64)
def path(places: Places, *, early: bool) -> tuple[Run, tuple[str, ...]]:
    """The loop of one spelling, and the fields of its key.

    ``run(records, known, ids, low_s, high_s, top_s)`` takes (offset, event as read) from the iterator ``records`` and
    counts answers until one is not usual: it cannot be read (``records`` raises one of ``FOREIGN``), is not within
    ``low_s..high_s``, or of no cell of ``known`` (key -> service, cell, cell key). Repeats, whose id is in ``ids``, are
    passed over. Returns what was read of the one that is not usual (``UNREAD``, or None: ``records`` ended), the larger
    of ``top_s`` and the seconds passed, and the number of repeats. ``early``: note which cells changed.
    """
    given = dict(places)
    fields = key_fields(given)
    body = (_EARLY if early else "") + _sums(given)
    key = "(" + "".join(f"{given[name]}, " for name in fields) + ")"
    return _made(_RUN.format(key=key, body=textwrap.indent(body, "            ")), "run"), fields


def key_fields(given: Iterable[str]) -> tuple[str, ...]:
    """Those of ``KEY`` that a spelling with the fields ``given`` can say."""
    names = frozenset(given)
    return tuple(name for name in KEY if name in names)


def _sums(places: Mapping[str, str]) -> str:
    chosen = [_ALWAYS, *(lines for fields, lines in _WHERE if any(field in places for field in fields))]
    return "".join(chosen).format_map(_DEFAULTS | {name: at for name, at in places.items() if "." not in name})


def _made(source: str, name: str) -> Any:
    found = dict(_NAMES)
    exec(source, found)  # noqa: S102  # every name in it is one of ours: of ``Response``, or made from hex digits
    return found[name]


def known_key(data: Response, fields: tuple[str, ...]) -> tuple[Any, ...] | None:
    """The key of ``data`` for a path with these key ``fields``; None when it says more than the path can see."""
    found: tuple[Any, ...] | None = _key_of(fields)(data)
    return found


@lru_cache(maxsize=64)
def _key_of(fields: tuple[str, ...]) -> Callable[[Response], tuple[Any, ...] | None]:
    unseen = [
        f"{_SAID[name]} != {plain!r}"
        for name, plain in _PLAIN
        if name not in fields and name.partition(".")[0] not in fields
    ]
    key = "".join(f"{_SAID[name]}, " for name in fields)
    made: Callable[[Response], tuple[Any, ...] | None] = eval(  # noqa: S307  # names of ``Response`` only
        f"lambda data: None if {' or '.join(unseen) or 'False'} else ({key})"
    )
    return made


_SAID = {name: f"data.{name}" for name in KEY} | {
    name: f"(data.{name} if data.segment else '')" for name in KEY if name.startswith("segment.")
}
_PLAIN = (
    ("arm", None),
    ("segment.tenant", ""),
    ("segment.task_type", ""),
    ("segment.region", ""),
    ("slice", "main"),
    ("version", 0),
)
