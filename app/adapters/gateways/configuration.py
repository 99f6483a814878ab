"""The body of a configuration update: requirements/004 "LLM-Orchestrator & LLM-Edge-Agent Integration".

``configuration`` holds the challenger in plain keys (model, temperature... as text), for an Orchestrator that knows one
configuration, and the whole split as JSON under ``split``, for one that knows arms and slices.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from app.core import split as splits
from app.core.split import ArmDefinition, Split

Percent = Annotated[float, Meta(ge=0, le=100)]
Text = Annotated[str, Meta(max_length=1_000_000)]

_NOT_PARAMETERS = frozenset(("split", "model", "provider", "prompt_version", "region"))


class Deployment(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the change reaches traffic; the split says it exactly, this says it in the words of requirements/004."""

    strategy: Literal["immediate", "canary", "blue_green", "shadow"] = "immediate"
    initial_percentage: Percent = 100.0
    progression: tuple[Percent, ...] = ()
    progression_interval_minutes: Annotated[float, Meta(ge=0)] = 0.0
    rollback_on_error_rate: Annotated[float, Meta(ge=0, le=1)] = 0.0


class ConfigurationUpdate(msgspec.Struct, frozen=True):
    """The body of POST and PUT ``/api/v1/configurations``."""

    service_id: Annotated[str, Meta(min_length=1, max_length=200)]
    configuration: Annotated[dict[str, Text], Meta(max_length=200)]
    deployment: Deployment = Deployment()


encode = msgspec.json.Encoder(order="deterministic").encode
decode = msgspec.json.Decoder(ConfigurationUpdate).decode


def update_of(split: Split) -> ConfigurationUpdate:
    """The update that asks for ``split``."""
    challenger = split.trial.arm if split.trial else split.incumbent
    plain = next((_plain(arm) for arm in split.arms if arm.name == challenger), {})
    return ConfigurationUpdate(split.service, {**plain, "split": splits.encode(split).decode()}, _deployment(split))


def _deployment(split: Split) -> Deployment:
    if split.trial is None:
        return Deployment()
    return Deployment("shadow" if split.trial.mirrored else "canary", round(split.trial.share * 100, 6))


def split_of(update: ConfigurationUpdate) -> Split:
    """The split an update asks for; plain keys alone mean version 0 with one arm. ValueError says what is wrong."""
    text = update.configuration.get("split")
    if text is None:
        return _plain_split(update)
    try:
        split = splits.decode(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"configuration.split: {error}") from error
    if split.service != update.service_id:
        raise ValueError(f"configuration.split is of service {split.service!r}, the update of {update.service_id!r}")
    return split


def _plain(arm: ArmDefinition) -> dict[str, str]:
    named = {"provider": arm.provider, "prompt_version": arm.prompt_version, "region": arm.region}
    parameters = {name: _text(value) for name, value in arm.parameters.items()}
    return {**parameters, "model": arm.model, **{name: value for name, value in named.items() if value}}


def _text(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _plain_split(update: ConfigurationUpdate) -> Split:
    plain = update.configuration
    if not plain.get("model"):
        raise ValueError("configuration needs `split` (the whole split as JSON) or at least `model`")
    arm = ArmDefinition(
        name=plain["model"],
        model=plain["model"],
        provider=plain.get("provider", ""),
        prompt_version=plain.get("prompt_version", ""),
        region=plain.get("region", ""),
        parameters={name: text for name, text in plain.items() if name not in _NOT_PARAMETERS},
    )
    weights = {"*": {arm.name: 1.0}}
    return Split(service=update.service_id, version=0, decision_id="", incumbent=arm.name, arms=(arm,), weights=weights)
