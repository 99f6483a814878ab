"""A condition that is true or false at each look: told when it has held, and again when it has not for long enough."""

import msgspec

from app.core.analyze.finding import Cleared, Note, Signal, rank
from app.core.analyze.series import CLEAN_PANES


class Flag(msgspec.Struct, frozen=True, array_like=True):
    """``told``: the highest severity told (rank, -1: not told); ``held`` and ``clean``: looks in a row."""

    told: int = -1
    held: int = 0
    clean: int = 0
    since_s: int = 0


def raised(
    flag: Flag, key: str, signal: Signal | None, now_s: int, *, after: int = 1, clean: int = CLEAN_PANES, why: str
) -> tuple[Flag, list[Note]]:
    """One look: ``signal`` while the condition holds. Told when it held ``after`` looks, cleared after ``clean``."""
    if signal is None:
        if flag.told < 0:
            return Flag(), []
        if flag.clean + 1 >= clean:
            return Flag(), [Cleared(key, why)]
        return msgspec.structs.replace(flag, held=0, clean=flag.clean + 1), []
    held, level = flag.held + 1, rank(signal.severity)
    if level <= flag.told or (held < after and flag.told < 0):
        return msgspec.structs.replace(flag, held=held, clean=0), []
    return Flag(level, held, 0, flag.since_s or now_s), [signal]
