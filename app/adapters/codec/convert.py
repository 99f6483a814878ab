"""Values of aliases in another unit or vocabulary, made canonical. ``ValueError`` says what is wrong."""

from collections.abc import Callable
from typing import Any

from app.adapters.codec.aliases import CHANNEL_WORDS, PROVIDER_WORDS, STATUS_WORDS, THUMBS_WORDS


def _number(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"expected a number, got {type(value).__name__}")  # noqa: TRY004 - the caller expects one kind
    return value


def _scaled(factor: float) -> Callable[[Any], float]:
    return lambda value: float(_number(value)) * factor


def _word(words: dict[str, str]) -> Callable[[Any], str]:
    def convert(value: Any) -> str:
        known = words.get(value.lower()) if isinstance(value, str) else None
        if known is None:
            raise ValueError(f"expected one of {', '.join(words)}")
        return known

    return convert


def _thumbs(value: Any) -> str:
    if isinstance(value, str):
        return _word(THUMBS_WORDS)(value)
    if isinstance(value, int) and value in {-1, 0, 1}:
        return "up" if value == 1 else "down"
    raise ValueError("expected up, down, true, false, 1, 0 or -1")


def _success(value: Any) -> str:
    if not isinstance(value, bool):
        raise ValueError("expected true or false")  # noqa: TRY004 - the caller expects one kind
    return "ok" if value else "error"


def _http_status(value: Any) -> str:
    return "ok" if _number(value) < 400 else "error"


def _first(value: Any) -> Any:
    if isinstance(value, list):
        return value[0] if value else ""
    return value


def _provider(value: Any) -> Any:
    return PROVIDER_WORDS.get(value, value) if isinstance(value, str) else value


UNITS: dict[str, Callable[[Any], Any]] = {
    "s": _scaled(1000.0),
    "ms_to_s": _scaled(0.001),
    "status": _word(STATUS_WORDS),
    "channel": _word(CHANNEL_WORDS),
    "thumbs": _thumbs,
    "success": _success,
    "http_status": _http_status,
    "first": _first,
    "provider": _provider,
}
"""Name of a unit in the alias table -> its converter."""
