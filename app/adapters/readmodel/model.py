"""The questions the read model answers. Blocking; every method may be called from any thread.

``services`` everywhere: what the asker may see; None: everything.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from app.adapters.readmodel.answers import (
    CommandEvent,
    DecisionEvent,
    FindingEvent,
    SavingsClaim,
    ServiceState,
    Trial,
    WindowSums,
)
from app.adapters.readmodel.paging import Wanted, page
from app.adapters.readmodel.sliding import merged
from app.adapters.readmodel.store import Store
from app.core import split as splits
from app.core.document import ServiceDocument, from_json
from app.core.events import rfc3339
from app.core.split import Split

Services = tuple[str, ...] | None
_json = msgspec.json.decode
MAX_MERGED = 20_000
"""Windows added up for one answer."""


class TooManyError(ValueError):
    """More windows than one answer may add up; ask for a shorter time or a larger size."""


class Model:
    """Reads ``store``."""

    def __init__(self, store: Store) -> None:
        self.store = store

    # ---- decisions -------------------------------------------------------------------------------------------------
    def events(self, wanted: Wanted, cursor: str = "", limit: int = 50) -> tuple[list[DecisionEvent], str]:
        """Decisions and outcomes, newest first. ``CursorError``."""
        rows, next_ = page(self.store, "events", wanted, cursor, limit)
        return [_event(row) for row in rows], next_

    def decision(self, decision_id: str, services: Services = None) -> list[DecisionEvent]:
        """Everything said of one decision, oldest first; nothing when it is unknown, or not for the asker."""
        rows = self.store.query(
            "SELECT * FROM events WHERE decision_id = ? ORDER BY time_s, append_ms, id", (decision_id,)
        )
        return [_event(row) for row in rows if services is None or row["service"] in services]

    def newest_events(self, wanted: Wanted, limit: int) -> list[DecisionEvent]:
        """The newest ``limit`` decisions and outcomes, oldest first; those of one second in the order they came."""
        where = f" WHERE {' AND '.join(wanted.conditions)}" if wanted.conditions else ""
        rows = self.store.query(
            f"SELECT * FROM events{where} ORDER BY time_s DESC, rowid DESC LIMIT ?",  # noqa: S608  # fixed names and marks
            (*wanted.values, limit),
        )
        return [_event(row) for row in reversed(rows)]

    def newer_than(self, place: int, wanted: Wanted) -> list[tuple[int, DecisionEvent]]:
        """Events that came after ``place``, each with its own place, in the order they came, up to 500."""
        conditions = ("rowid > ?", *wanted.conditions)
        rows = self.store.query(
            f"SELECT rowid AS place, * FROM events WHERE {' AND '.join(conditions)} ORDER BY rowid LIMIT 500",  # noqa: S608  # fixed names and marks
            (place, *wanted.values),
        )
        return [(row["place"], _event(row)) for row in rows]

    def decisions_beginning(self, prefix: str) -> list[str]:
        """Ids of decisions that begin with ``prefix``, sorted."""
        rows = self.store.query(
            "SELECT DISTINCT decision_id FROM events WHERE substr(decision_id, 1, ?) = ? AND decision_id <> ''"
            " ORDER BY decision_id",
            (len(prefix), prefix),
        )
        return [row["decision_id"] for row in rows]

    def newer_events(
        self, after: int, services: Services, types: Sequence[str] = (), service: str = ""
    ) -> tuple[list[DecisionEvent], int]:
        """Events that came after the place ``after``, in the order they came, up to 500; and the place reached."""
        wanted = (
            Wanted(("rowid > ?",), (after,), services).where("service = ?", service).one_of("type", types).seen_by()
        )
        rows = self.store.query(
            f"SELECT rowid AS place, * FROM events WHERE {' AND '.join(wanted.conditions)} ORDER BY rowid LIMIT 500",  # noqa: S608  # fixed names and marks
            wanted.values,
        )
        return [_event(row) for row in rows], rows[-1]["place"] if rows else after

    def place_of(self, event_id: str = "") -> int:
        """The place of an event; of the newest one when it is unknown or none is named."""
        rows = self.store.query("SELECT rowid AS place FROM events WHERE id = ?", (event_id,)) or self.store.query(
            "SELECT coalesce(max(rowid), 0) AS place FROM events"
        )
        place: int = rows[0]["place"]
        return place

    # ---- services --------------------------------------------------------------------------------------------------
    def names(self, services: Services = None) -> list[str]:
        """Services that have a document, a split or counted traffic."""
        found = self.store.query(
            "SELECT service FROM splits UNION SELECT service FROM documents UNION"
            " SELECT DISTINCT service FROM aggregates UNION SELECT DISTINCT service FROM events"
        )
        names = (row["service"] for row in found)
        return sorted(name for name in names if name != "*" and (services is None or name in services))

    def state(self, service: str) -> ServiceState | None:
        """Where a service stands; None when nothing is known of it."""
        split, document = self.split(service), self.document(service)
        counted = self.store.query(
            "SELECT max(end_s) AS until FROM aggregates WHERE service = ? AND window_s = 60", (service,)
        )[0]["until"]
        said = self.store.query(
            "SELECT mode FROM events WHERE service = ? AND mode <> '' ORDER BY time_s DESC, append_ms DESC LIMIT 1",
            (service,),
        )
        if split is None and document is None and counted is None and not said:
            return None
        return ServiceState(
            service=service,
            mode=said[0]["mode"] if said else document.mode if document else "observe",
            configured=document is not None,
            version=split.version if split else 0,
            incumbent=split.incumbent if split else "",
            weights=split.weights if split else {},
            trial=msgspec.to_builtins(split.trial) if split and split.trial else None,
            frozen=bool(split and split.frozen),
            counted_until=rfc3339(counted) if counted is not None else None,
            arms=[arm.name for arm in split.arms] if split else [],
        )

    def split(self, service: str) -> Split | None:
        """The newest split."""
        rows = self.store.query("SELECT json FROM splits WHERE service = ?", (service,))
        return splits.decode(rows[0]["json"]) if rows else None

    def splits(self) -> list[Split]:
        """The newest split of every service."""
        return [splits.decode(row["json"]) for row in self.store.query("SELECT json FROM splits")]

    def document(self, service: str) -> ServiceDocument | None:
        """The document in force."""
        rows = self.store.query("SELECT json FROM documents WHERE service = ?", (service,))
        return from_json(rows[0]["json"]) if rows else None

    def savings(self, service: str, limit: int = 24) -> list[SavingsClaim]:
        """What was said to be saved, newest first."""
        rows = self.store.query(
            "SELECT * FROM savings WHERE service = ? ORDER BY time_s DESC, id LIMIT ?", (service, limit)
        )
        return [
            SavingsClaim(id=r["id"], service=service, time=rfc3339(r["time_s"]), data=_json(r["json"])) for r in rows
        ]

    def with_savings(self) -> list[str]:
        """Services that said something of savings, by name."""
        return [row["service"] for row in self.store.query("SELECT DISTINCT service FROM savings ORDER BY service")]

    # ---- traffic ---------------------------------------------------------------------------------------------------
    def windows(self, service: str, size_s: int, start_s: int, end_s: int, arm: str = "") -> list[Any]:
        """Rows of closed windows of ``size_s`` within [start, end), oldest first. ``TooManyError``."""
        wanted = Wanted(
            ("service = ?", "window_s = ?", "start_s >= ?", "end_s <= ?"), (service, size_s, start_s, end_s)
        ).where("arm = ?", arm)
        rows = self.store.query(
            f"SELECT * FROM aggregates WHERE {' AND '.join(wanted.conditions)}"  # noqa: S608  # fixed names and marks
            " ORDER BY start_s, arm, segment, slice LIMIT ?",
            (*wanted.values, MAX_MERGED + 1),
        )
        if len(rows) > MAX_MERGED:
            raise TooManyError(
                f"more than {MAX_MERGED:,} windows: ask for a shorter time, one arm, or a larger window_s"
            )
        return rows

    def sliding(self, service: str, size_s: int, start_s: int, end_s: int, arm: str = "") -> list[WindowSums]:
        """One sum over [start, end) of every (arm, segment, slice). ``TooManyError``."""
        return merged(service, self.windows(service, size_s, start_s, end_s, arm))

    def newest_s(self, service: str) -> int | None:
        """End of the newest closed minute."""
        rows = self.store.query(
            "SELECT max(end_s) AS until FROM aggregates WHERE service = ? AND window_s = 60", (service,)
        )
        until: int | None = rows[0]["until"]
        return until

    def arms_seen(self, service: str) -> list[str]:
        """Arms that had traffic, by name."""
        rows = self.store.query(
            "SELECT DISTINCT arm FROM aggregates WHERE service = ? AND arm <> '*' ORDER BY arm", (service,)
        )
        return [row["arm"] for row in rows]

    # ---- findings, trials, commands --------------------------------------------------------------------------------
    def findings(self, wanted: Wanted, cursor: str = "", limit: int = 50) -> tuple[list[FindingEvent], str]:
        """Findings as they were told, newest first. ``CursorError``."""
        rows, next_ = page(self.store, "findings", wanted, cursor, limit)
        return [_finding(row) for row in rows], next_

    def commands(self, wanted: Wanted, cursor: str = "", limit: int = 50) -> tuple[list[CommandEvent], str]:
        """Orders as they were given, newest first. ``CursorError``."""
        rows, next_ = page(self.store, "commands", wanted, cursor, limit)
        return [_command(row) for row in rows], next_

    def command(self, event_id: str) -> CommandEvent | None:
        """One order by the id of its event."""
        rows = self.store.query("SELECT * FROM commands WHERE id = ?", (event_id,))
        return _command(rows[0]) if rows else None

    def command_place(self, event_id: str) -> tuple[int, int] | None:
        """Partition and offset of one order in the log."""
        rows = self.store.query('SELECT partition, "offset" FROM commands WHERE id = ?', (event_id,))
        return (rows[0]["partition"], rows[0]["offset"]) if rows else None

    def trials(self, services: Services = None, status: str = "", service: str = "", limit: int = 50) -> list[Trial]:
        """Trials, the newest first."""
        wanted = Wanted((), (), services).where("status = ?", status).where("service = ?", service).seen_by()
        where = f" WHERE {' AND '.join(wanted.conditions)}" if wanted.conditions else ""
        rows = self.store.query(
            f"SELECT * FROM experiments{where} ORDER BY start_time DESC, id LIMIT ?",  # noqa: S608  # fixed names
            (*wanted.values, limit),
        )
        return [_trial(row) for row in rows]

    def trial(self, identity: str) -> Trial | None:
        """One trial."""
        rows = self.store.query("SELECT * FROM experiments WHERE id = ?", (identity,))
        return _trial(rows[0]) if rows else None


def _event(row: Any) -> DecisionEvent:
    return DecisionEvent(
        id=row["id"],
        type=row["type"],
        status=row["status"],
        time=rfc3339(row["time_s"]),
        service=row["service"],
        decision_id=row["decision_id"],
        action=row["action"],
        strategy=row["strategy"],
        mode=row["mode"],
        version=row["version"],
        rationale=row["rationale"],
        data=_json(row["json"]),
    )


def _finding(row: Any) -> FindingEvent:
    names = (
        "id", "type", "finding_id", "service", "arm", "segment", "analyzer", "kind", "metric", "severity", "status",
        "detail",
    )  # fmt: skip
    return FindingEvent(**{n: row[n] for n in names}, time=rfc3339(row["time_s"]), data=_json(row["json"]))


def _command(row: Any) -> CommandEvent:
    names = ("id", "service", "command", "actor", "reason", "source")
    return CommandEvent(
        **{n: row[n] for n in names}, time=rfc3339(row["time_s"]), args=_json(row["json"]).get("args") or {}
    )


def _trial(row: Any) -> Trial:
    control, trial = (variant["variant_id"] for variant in _json(row["variants"]))
    allocation = _json(row["traffic_allocation"])
    return Trial(
        id=row["id"],
        service=row["service"],
        name=row["name"],
        status=row["status"],
        arm=trial,
        control_arm=control,
        share=allocation.get(trial) or 0.0,
        control_share=allocation.get(control) or 0.0,
        start_time=row["start_time"],
        end_time=row["end_time"],
        ended_with=row["ended_with"],
        winner=row["winner_variant_id"],
        conclusion=row["conclusion"],
        results=_json(row["results"]) if row["results"] else None,
        constraints=_json(row["metrics"]),
    )
