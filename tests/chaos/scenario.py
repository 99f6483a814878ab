"""What a scenario is."""

from collections.abc import Callable, Mapping

import msgspec

from tests.chaos.verdict import Verdict
from tests.chaos.world import World


class Size(msgspec.Struct, frozen=True):
    """How much of everything: ``long`` is for half an hour."""

    long: bool = False

    def of(self, short: int, long: int) -> int:
        return long if self.long else short


Run = Callable[[World, Size], Verdict]


class Scenario(msgspec.Struct, frozen=True):
    """``says``: what is done, for the table. ``mock``: on the mock cluster; ``nodes``: of Kafka, its own ones, which it
    may stop (0: a broker that is shared). ``alone``: measures. ``covers``: items of ``tests/chaos/coverage.py``; ``ci``:
    part of ``make test``, which may run on a busy machine: none whose outcome depends on the clock; ``only_many``: not
    part of a run of one seed.
    """

    name: str
    says: str
    run: Run
    mock: bool = False
    nodes: int = 0
    alone: bool = False
    overrides: Mapping[str, str] = {}
    long_overrides: Mapping[str, str] = {}
    covers: tuple[str, ...] = ()
    ci: bool = False
    only_many: bool = False
