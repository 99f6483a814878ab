"""Who asks, and what they may do: roles, each for named services or for all of them.

    viewer     read
    operator   viewer, and every order but those below; send events
    approver   viewer, and approve or reject what is proposed
    admin      everything: documents, modes, experiments
    producer   send events, nothing else

A role for service ``*`` is for every service, and only such a role may give orders to all of them at once.
"""

from typing import Literal, get_args

import msgspec

from app.core.document import EVERYWHERE
from app.core.events import is_name

Role = Literal["viewer", "operator", "approver", "admin", "producer"]
ROLES: tuple[Role, ...] = get_args(Role)

Right = Literal["read", "operate", "approve", "administer", "send"]

RIGHTS: dict[Role, frozenset[Right]] = {
    "viewer": frozenset(("read",)),
    "operator": frozenset(("read", "operate", "send")),
    "approver": frozenset(("read", "approve")),
    "admin": frozenset(("read", "operate", "approve", "administer", "send")),
    "producer": frozenset(("send",)),
}


class Grant(msgspec.Struct, frozen=True):
    """One role for one service, or for all (``*``)."""

    role: Role
    service: str = EVERYWHERE


class GrantError(ValueError):
    """A grant that cannot be read; the message says how to write one."""


def grant(text: str) -> Grant:
    """``operator:chat``, ``viewer:*`` or ``admin`` (= ``admin:*``). Raises ``GrantError``."""
    role, _, service = text.partition(":")
    service = service or EVERYWHERE
    for known in ROLES:
        if known == role and (service == EVERYWHERE or is_name(service)):
            return Grant(known, service)
    raise GrantError(f"{text[:80]!r} is no role: write ROLE:SERVICE or ROLE:*, with a role of {', '.join(ROLES)}")


class Identity(msgspec.Struct, frozen=True):
    """``name`` is what the log of commands shows: ``key:ID``, ``jwt:SUBJECT`` or ``anonymous``."""

    name: str
    kind: Literal["api_key", "user", "unauthenticated"]
    grants: tuple[Grant, ...]

    def may(self, right: Right, service: str) -> bool:
        """Whether ``right`` holds for ``service`` (``*``: for all of them at once)."""
        return any(right in RIGHTS[g.role] and g.service in {EVERYWHERE, service} for g in self.grants)

    def services(self, right: Right) -> tuple[str, ...] | None:
        """The services ``right`` holds for; None: all."""
        named = tuple(sorted({g.service for g in self.grants if right in RIGHTS[g.role]}))
        return None if EVERYWHERE in named else named


ANONYMOUS = Identity("anonymous", "unauthenticated", (Grant("admin"),))
"""Everybody, where no authentication is asked (loopback only)."""
