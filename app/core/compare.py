"""Two runs of decisions side by side: what stays, what goes, what comes, and where they part.

Decisions are matched in order by what they are: service, time, status, action and arm. Ids and versions are places in a
log and are not compared. After the first difference the recorded traffic followed the recorded decisions only, so what
comes behind it is a lower bound of what the other document would have done: an arm that got no traffic shows nothing.
"""

import difflib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

import msgspec

from app.core.decision import EVENT_TYPES, Status
from app.core.outputs import Output

_STATUS: dict[str, Status] = {type_: status for status, type_ in EVENT_TYPES.items()}
Sign = Literal["same", "reasons", "removed", "added"]


class Made(msgspec.Struct, frozen=True):
    """A decision of a run: ``data`` as published."""

    time_s: int
    service: str
    status: Status
    data: dict[str, Any]

    @property
    def arm(self) -> str:
        """The arm it is about; empty when it is about none."""
        return str((self.data.get("evidence") or {}).get("challenger") or "")

    @property
    def what(self) -> tuple[str, int, str, str, str]:
        """What a decision is, whatever its reasons."""
        return self.service, self.time_s, self.status, str(self.data.get("action", "")), self.arm

    @property
    def why(self) -> str:
        """The sentence."""
        return str(self.data.get("rationale", ""))


class Difference(msgspec.Struct, frozen=True):
    """``before`` and ``after`` of one decision: None where it is missing. ``sign`` says which of the four it is."""

    sign: Sign
    before: Made | None
    after: Made | None

    @property
    def time_s(self) -> int:
        made = self.before or self.after
        return made.time_s if made is not None else 0


def made(said: Iterable[Output]) -> Iterator[Made]:
    """The decisions among ``said``, in order."""
    for output in said:
        status = _STATUS.get(output.type)
        if status is not None:
            yield Made(output.time_s, output.service, status, msgspec.json.decode(output.data))


def compared(before: Sequence[Made], after: Sequence[Made]) -> list[Difference]:
    """The two runs aligned, in time order; decisions of one service keep their order."""
    found: list[Difference] = []
    for service in sorted({one.service for one in (*before, *after)}):
        old, new = ([one for one in run if one.service == service] for run in (before, after))
        found += _aligned(old, new)
    return sorted(found, key=lambda difference: difference.time_s)


def parted_s(differences: Iterable[Difference]) -> int | None:
    """Event time of the first decision that went or came; None: the same decisions, perhaps for other reasons."""
    return next((d.time_s for d in differences if d.sign in {"removed", "added"}), None)


def _aligned(old: list[Made], new: list[Made]) -> Iterator[Difference]:
    matcher = difflib.SequenceMatcher(None, [one.what for one in old], [one.what for one in new], autojunk=False)
    for tag, a, b, c, d in matcher.get_opcodes():
        if tag == "equal":
            yield from (Difference(_sign(x, y), x, y) for x, y in zip(old[a:b], new[c:d], strict=True))
        else:
            yield from (Difference("removed", one, None) for one in old[a:b])
            yield from (Difference("added", None, one) for one in new[c:d])


def _sign(before: Made, after: Made) -> Sign:
    """Whether the reasons are the same: what was expected, what it was held against, the sentence."""
    kept = ("rationale", "constraints", "expected_impact", "alternatives", "changes")
    return "same" if all(before.data.get(key) == after.data.get(key) for key in kept) else "reasons"
