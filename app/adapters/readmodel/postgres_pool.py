"""Connections to a PostgreSQL database: made when needed, bounded, read-only but for the writer's, every time UTC.

psycopg is an extra (``llm-auto-optimizer[postgres]``); it is imported when a database is named.
"""

import queue
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

from app.adapters.readmodel.store import StoreError

if TYPE_CHECKING:
    import psycopg

READERS = 4
"""Questions of one process at a time; a fifth waits."""
WAIT_S = 5.0
CONNECT_S = 5
STATEMENT_MS = 10_000
IDLE_MS = 60_000
"""A transaction whose process stopped moving lets its lock go after this long."""


class ReadPool:
    """Up to ``READERS`` read-only connections to ``dsn``, in ``schema``. Any thread."""

    def __init__(self, dsn: str, schema: str) -> None:
        self._dsn, self._schema = dsn, schema
        self._slots: queue.LifoQueue[psycopg.Connection[Any] | None] = queue.LifoQueue(READERS)
        for _ in range(READERS):
            self._slots.put(None)

    def query(self, statement: str, values: Iterable[Any]) -> list[Any]:
        """Rows by column name. ``StoreError`` when the database does not answer in time."""
        import psycopg

        try:
            held = self._slots.get(timeout=WAIT_S)
        except queue.Empty:
            raise StoreError(f"the read model is busy: {READERS} questions take longer than {WAIT_S:g} s") from None
        kept = held
        try:
            if kept is None or kept.closed:
                kept = connect(self._dsn, self._schema, writes=False)
            return kept.execute(_marks(statement), [clean(value) for value in values]).fetchall()
        except psycopg.OperationalError as error:
            if kept is not None:
                kept.close()
            raise StoreError(f"the database of the read model: {words(error)}") from None
        finally:
            self._slots.put(kept if kept is not None and not kept.closed else None)

    def close(self) -> None:
        """Close what is idle; a question that is being answered closes with its process."""
        for _ in range(READERS):
            try:
                held = self._slots.get_nowait()
            except queue.Empty:
                return
            if held is not None:
                held.close()


def connect(dsn: str, schema: str, *, writes: bool) -> "psycopg.Connection[Any]":
    """A connection whose names are those of ``schema``. ``StoreError`` without the database or psycopg."""
    try:
        import psycopg
        from psycopg.rows import dict_row
    except ImportError:
        raise StoreError(
            "api.database_url is set, but psycopg is not installed: pip install 'llm-auto-optimizer[postgres]'"
        ) from None
    said = {
        "search_path": schema,
        "timezone": "UTC",
        "datestyle": "ISO",
        "client_encoding": "UTF8",
        "idle_in_transaction_session_timeout": str(IDLE_MS),
        **({} if writes else {"default_transaction_read_only": "on", "statement_timeout": str(STATEMENT_MS)}),
    }
    try:
        made: psycopg.Connection[Any] = psycopg.connect(
            dsn,
            autocommit=True,
            connect_timeout=CONNECT_S,
            application_name="llm-optimizer",
            row_factory=dict_row,
        )
        for name, value in said.items():
            made.execute("SELECT set_config(%s, %s, false)", (name, value))
    except psycopg.Error as error:
        raise StoreError(f"the database of the read model: {words(error)}") from None
    _as_text(made)
    return made


def clean(value: object) -> object:
    """PostgreSQL's text has no zero character: it is read and asked for as U+FFFD."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) and "\0" in value else value


def words(error: Exception) -> str:
    """The first line of what the driver says; never the DSN, which may hold a password."""
    return str(error).strip().partition("\n")[0][:300] or type(error).__name__


@cache
def _marks(statement: str) -> str:
    return statement.replace("%", "%%").replace("?", "%s")


def _as_text(connection: "psycopg.Connection[Any]") -> None:
    """JSONB as its text, TIMESTAMPTZ as RFC 3339, NUMERIC (sums of BIGINT) as int: as SQLite answers them."""
    from psycopg.adapt import Loader

    class Text(Loader):
        def load(self, data: Any) -> str:
            return bytes(data).decode()

    class Time(Loader):
        def load(self, data: Any) -> str:
            return bytes(data).decode().replace(" ", "T").replace("+00", "Z")

    class Number(Loader):
        def load(self, data: Any) -> int | float:
            text = bytes(data).decode()
            return float(text) if "." in text or "N" in text else int(text)

    for name, loader in (("jsonb", Text), ("timestamptz", Time), ("numeric", Number)):
        connection.adapters.register_loader(name, loader)
