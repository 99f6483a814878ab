"""What is kept of a service in the table ``windows``: open windows and the analysis, at most 128 kB at 10 arms x 5
segments (measured in ``tests/core/test_kept.py``).

Histograms are packed: they are half of the windows, and a packed one takes half of its map.
"""

import msgspec

from app.core.analyze.analyze import Analysis
from app.core.cell import Cell, Late
from app.core.sketch import unpack
from app.core.windows import ArmSums, Window, Windows


class KeptWindows(msgspec.Struct, frozen=True, array_like=True):
    """What lies downstream of a row: ``applied`` is the facts offset of its last mutation (O2)."""

    applied: int
    windows: Windows
    analysis: Analysis = Analysis()

    @property
    def deadline_s(self) -> int | None:
        """When the next window ends or an open finding has waited long enough (epoch seconds), or None."""
        return min((d for d in (self.windows.deadline_s, self.analysis.deadline_s) if d is not None), default=None)


class _Arm(msgspec.Struct, frozen=True, array_like=True):
    arm: str
    segment: str
    cell: Cell
    histogram: bytes
    slices: dict[str, Cell]


class _Window(msgspec.Struct, frozen=True, array_like=True):
    size_s: int
    start_s: int
    arms: list[_Arm]
    late: Late
    sources: int
    complete: bool
    shadowed: int = 0
    nested: bool = False


class _Kept(msgspec.Struct, frozen=True, array_like=True):
    applied: int
    windows: list[_Window]
    analysis: Analysis = Analysis()


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Kept).decode


def encode_windows(kept: KeptWindows) -> bytes:
    """The bytes of ``kept``."""
    windows = [
        _Window(w.size_s, w.start_s, [*map(_packed, w.arms)], w.late, w.sources, w.complete, w.shadowed, w.nested)
        for w in kept.windows.open
    ]
    return _encode(_Kept(kept.applied, windows, kept.analysis))


def decode_windows(value: bytes) -> KeptWindows:
    """Inverse of ``encode_windows``; ``msgspec.MsgspecError`` or ``ValueError`` when the bytes are none."""
    kept = _decode(value)
    windows = [
        Window(w.size_s, w.start_s, [*map(_unpacked, w.arms)], w.late, w.sources, w.complete, w.shadowed, w.nested)
        for w in kept.windows
    ]
    return KeptWindows(kept.applied, Windows(windows), kept.analysis)


def _packed(sums: ArmSums) -> _Arm:
    return _Arm(sums.arm, sums.segment, sums.cell, sums.pack(), sums.slices)


def _unpacked(arm: _Arm) -> ArmSums:
    return ArmSums(arm.arm, arm.segment, arm.cell, unpack(arm.histogram), arm.slices, arm.histogram)
