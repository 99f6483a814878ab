"""Which ideas may be tried, and from what they are made: the strategies of the build plan (requirements/004)."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

StrategyName = Literal[
    "hybrid",
    "a_b_testing",
    "reinforcement_feedback",
    "cost_performance_scoring",
    "adaptive_parameter_tuning",
    "threshold_based",
]
Variant = Literal[
    "few_shot",
    "chain_of_thought",
    "structured_output",
    "compression",
    "simpler_language",
    "constraints",
    "redundancy_removal",
]
Task = Literal["", "classification", "generation", "extraction"]
VARIANTS: tuple[Variant, ...] = (
    "redundancy_removal",
    "compression",
    "simpler_language",
    "structured_output",
    "constraints",
    "few_shot",
    "chain_of_thought",
)
"""The generators in the order in which they are tried: what shortens the prompt first, what lengthens it last."""
Line = Annotated[str, Meta(min_length=1, max_length=1000)]
Text = Annotated[str, Meta(max_length=200)]


class PromptPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The base prompt and what its variants are made from. A generator that lacks its material makes nothing."""

    text: Annotated[
        str, Meta(max_length=4000, description="Base prompt of the service. Empty: no variants are made.")
    ] = ""
    variants: Annotated[
        tuple[Variant, ...], Meta(max_length=7, description="Generators that may be used, in the order of their turn.")
    ] = VARIANTS
    examples: Annotated[
        tuple[Line, ...], Meta(max_length=8, description="Solved examples, one a line: material of `few_shot`.")
    ] = ()
    schema: Annotated[
        dict[str, Any], Meta(description="JSON schema of the answer: material of `structured_output`.")
    ] = {}
    rules: Annotated[
        tuple[Line, ...], Meta(max_length=16, description="What an answer must keep to: material of `constraints`.")
    ] = ()


class StrategyPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where the arms on trial come from. Rules against harm hold under every strategy; one machinery judges all."""

    name: Annotated[
        StrategyName,
        Meta(
            description="`hybrid`: rules for safety, and every source of arms that has its material; else one of them."
        ),
    ] = "hybrid"
    backup: Annotated[
        Text,
        Meta(description="Arm that answers at once when the incumbent fails critically. Default: the one before it."),
    ] = ""
    choose: Annotated[
        Literal["weights", "knee"],
        Meta(description="Which arm is tried first: best reward by `objective`, or the knee of the Pareto front."),
    ] = "weights"
    tune: Annotated[
        bool,
        Meta(description="Whether `hybrid` may also make arms with other parameters (temperature, max_tokens...)."),
    ] = False
    task: Annotated[
        Task, Meta(description="Kind of task: where the parameters are tuned from. Empty: from those of the incumbent.")
    ] = ""
    prompt: Annotated[PromptPlan, Meta(description="Base prompt and the material of its variants.")] = PromptPlan()
