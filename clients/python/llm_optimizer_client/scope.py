"""What the wrappers need to know of a request beside the call itself: whose session it is, which part of the service.

Context variables: each thread and each asyncio task has its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass
class Scope:
    """``request_id``: of the last request made within; give it to ``feedback``. Mutable."""

    session: str = ""
    segment: dict[str, str] = field(default_factory=dict)
    request_id: str = ""


_NOBODY = Scope()
_scope: ContextVar[Scope] = ContextVar("llm_optimizer_scope", default=_NOBODY)


def current() -> Scope:
    """The innermost scope; outside of any an empty one that is nobody's."""
    return _scope.get()


def note(request_id: str) -> None:
    """A request was made."""
    scope = _scope.get()
    if scope is not _NOBODY:
        scope.request_id = request_id


@contextmanager
def session(session: str = "", *, tenant: str = "", task_type: str = "", region: str = "") -> Iterator[Scope]:
    """Requests made within belong to ``session``, which keeps its arm, and to this part of the service."""
    parts = {"tenant": tenant, "task_type": task_type, "region": region}
    scope = Scope(session, {name: text for name, text in parts.items() if text})
    token = _scope.set(scope)
    try:
        yield scope
    finally:
        _scope.reset(token)
