"""What changed in the read model, for those who follow it: numbered by the batch that changed it."""

import msgspec

from app.adapters.readmodel.store import Store


class Change(msgspec.Struct, frozen=True):
    """Rows of table ``what`` of a service (``*``: of all, "": of none) last changed in batch ``number``."""

    service: str
    what: str
    number: int


def newest(store: Store) -> int:
    """The number of the newest batch that changed anything; 0 before the first."""
    number: int = store.query("SELECT coalesce(max(n), 0) AS n FROM changes")[0]["n"]
    return number


def after(store: Store, number: int) -> list[Change]:
    """What changed after batch ``number``, oldest first; with 0 everything there is."""
    rows = store.query("SELECT service, what, n FROM changes WHERE n > ? ORDER BY n, service, what", (number,))
    return [Change(row["service"], row["what"], row["n"]) for row in rows]
