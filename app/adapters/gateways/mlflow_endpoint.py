"""A split as an endpoint of MLflow's AI Gateway (3.17), and back.

Arms are model definitions, weights those of a traffic split. The split itself is kept in tags of the endpoint, in
chunks; which one is in force is said by ``last_updated_by``, written in the same transaction as the weights. So a
change that broke off half-way is no change, and weights other than those of the split in force were changed by hand.
"""

import re
from collections.abc import Mapping, Sequence

import msgspec

from app.core.assign import expected_shares
from app.core.ids import stable_id
from app.core.ports import Refused
from app.core.split import Split

TRAFFIC_SPLIT = "REQUEST_BASED_TRAFFIC_SPLIT"
PRIMARY = "PRIMARY"
WHO = "llm-optimizer"
TAG = f"{WHO}.split."
CHUNK = 4_000
"""Characters of one tag; MLflow's databases take 5,000."""
SCALE = 1_000.0
"""MLflow cuts 100 x weight to a whole number: shares are kept to 0.001 %."""
NEAR = 1e-4
"""Difference between two shares that is rounding."""

Configs = list[dict[str, object]]
"""``model_configs`` of an endpoint, as MLflow takes them."""


class ModelDefinition(msgspec.Struct, frozen=True):
    """A model of a provider, with its secret, under a name."""

    model_definition_id: str
    name: str
    provider: str = ""
    model_name: str = ""


class ModelMapping(msgspec.Struct, frozen=True):
    """A model definition's part in an endpoint. Every update of an endpoint makes new ones."""

    mapping_id: str
    model_definition_id: str
    model_definition: ModelDefinition | None = None
    weight: float = 0.0
    linkage_type: str = PRIMARY
    fallback_order: int | None = None


class Tag(msgspec.Struct, frozen=True):
    """One tag of an endpoint."""

    key: str
    value: str = ""


class Endpoint(msgspec.Struct, frozen=True):
    """What ``GET /endpoints/get`` says. ``last_updated_at`` in ms of the server's clock."""

    endpoint_id: str
    name: str
    model_mappings: tuple[ModelMapping, ...] = ()
    last_updated_by: str = ""
    last_updated_at: int = 0
    routing_strategy: str = ""
    fallback_config: dict[str, msgspec.Raw] = {}
    experiment_id: str = ""
    usage_tracking: bool = False
    tags: tuple[Tag, ...] = ()

    @property
    def etag(self) -> str:
        """Names this very state: mappings are never used twice."""
        return stable_id(*sorted(mapping.mapping_id for mapping in self.model_mappings))[:16]


class Kept(msgspec.Struct, frozen=True):
    """A split as it is kept in tags. ``models``: arm -> ``provider/model``, as MLflow's records name it."""

    split: Split
    models: dict[str, str]


def endpoint_name(service: str) -> str:
    """The endpoint of a service: its name, made to fit MLflow's alphabet where it does not."""
    if re.fullmatch(r"[\w.-]+", service, re.ASCII):
        return service
    return f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', service)}-{stable_id(service)[:8]}"


def arm_shares(split: Split) -> dict[str, float]:
    """Share of all requests by arm, whatever their slice."""
    shares: dict[str, float] = {}
    for (_, arm), share in expected_shares(split).items():
        shares[arm] = shares.get(arm, 0.0) + share
    return shares


def definitions_of(split: Split, there: Sequence[ModelDefinition]) -> dict[str, ModelDefinition]:
    """Arm -> model definition, for every arm that is served. Raises Refused: an arm has none, or two have the same."""
    found = {arm: _definition(split, arm, there) for arm in arm_shares(split)}
    taken: dict[str, str] = {}
    for arm, definition in found.items():
        other = taken.setdefault(definition.model_definition_id, arm)
        if other != arm:
            raise Refused(f"arms {other!r} and {arm!r} are the same model definition {definition.name!r} in MLflow")
    return found


def _definition(split: Split, name: str, there: Sequence[ModelDefinition]) -> ModelDefinition:
    arm = next(arm for arm in split.arms if arm.name == name)
    fitting = [one for one in there if one.name == name] or [
        one for one in there if one.model_name == arm.model and arm.provider in {"", one.provider}
    ]
    if len(fitting) != 1:
        why = "none" if not fitting else f"{len(fitting)} ({', '.join(sorted(one.name for one in fitting))})"
        raise Refused(
            f"arms[{name}]: MLflow has {why} of its model definitions for it: name one {name!r} "
            f"(model {arm.model!r}, with its secret)"
        )
    return fitting[0]


