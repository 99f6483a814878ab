"""A document that cannot be used: where the fault is, what stands there and what may stand there."""

import json
from typing import Any

PathStep = str | int
Path = tuple[PathStep, ...]
NOTHING = object()
"""There is no value to show."""


def path_text(path: Path) -> str:
    """``arms[1].name`` for ("arms", 1, "name")."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


class DocumentError(ValueError):
    """A service document is wrong. ``str()`` is one line for people: origin:line: key: problem (got ...); allowed."""

    def __init__(
        self,
        problem: str,
        *,
        origin: str = "",
        line: int | None = None,
        path: Path = (),
        value: Any = NOTHING,
        allowed: str = "",
    ) -> None:
        self.problem = problem
        self.origin = origin
        self.line = line
        self.path = path
        self.value = value
        self.allowed = allowed
        super().__init__(self._text())

    @property
    def key(self) -> str:
        """Path of the key at fault, empty for the whole document."""
        return path_text(self.path)

    def at(self, origin: str, line: int | None) -> "DocumentError":
        """The same fault with its place in a file."""
        return DocumentError(
            self.problem, origin=origin, line=line, path=self.path, value=self.value, allowed=self.allowed
        )

    def _text(self) -> str:
        place = ":".join(str(part) for part in (self.origin, self.line) if part)
        got = "" if self.value is NOTHING else f", got {_shown(self.value)}"
        allowed = f"; allowed: {self.allowed}" if self.allowed else ""
        return (
            ": ".join(part for part in (place, self.key) if part)
            + (": " if place or self.path else "")
            + (f"{self.problem}{got}{allowed}")
        )


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 80 else text[:77] + "..."
