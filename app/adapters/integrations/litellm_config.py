"""LiteLLM's proxy configuration, read into first service documents (mode observe).

A model group (``model_name``) is what applications ask for, so it becomes a service; its deployments become arms, named
by ``model_info.id``, which LiteLLM also weighs them by. Keys, addresses and secrets are never copied.

Source: https://docs.litellm.ai/docs/proxy/configs (``model_list``, ``litellm_params``, ``model_info``).
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import yaml

from app.core.document import Arm, DocumentError, Price, ServiceDocument, from_object, to_object

PARAMETERS = (
    "temperature", "top_p", "top_k", "max_tokens", "max_completion_tokens", "frequency_penalty", "presence_penalty",
    "seed", "stop", "reasoning_effort", "response_format",
)  # fmt: skip
"""What of ``litellm_params`` shapes an answer; all else is how to reach the provider and stays in LiteLLM's file."""
REGIONS = ("region_name", "aws_region_name", "vertex_location")
CAPABILITIES = {"supports_vision": "vision", "supports_function_calling": "tools", "supports_audio_input": "audio"}
MILLION = 1_000_000
MOST = 1e15
"""Numbers beyond are no weight and no price."""


class Deployment(msgspec.Struct, frozen=True):
    """One entry of ``model_list``. ``weight``: LiteLLM's share of the group's traffic, relative."""

    group: str
    arm: Arm
    price: Price | None
    weight: float


def read_deployments(text: str, origin: str = "") -> list[Deployment]:
    """The deployments in the order of the file; arms of one name in one group get a number.

    Raises ``DocumentError`` that names the entry.
    """
    try:
        raw = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        problem = f"not YAML: {getattr(error, 'problem', None) or error}"
        raise DocumentError(problem, origin=origin, line=mark.line + 1 if mark else None) from None
    entries = raw.get("model_list") if isinstance(raw, Mapping) else None
    if not isinstance(entries, list) or not entries:
        problem = "has no deployments; models kept in LiteLLM's database are not in this file"
        raise DocumentError(problem, origin=origin, path=("model_list",))
    return _numbered(_deployment(entry, at, origin) for at, entry in enumerate(entries))


def documents(deployments: Iterable[Deployment]) -> list[ServiceDocument]:
    """One service for each model group, in the order of the file. Raises ``DocumentError``, e.g. beyond 16 arms."""
    groups: dict[str, list[Deployment]] = {}
    for deployment in deployments:
        groups.setdefault(deployment.group, []).append(deployment)
    return [document(group, members) for group, members in groups.items()]


def document(service: str, deployments: list[Deployment]) -> ServiceDocument:
    """``deployments`` as the arms of one service; the one with the most weight (the first of equals) serves now."""
    heaviest = max(deployments, key=lambda deployment: deployment.weight)
    prices = {deployment.price.model: deployment.price for deployment in deployments if deployment.price is not None}
    made = ServiceDocument(
        service=service,
        mode="observe",
        gateway="litellm",
        arms=tuple(deployment.arm for deployment in deployments),
        incumbent=heaviest.arm.name,
        prices=tuple(prices.values()),
    )
    return from_object(to_object(made))


def _deployment(entry: Any, at: int, origin: str) -> Deployment:
    group = _text(entry, origin, ("model_list", at, "model_name"))
    params = _table(entry, "litellm_params")
    info = _table(entry, "model_info")
    full = _text(params, origin, ("model_list", at, "litellm_params", "model"))
    prefix, slash, rest = full.partition("/")
    model = str(info.get("base_model") or (rest if slash else full))
    arm = Arm(
        name=str(info.get("id") or model),
        model=model,
        provider=str(params.get("custom_llm_provider") or (prefix if slash else "")),
        region=next((str(params[key]) for key in REGIONS if params.get(key)), ""),
        parameters={key: params[key] for key in PARAMETERS if params.get(key) is not None},
        capabilities=tuple(name for key, name in CAPABILITIES.items() if info.get(key) is True),
    )
    weight = next((float(params[key]) for key in ("weight", "rpm", "tpm") if _is_number(params.get(key))), 1.0)
    return Deployment(group, arm, _price(model, info, params), weight)


def _numbered(deployments: Iterable[Deployment]) -> list[Deployment]:
    used: set[tuple[str, str]] = set()
    found: list[Deployment] = []
    for deployment in deployments:
        name, number = deployment.arm.name, 1
        while (deployment.group, name) in used:
            number += 1
            name = f"{deployment.arm.name}-{number}"
        used.add((deployment.group, name))
        arm = msgspec.structs.replace(deployment.arm, name=name)
        found.append(msgspec.structs.replace(deployment, arm=arm))
    return found


def _price(model: str, *tables: Mapping[str, Any]) -> Price | None:
    """USD per token, in ``model_info`` or ``litellm_params``, as USD per million."""
    known = {key: value for table in reversed(tables) for key, value in table.items() if _is_number(value)}
    paid, made = known.get("input_cost_per_token"), known.get("output_cost_per_token")
    if paid is None or made is None:
        return None
    cached = known.get("cache_read_input_token_cost")
    return Price(
        model=model,
        input_usd=_per_million(paid),
        output_usd=_per_million(made),
        cached_usd=None if cached is None else _per_million(cached),
    )


def _per_million(usd: Any) -> float:
    return round(float(usd) * MILLION, 9)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < MOST


def _table(entry: Any, key: str) -> Mapping[str, Any]:
    found = entry.get(key) if isinstance(entry, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _text(table: Any, origin: str, path: tuple[str | int, ...]) -> str:
    value = table.get(path[-1]) if isinstance(table, Mapping) else None
    if not isinstance(value, str) or not value:
        raise DocumentError("is required", origin=origin, path=path, allowed="a name")
    return value
