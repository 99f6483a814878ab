"""Which arm a request goes to, with the receipt that says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from llm_optimizer_client.events import MAX_TEXT, PARTS, new_id
from llm_optimizer_client.receipts import Receipt, receipt_of, with_receipt
from llm_optimizer_client.split import Split, session_group

Origin = Literal["split", "api", "default"]


class NoModelError(LookupError):
    """The split of the service is not known, and no default was given."""


@dataclass(slots=True)  # not frozen: that would double what a selection costs
class Selection:
    """``request_id`` carries the receipt: send it with the response event, and with feedback. ``origin``: drawn here
    from the split, answered by the API, or the caller's default (then ``arm`` is empty and there is no receipt).

    ``order``: the arms that may answer instead, best first, with their definitions. ``mirror``: the arm to which a copy
    of the request may be sent, its answer told with slice ``shadow``; empty: none.
    """

    service: str
    model: str
    request_id: str
    arm: str = ""
    provider: str = ""
    prompt_version: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    slice: str = "main"
    version: int = 0
    segment: str = "*"
    session_group: int | None = None
    origin: Origin = "split"
    order: tuple[Mapping[str, Any], ...] = ()
    mirror: str = ""

    @property
    def receipt(self) -> Receipt | None:
        """Where the request is counted."""
        return receipt_of(self.request_id)


def drawn(split: Split, unique: str, session: str, parts: Mapping[str, str]) -> Selection:
    """Draw for one request. ``unique``: its id without a receipt."""
    identity = session if split.sticky and session else unique
    segment = split.segment(parts)
    slice_, name = split.draw(identity, segment)
    arm, group = split.arms[name], session_group(identity)
    tenant, task_type, region = (parts.get(part, "") for part in PARTS)
    receipt = Receipt(split.service, name, tenant, task_type, region, slice_, split.version, group)
    return Selection(
        service=split.service,
        model=model_of(arm),
        request_id=with_receipt(unique, receipt),
        arm=name,
        provider=str(arm.get("provider") or ""),
        prompt_version=str(arm.get("prompt_version") or ""),
        parameters=dict(arm.get("parameters") or {}),
        slice=slice_,
        version=split.version,
        segment=segment,
        session_group=group,
        order=split.servers(name),
        mirror=split.mirror(slice_),
    )


def answered(answer: Mapping[str, Any]) -> Selection:
    """What the API drew. KeyError, TypeError, ValueError: it is no selection."""
    arm = {"model": answer["recommended_model"], "provider": answer.get("provider") or ""}
    request_id = str(answer["receipt"])
    receipt = receipt_of(request_id)
    if receipt is None:
        raise ValueError("the API answered without a receipt")
    return Selection(
        service=receipt.service,
        model=model_of(arm),
        request_id=request_id,
        arm=receipt.arm,
        provider=arm["provider"],
        prompt_version=str(answer.get("prompt_version") or ""),
        parameters=dict(answer.get("parameters") or {}),
        slice=receipt.slice,
        version=receipt.version,
        segment=str(answer.get("segment") or "*"),
        session_group=receipt.session_group,
        origin="api",
    )


def without_split(service: str, default: str, unique: str) -> Selection:
    """The caller's own choice."""
    return Selection(service, default, unique, origin="default")


def unique_of(request_id: str) -> str:
    """What a request is drawn by: its id without a receipt, or a new one."""
    return request_id.partition(".")[0][:MAX_TEXT] or new_id()


def model_of(arm: Mapping[str, Any]) -> str:
    """The model as its provider calls it: ``openai/gpt-4o`` of provider openai is gpt-4o."""
    model, provider = str(arm.get("model") or ""), str(arm.get("provider") or "")
    return model.removeprefix(f"{provider}/") if provider else model
