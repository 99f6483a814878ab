"""How every command that reads gets its answers: the read model of what the topics hold now, with a progress bar."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING

import click

from app.cli.options import Options
from app.cli.progress import progress

if TYPE_CHECKING:
    from app.adapters.readmodel.glance import Glance

FOLLOW_S = 1.0
RETRY_S = 2.0
_SAY = {"optimizations": "decisions", "aggregates": "minutes", "aggregates_hourly": "hours"}


@contextmanager
def glance(options: Options, *roles: str, newest: Mapping[str, int] = MappingProxyType({})) -> "Iterator[Glance]":
    """The read model filled from the topics of ``roles``.

    Says on standard error when they hold more than was read, but for the roles of ``newest``: there a part is meant.
    """
    from app.adapters.readmodel.glance import Glance

    with progress("reading") as report, Glance(options.settings(), roles, newest=newest, progress=report) as filled:
        for role in sorted(filled.cut & _SAY.keys() - newest.keys()):
            click.echo(f"only the newest {_SAY[role]} were read: `llm-optimizer serve` keeps them all", err=True)
        if unreadable := sum(filled.model.store.counters().get("unreadable", {}).values()):
            click.echo(f"{unreadable:,} records could not be read and are left out", err=True)
        yield filled


def follow(filled: "Glance") -> Iterator[None]:
    """Yields at once, then whenever more was read, until Ctrl-C. An outage is said once and waited out."""
    from app.adapters.kafka.subscriber import SubscribeError

    yield
    down = False
    while True:
        try:
            taken = filled.more(FOLLOW_S)
        except SubscribeError as error:
            if not down:
                click.echo(f"{error}; waiting for it", err=True)
            down = True
            time.sleep(RETRY_S)
            continue
        down = False
        if taken:
            yield