def configs_of(split: Split, definitions: Mapping[str, ModelDefinition], held: Endpoint | None) -> Configs:
    """``model_configs`` of an update: the arms by weight, and the fallbacks that are there."""
    shares = arm_shares(split)
    arms: Configs = [
        {
            "model_definition_id": definitions[arm].model_definition_id,
            "linkage_type": PRIMARY,
            # half a step more, so that cutting does not take one away
            "weight": round(share * SCALE + 0.005, 6),
        }
        for arm, share in shares.items()
    ]
    kept: Configs = [
        {
            "model_definition_id": mapping.model_definition_id,
            "linkage_type": mapping.linkage_type,
            "weight": mapping.weight,
            "fallback_order": mapping.fallback_order,
        }
        for mapping in (held.model_mappings if held is not None else ())
        if mapping.linkage_type != PRIMARY
    ]
    return arms + kept


# ---- what is kept in tags
def tags_of(kept: Kept, split_id: str) -> list[Tag]:
    """The tags that keep ``kept``."""
    text = msgspec.json.encode(kept, order="deterministic").decode()
    chunks = [text[at : at + CHUNK] for at in range(0, len(text), CHUNK)]
    return [Tag(f"{TAG}{split_id}.{number}.{len(chunks)}", chunk) for number, chunk in enumerate(chunks)]


def split_id(split: Split) -> str:
    """Names a split by its content."""
    return stable_id(msgspec.json.encode(split, order="deterministic"))[:16]


def reference(id_: str, key: str) -> str:
    """``last_updated_by`` of an update: which split, asked for by which idempotency key."""
    return f"{WHO}/{id_}/{stable_id(key)[:16]}"


def referred(endpoint: Endpoint) -> tuple[str, str]:
    """Id of the split in force and fingerprint of its idempotency key; empty when somebody else wrote last."""
    who, _, rest = endpoint.last_updated_by.partition("/")
    id_, _, key = rest.partition("/")
    return (id_, key) if who == WHO else ("", "")


def kept_in(endpoint: Endpoint) -> dict[str, Kept]:
    """Id -> split, of every one that is kept whole: the one in force and, mostly, the one before it."""
    chunks: dict[str, dict[int, str]] = {}
    wanted: dict[str, int] = {}
    for tag in endpoint.tags:
        parts = tag.key.removeprefix(TAG).split(".")
        if tag.key.startswith(TAG) and len(parts) == 3 and parts[1].isdecimal() and parts[2].isdecimal():
            chunks.setdefault(parts[0], {})[int(parts[1])] = tag.value
            wanted[parts[0]] = int(parts[2])
    whole = {
        id_: "".join(some[number] for number in range(wanted[id_]))
        for id_, some in chunks.items()
        if some.keys() >= set(range(wanted[id_]))
    }
    found = {}
    for id_, text in whole.items():
        try:
            found[id_] = msgspec.json.decode(text, type=Kept)
        except (ValueError, RecursionError):
            continue
    return found


# ---- what is in force
def model_shares(endpoint: Endpoint) -> dict[str, float]:
    """Share by model definition's name, as MLflow draws them."""
    primary = [mapping for mapping in endpoint.model_mappings if mapping.linkage_type == PRIMARY]
    if endpoint.routing_strategy != TRAFFIC_SPLIT:
        primary = primary[:1]
    points = [int(mapping.weight * 100) if len(primary) > 1 else 1 for mapping in primary]
    total = sum(points)
    shares: dict[str, float] = {}
    for mapping, n in zip(primary, points, strict=True):
        name = mapping.model_definition.name if mapping.model_definition else mapping.model_definition_id
        shares[name] = shares.get(name, 0.0) + (n / total if total > 0 else 0.0)
    return shares


def in_force(endpoint: Endpoint, kept: Kept) -> Split:
    """``kept.split`` when the weights are its own; else what a person made of it: other weights, and no trial."""
    models = {
        mapping.model_definition.name: f"{mapping.model_definition.provider}/{mapping.model_definition.model_name}"
        for mapping in endpoint.model_mappings
        if mapping.model_definition is not None
    }
    arms = {model: arm for arm, model in kept.models.items()}
    actual: dict[str, float] = {}
    for name, share in model_shares(endpoint).items():
        arm = name if name in kept.models else arms.get(models.get(name, ""), name)
        actual[arm] = actual.get(arm, 0.0) + share
    wanted = arm_shares(kept.split)
    if all(abs(actual.get(arm, 0.0) - wanted.get(arm, 0.0)) <= NEAR for arm in actual.keys() | wanted.keys()):
        return kept.split
    by_hand = {"*": {arm: round(share, 6) for arm, share in actual.items()}}
    return msgspec.structs.replace(kept.split, trial=None, weights=by_hand)
