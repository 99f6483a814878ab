"""Calls to a gateway over a network, tried a few times with growing pauses that are the same in every run.

Reads repeat harmlessly, writes because they carry an idempotency key or are told apart by what is there afterwards.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
import stamina

from app.core.ports import Unavailable

MAX_ANSWER_BYTES = 4 << 20
"""More than this is no answer of a gateway's configuration interface."""

T = TypeVar("T")


class CallOptions(msgspec.Struct, frozen=True, kw_only=True):
    """``attempts`` tries of ``timeout_s`` each, with pauses of ``pause_s`` doubling up to ``pause_limit_s``."""

    url: str
    name: str = "gateway"
    token: str = ""
    timeout_s: float = 5.0
    attempts: int = 4
    pause_s: float = 0.2
    pause_limit_s: float = 5.0


async def attempted(options: CallOptions, what: str, once: Callable[[], Awaitable[T]]) -> T:
    """The answer of ``once``; its last error when every try failed. One that names its own pause is the caller's."""
    async for attempt in stamina.retry_context(
        on=_worth_another_try,
        attempts=options.attempts,
        timeout=None,
        wait_initial=options.pause_s,
        wait_max=options.pause_limit_s,
        wait_jitter=0.0,
    ).with_name(f"{options.name} {what}", (), {}):
        with attempt:
            return await once()
    raise RuntimeError("stamina ends with an answer or an error")


def seconds(retry_after: str) -> float:
    """Retry-After in seconds; a date is not read (0.0), the own back-off is used instead."""
    return float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0.0


def _worth_another_try(error: Exception) -> bool:
    return isinstance(error, Unavailable) and not error.retry_after_s
