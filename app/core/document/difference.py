"""What differs between two documents, key by key; arms, prices and policies are matched by what identifies them."""

from typing import Any

import msgspec

from app.core.decision import Change
from app.core.document.service_document import ServiceDocument

_IDENTITY: dict[str, tuple[str, ...]] = {"arms": ("name",), "prices": ("model", "valid_from"), "policies": ("id",)}
_ABSENT = object()


def diff(old: ServiceDocument | None, new: ServiceDocument) -> list[Change]:
    """Changes from ``old`` (None: there was none) to ``new``, in key order. Empty when they mean the same."""
    before = _flat(_all_fields(old)) if old is not None else {}
    after = _flat(_all_fields(new) if old is not None else msgspec.to_builtins(new))
    both = {key for key in before if key in after}
    _compare_inside(before, after, both)
    changes = (_change(key, before.get(key, _ABSENT), after.get(key, _ABSENT)) for key in sorted({*before, *after}))
    return [change for change in changes if change is not None] + _order(old, new)


def _compare_inside(before: dict[str, Any], after: dict[str, Any], both: set[str]) -> None:
    """Replace a table that both sides have by its keys: only an added or removed one is a change as a whole."""
    for key in both:
        if isinstance(before[key], dict) and isinstance(after[key], dict):
            before |= _flat(before.pop(key), key)
            after |= _flat(after.pop(key), key)


def _all_fields(value: Any) -> Any:
    """Plain values with every field written out, defaults as well."""
    if isinstance(value, msgspec.Struct):
        return {name: _all_fields(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, tuple):
        return [_all_fields(item) for item in value]
    return value


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    """Leaf values by path; what has an identity is one value under it (``arms[small]``), other lists are leaves."""
    if not isinstance(value, dict):
        return {} if value is None else {path: value}
    flat: dict[str, Any] = {}
    for key, item in value.items():
        below = f"{path}.{key}" if path else key
        if not path and key in _IDENTITY:
            flat |= {f"{key}[{_label(each, _IDENTITY[key])}]": each for each in item}
        else:
            flat |= _flat(item, below)
    return flat


def _label(item: dict[str, Any], identity: tuple[str, ...]) -> str:
    return " ".join(str(item[key]) for key in identity if item.get(key))


def _without_empty(value: Any) -> Any:
    """A table as people wrote it: keys that say nothing left out."""
    if isinstance(value, dict):
        return {key: _without_empty(item) for key, item in value.items() if item not in (None, "", [], {}, ())}
    return value


def _change(key: str, old: Any, new: Any) -> Change | None:
    if old is _ABSENT:
        return Change(parameter=key, old=None, new=_without_empty(new), change_type="add")
    if new is _ABSENT:
        return Change(parameter=key, old=_without_empty(old), new=None, change_type="remove")
    return None if old == new else Change(parameter=key, old=old, new=new, change_type="replace")


def _order(old: ServiceDocument | None, new: ServiceDocument) -> list[Change]:
    """Arm order decides who is drawn by which hash, so a new order of the same arms is a change."""
    if old is None or old.arm_names == new.arm_names or sorted(old.arm_names) != sorted(new.arm_names):
        return []
    return [Change(parameter="arms (order)", old=list(old.arm_names), new=list(new.arm_names), change_type="replace")]
