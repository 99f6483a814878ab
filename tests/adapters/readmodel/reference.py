"""The read model a second time, as plain dictionaries: the first of every id, the newest split and document."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from app.adapters.kafka.subscriber import Seen
from app.adapters.readmodel.store import Store


def fold(records: Iterable[Seen], roles: Mapping[str, str]) -> dict[str, Any]:
    """What must be in the model after ``records``, whatever was stopped and begun again in between."""
    first: dict[tuple[str, str], bytes] = {}
    done: set[tuple[str, str]] = set()
    places: set[tuple[str, int, int]] = set()
    counts: Counter[str] = Counter()
    ids: dict[str, set[str]] = {
        "events": set(),
        "aggregates": set(),
        "findings": set(),
        "savings": set(),
        "commands": set(),
    }
    splits: dict[str, tuple[int, bool]] = {}
    documents: dict[str, tuple[int, int, Any]] = {}
    sums: Counter[tuple[str, int]] = Counter()
    for record in records:
        place = (record.topic, record.partition, record.offset)
        if place in places:
            continue
        places.add(place)
        role = roles[record.topic]
        if role == "dead_letters":
            counts["dead_letters"] += 1
            continue
        known = first.setdefault((role, record.id), record.value)
        if (role, record.id) in done:
            counts["repeated" if known == record.value else "conflicts"] += 1
            continue
        done.add((role, record.id))
        data = json.loads(record.value)
        kind = record.type.rpartition(".")[2]
        table = {"aggregate": "aggregates", "finding": "findings", "savings": "savings", "command": "commands"}.get(
            kind
        )
        if role == "splits":
            new = (data["version"], data["frozen"])
            splits[data["service"]] = max(splits.get(data["service"], new), new)
            continue
        ids[table or "events"].add(record.id)
        if kind == "aggregate":
            sums[data["service"], data["window_s"]] += data["count"]
        if kind == "command" and data["command"] == "configure":
            found = (record.append_ms, record.offset, data["args"]["document"])
            documents[data["service"]] = max(documents.get(data["service"], found), found, key=lambda d: d[:2])
    return {
        **ids,
        "splits": splits,
        "documents": {name: document for name, (_, _, document) in documents.items()},
        "sums": dict(sums),
        "counts": dict(counts),
    }


def held(store: Store) -> dict[str, Any]:
    """The same of a store."""
    found: dict[str, Any] = {
        table: {row["id"] for row in store.query(f"SELECT id FROM {table}")}  # noqa: S608  # fixed names
        for table in ("events", "aggregates", "findings", "savings", "commands")
    }
    sums = store.query("SELECT service, window_s, sum(count) AS n FROM aggregates GROUP BY service, window_s")
    return {
        **found,
        "splits": {r["service"]: (r["version"], bool(r["frozen"])) for r in store.query("SELECT * FROM splits")},
        "documents": {r["service"]: json.loads(r["json"]) for r in store.query("SELECT * FROM documents")},
        "sums": {(r["service"], r["window_s"]): r["n"] for r in sums},
        "counts": {name: sum(labels.values()) for name, labels in store.counters().items()},
    }
