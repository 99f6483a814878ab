"""docs/evidence/soak.md: what a long steady run showed."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from tests.chaos.kept import Origin
from tests.e2e.harness.broker import ROOT

PAGE = ROOT / "docs" / "evidence" / "soak.md"
POINTS = 12
"""Lines of the table of memory."""

_TEXT = """# Soak: steady live load, exact, and memory stands still

Verdict: **{verdict}**. Written by `{command}` on {date}, commit {commit}, {machine}, seed {seed}.

{events:,} events in {hours:g} h at {rate:g} responses a second, {workers} worker(s) on a real Kafka: every minute that
closed was compared with an independent count over the source logs (`tests/chaos/account.py`) as soon as it could be
closed, dead letters and commands at the end. {minutes} minutes judged: {exactness}.

Memory of all processes of the workers (supervisor, ingest, optimize): {first:.0f} MB after warming up, {last:.0f} MB at
the end, {largest:.0f} MB at most, slope {slope:+.1f} MB an hour: {memory}. {judged}

| minute | resident memory, MB |
|---|---|
{curve}
"""


class Soaked(msgspec.Struct, frozen=True, kw_only=True):
    """What a run came to; ``rss``: (seconds since the start, MB of all processes)."""

    seed: int
    hours: float
    rate: float
    workers: int
    events: int
    minutes: int
    wrong: Sequence[str]
    first: float
    last: float
    slope: float
    grew: bool
    bound: str
    rss: Sequence[tuple[float, float]]

    @property
    def passed(self) -> bool:
        return not self.wrong and not self.grew and self.minutes > 0


def write(soaked: Soaked, origin: Origin, page: Path = PAGE) -> Path:
    """Write the page; its path."""
    every = max(1, len(soaked.rss) // POINTS)
    text = _TEXT.format(
        verdict="passed" if soaked.passed else "FAILED",
        command=origin.command,
        date=origin.date,
        commit=origin.commit or "unknown",
        machine=origin.machine,
        seed=soaked.seed,
        events=soaked.events,
        hours=soaked.hours,
        rate=soaked.rate,
        workers=soaked.workers,
        minutes=soaked.minutes,
        exactness="; ".join(soaked.wrong) or "all exact",
        first=soaked.first,
        last=soaked.last,
        largest=max((mb for _, mb in soaked.rss), default=0.0),
        slope=soaked.slope,
        memory="it GROWS" if soaked.grew else "it stands",
        judged=soaked.bound,
        curve="\n".join(f"| {at_s / 60:.0f} | {mb:.0f} |" for at_s, mb in soaked.rss[::every]),
    )
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(text, encoding="utf-8")
    return page
