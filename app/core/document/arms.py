"""Arms and segments: what may answer, and which parts of the traffic are judged on their own."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from app.core.cell import OVERFLOW, SEPARATOR
from app.core.events import SegmentParts
from app.core.split import ArmDefinition

MAX_ARMS = 16
MAX_SEGMENTS = 8
EVERYWHERE = "*"

SegmentBy = Literal["", "tenant", "task_type", "region"]
ArmName = Annotated[str, Meta(pattern=r"^[^\s*\x00-\x1f][^\x00-\x1f]{0,199}$")]
Text = Annotated[str, Meta(max_length=200)]


class Arm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One complete way to answer a request."""

    name: Annotated[ArmName, Meta(description="What telemetry calls this arm; unique in the document.")]
    model: Annotated[
        Text, Meta(description="Model name at the provider and in the prices. Default: the arm's name.")
    ] = ""
    provider: Annotated[Text, Meta(description="Provider as the gateway names it; empty lets the gateway choose.")] = ""
    prompt_version: Annotated[
        Text, Meta(description="Prompt this arm uses; empty means the prompt of the request.")
    ] = ""
    region: Annotated[Text, Meta(description="Where the model runs; read by residency policies.")] = ""
    parameters: Annotated[
        dict[str, Any], Meta(description="Sent to the provider as they are: `temperature`, `max_tokens`...")
    ] = {}
    features: Annotated[
        dict[str, Any], Meta(description="Switched on at the gateway for this arm: cascade, cache, compression...")
    ] = {}
    capabilities: Annotated[
        tuple[Text, ...],
        Meta(max_length=32, description="What the arm can do (`vision`, `tools`...); read by policies."),
    ] = ()

    def definition(self) -> ArmDefinition:
        """The arm as the split states it for a gateway."""
        return ArmDefinition(
            name=self.name,
            model=self.model or self.name,
            provider=self.provider,
            prompt_version=self.prompt_version,
            region=self.region,
            parameters=self.parameters,
            features=self.features,
        )


class Segments(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The parts of a service that get weights and verdicts of their own: the context of the bandit."""

    by: Annotated[SegmentBy, Meta(description='Which part of a request names its segment; `""`: no segments.')] = ""
    values: Annotated[
        tuple[Text, ...],
        Meta(max_length=MAX_SEGMENTS, description="Declared segments; everything else is counted as `other`."),
    ] = ()


def segment_name(by: str, values: tuple[str, ...], parts: SegmentParts) -> str:
    """The declared segment ``parts`` belong to: ``*`` without segments, ``other`` when the value is not declared."""
    if not by:
        return EVERYWHERE
    value: str = getattr(parts, by)
    return value if value in values else OVERFLOW


def split_parts(raw: str) -> SegmentParts:
    """The parts joined by ``SEPARATOR`` as the fold wrote them; anything else has no parts."""
    parts = raw.split(SEPARATOR)
    return SegmentParts(*parts) if len(parts) == 3 else SegmentParts()
