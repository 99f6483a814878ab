"""What a run showed: the story, the counts, the money, and whether a replay of the facts decides the same. Frozen."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from app.adapters.kafka.tee import frames
from app.adapters.readmodel.told import Told
from app.core.decision import Impact
from app.core.outputs import ACCEPTED, FAILED
from app.core.replay import replay
from app.settings import Settings
from app.sim.closed_loop import ClosedLoop
from app.sim.ledger import Exactness, compare
from app.sim.scenario import Scenario
from app.sim.story import Chapter, chapters, promotions_seen
from app.sim.watch import Proof, Watch

FROM_ACTUATE = frozenset({ACCEPTED, FAILED})
"""Outcomes the actuator writes; everything else on ``llm.optimizations`` is the engine's and must replay."""


class Replayed(msgspec.Struct, frozen=True):
    """Decisions in the log, and again from the facts; ``different`` names up to ten that are not equal."""

    published: int
    again: int
    different: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Every decision came out again, byte for byte, and there was at least one."""
        return not self.different and self.published == self.again > 0


class Saved(msgspec.Struct, frozen=True):
    """Savings of one service: what the optimizer says (None: nothing yet), and the truth, which only a simulator knows.

    The truth is about the requests outside the holdout: USD spent, and USD had the default arm answered all of them.
    """

    service: str
    proof: Proof | None
    requests: int
    spent_usd: float
    baseline_usd: float

    @property
    def true_saving(self) -> float:
        """USD per request."""
        return (self.baseline_usd - self.spent_usd) / self.requests if self.requests else 0.0


class Claim(msgspec.Struct, frozen=True):
    """What the optimizer says of the cost of a promoted arm: a ratio with its always-valid interval, from the trial."""

    service: str
    arm: str
    instead_of: str
    ratio: float
    low: float | None
    high: float | None
    requests: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One run. ``failures`` says in words what was not as it must be; empty = success."""

    scenario: str
    seed: int
    event_hours: float
    wall_s: float
    requests: int
    sent: dict[str, int]
    story: tuple[Chapter, ...]
    decided: dict[str, int]
    outcomes: dict[str, int]
    exactness: Exactness
    late: int
    incomplete: int
    repeated: int
    conflicts: tuple[str, ...]
    dead_letters: dict[str, int]
    replayed: Replayed
    claims: tuple[Claim, ...]
    saved: tuple[Saved, ...]
    failures: tuple[str, ...] = ()


def report(
    scenario: Scenario,
    loop: ClosedLoop,
    watch: Watch,
    *,
    facts: Path,
    settings: Settings,
    sent: Mapping[str, int],
    worker_exit: int | None,
    wall_s: float,
) -> Report:
    """The report of a finished run, with everything that went wrong named."""
    story = scenario.story
    split = watch.splits.get(story.service) if story is not None else None
    made = Report(
        scenario=scenario.name,
        seed=scenario.seed,
        event_hours=scenario.hours,
        wall_s=wall_s,
        requests=loop.requests,
        sent=dict(sent),
        story=tuple(chapters(story, watch.told, split)) if story is not None else (),
        decided=_count(event.action for event in watch.told if event.status == "decided"),
        outcomes=_count(event.status for event in watch.told if not event.is_decision),
        exactness=compare(loop.ledger.sums, watch.minutes, until_s=loop.end_s),
        late=watch.late,
        incomplete=watch.incomplete,
        repeated=watch.repeated,
        conflicts=tuple(watch.conflicts[:10]),
        dead_letters=watch.dead_letters,
        replayed=replayed(facts, watch, settings),
        claims=tuple(claims(watch.told)),
        saved=tuple(
            Saved(run.service.name, watch.savings.get(run.service.name), *msgspec.structs.astuple(run.bill))
            for run in loop.runs
            if run.service.documents
        ),
    )
    return msgspec.structs.replace(made, failures=tuple(_failures(made, worker_exit)))


def replayed(facts: Path, watch: Watch, settings: Settings) -> Replayed:
    """Decide again from the teed facts and compare with what was published."""
    lateness_s, silent_s = int(settings.ingest.lateness_s), int(settings.optimize.silent_s)
    outputs = replay(frames(facts), lateness_s=lateness_s, silent_s=silent_s) if facts.exists() else ()
    again = {output.id: output.data for output in outputs if output.role == "optimizations"}
    published = {event.id: event.raw for event in watch.told if event.type not in FROM_ACTUATE}
    different = [id_ for id_ in {**published, **again} if published.get(id_) != again.get(id_)]
    return Replayed(len(published), len(again), tuple(different[:10]))


def claims(told: Sequence[Told]) -> Iterator[Claim]:
    """The cost of every promotion that the traffic was seen to follow."""
    for event in promotions_seen(told):
        cost = event.data.get("expected_impact", {}).get("cost")
        if cost is not None:
            incumbent = str(event.data.get("evidence", {}).get("incumbent", "?"))
            found = msgspec.convert(cost, Impact)
            yield Claim(event.service, event.challenger, incumbent, found.estimate, found.low, found.high, found.n)


def _failures(made: Report, worker_exit: int | None) -> list[str]:
    failures = [f"the story did not happen: {chapter.title}" for chapter in made.story if not chapter.happened]
    exact = made.exactness
    if not exact.exact:
        failures.append(f"the counts are not exact ({exact.counted} of {exact.produced}): {'; '.join(exact.wrong[:3])}")
    if made.late or made.incomplete:
        failures.append(f"{made.late} events came late and {made.incomplete} minutes were incomplete")
    if made.conflicts:
        failures.append(f"an id has two payloads: {', '.join(made.conflicts)}")
    if not made.replayed.same:
        names = ", ".join(made.replayed.different[:3]) or "nothing was decided"
        failures.append(f"the replay of the facts decides otherwise: {names}")
    if worker_exit != 0:
        failures.append(f"the worker did not leave in order: exit code {worker_exit}")
    return failures


def _count(names: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return counts
