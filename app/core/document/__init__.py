"""The service document (DESIGN 6): read it, check it, compare it, write it."""

from app.core.document.arms import EVERYWHERE, MAX_ARMS, MAX_SEGMENTS, Arm, Segments, segment_name, split_parts
from app.core.document.difference import diff
from app.core.document.errors import DocumentError
from app.core.document.guardrails import CostGuardrail, ErrorsGuardrail, Guardrails, LatencyGuardrail, QualityGuardrail
from app.core.document.limits import Budget, GroupBudget, Policy, PolicyRule, SegmentBudget, Verify
from app.core.document.objective import PRESETS, Objective, Weights
from app.core.document.pricing import Price
from app.core.document.reading import from_json, from_object, parse_toml
from app.core.document.remote_policy import RemotePolicy
from app.core.document.request_limits import Limits
from app.core.document.service_document import Mode, ServiceDocument, completed, default_document, segment_of
from app.core.document.strategy import VARIANTS, PromptPlan, StrategyName, StrategyPlan, Variant
from app.core.document.thresholds import Slo, Thresholds
from app.core.document.trial_plan import TrialPlan
from app.core.document.writing import to_json, to_object, to_toml

__all__ = [
    "EVERYWHERE",
    "MAX_ARMS",
    "MAX_SEGMENTS",
    "PRESETS",
    "VARIANTS",
    "Arm",
    "Budget",
    "CostGuardrail",
    "DocumentError",
    "ErrorsGuardrail",
    "GroupBudget",
    "Guardrails",
    "LatencyGuardrail",
    "Limits",
    "Mode",
    "Objective",
    "Policy",
    "PolicyRule",
    "Price",
    "PromptPlan",
    "QualityGuardrail",
    "RemotePolicy",
    "SegmentBudget",
    "Segments",
    "ServiceDocument",
    "Slo",
    "StrategyName",
    "StrategyPlan",
    "Thresholds",
    "TrialPlan",
    "Variant",
    "Verify",
    "Weights",
    "completed",
    "default_document",
    "diff",
    "from_json",
    "from_object",
    "parse_toml",
    "segment_name",
    "segment_of",
    "split_parts",
    "to_json",
    "to_object",
    "to_toml",
]
