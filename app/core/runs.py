"""Runs of usual events: counted in C where there is a layout of their spelling, else by the path in Python.

Both take records until one is not usual, and give the same sums (``app.core.usual`` says what is usual).
"""

from collections.abc import Iterator, Sequence
from operator import length_hint
from typing import Any

from app.core.layout import layout_of
from app.core.native import Layout
from app.core.open_pane import OpenPane
from app.core.ports import Usual
from app.core.usual import UNREAD, Run, path

UNSURE_FIRST = 64
"""Records of a batch that C may leave to Python before they must be fewer than one in four of those it counts."""


class Part:
    """Records of a batch on their way through the fold, in order; ``at`` is the index of the next. Mutable."""

    __slots__ = ("at", "left", "numbers", "offsets", "unsure", "values")

    def __init__(self, values: list[bytes | None], offsets: Sequence[int]) -> None:
        self.values = values
        self.offsets = offsets
        self.numbers = None if isinstance(offsets, range) else list(offsets)
        self.left: tuple[Iterator[int], Iterator[bytes | None]] | None = None
        self.at = self.unsure = 0

    @property
    def for_c(self) -> bool:
        """Whether C is sure of enough of it."""
        return self.left is None and self.unsure * 4 <= self.at + UNSURE_FIRST

    def one_by_one(self) -> tuple[Iterator[int], Iterator[bytes | None]]:
        """The offsets and values from ``at`` on; from now on only taken from these."""
        if self.left is None:
            self.left = iter(self.offsets[self.at :]), iter(self.values[self.at :])
        return self.left

    def skip(self) -> None:
        """Take one record without looking at it."""
        self.at += 1
        if self.left is not None:
            next(self.left[0]), next(self.left[1])


class Runs:
    """What counts the usual events of one engine; knows the newest spelling. ``early``: note which cells changed."""

    def __init__(self, *, early: bool) -> None:
        self._early = early
        self._usual: Usual | None = None
        self._layout: Layout | None = None
        self._path: tuple[Run, tuple[str, ...]]

    def run(
        self, usual: Usual, part: Part, pane: OpenPane, low_s: int, high_s: int, top_s: int
    ) -> tuple[Any, int, int]:
        """Count records of ``part`` while they are usual, within ``low_s..high_s``, and of a known cell of ``pane``.

        Returns what was read of the first that is not, which is taken from ``part``, too (``UNREAD``: nothing yet;
        None: all are counted), the larger of ``top_s`` and the seconds counted, and the number of repeats.
        """
        if usual is not self._usual:
            self._usual, self._path, self._layout = usual, path(usual.places, early=self._early), layout_of(usual)
        run, fields = self._path
        known = pane.known_by(fields)
        if self._layout is not None and part.for_c:
            at, top_s, repeats = self._layout.run(
                part.values, part.numbers, part.offsets[0], part.at, known, pane.ids, low_s, high_s, top_s, self._early
            )
            done = at == len(part.values)
            part.at, part.unsure = at + (not done), part.unsure + (not done)
            return None if done else UNREAD, top_s, repeats
        offsets, values = part.one_by_one()
        found = run(zip(offsets, map(usual.read, values), strict=False), known, pane.ids, low_s, high_s, top_s)
        part.at = len(part.offsets) - length_hint(offsets)
        return found
