"""The one alias table: every other spelling of a canonical field, where it comes from, and its unit.

Data, not code. Rows of a field stand in order of trust: the canonical name first (implied), then top to bottom. A
dotted name is matched flat (``"gen_ai.request.model"``) and nested (``{"gen_ai": {"request": {"model": ...}}}``),
also below ``attributes`` and ``resource.attributes``. ``unit`` names the converter of ``app.adapters.codec.convert``.

Origins: ``semconv X`` = OpenTelemetry GenAI semantic conventions, generation of that version (prompt_tokens until
1.26, gen_ai.system until 1.36, gen_ai.provider.name since 1.37); ``openllmetry``, ``openinference`` = widespread
emitters of the time before; ``req 001 Observatory`` etc. = documents and sections of requirements/; ``openai``,
``anthropic`` = usage objects of provider answers passed on as they are; ``common`` = a plain variant of the name.
"""

from typing import NamedTuple


class Alias(NamedTuple):
    """``name`` means ``field``; ``unit`` says how the value is converted ("" = as it is)."""

    name: str
    field: str
    origin: str
    unit: str = ""


SERVICE = (
    Alias("llm.optimizer.service", "service", "stamped by the gateway"),
    Alias("service_id", "service", "req 004 Orchestrator configuration"),
    Alias("application_id", "service", "req 001 DetectionContext"),
    Alias("llm.application_name", "service", "req 001 Observatory traces"),
    Alias("context.application_id", "service", "req 001 Governance violation"),
    Alias("metadata.application_id", "service", "req 001 optimization.applied"),
    Alias("attributes.service", "service", "req 004 Observatory metric"),
    Alias("application", "service", "req 001 Observatory batch export"),
    Alias("application_name", "service", "common"),
    Alias("service_name", "service", "common"),
    Alias("service.name", "service", "semconv resource"),
)
"""Spellings of the service, shared by every kind of event."""

REQUEST = (
    Alias("llm.request_id", "request_id", "req 001 Observatory traces"),
    Alias("request.id", "request_id", "common"),
    Alias("requestId", "request_id", "common"),
    Alias("litellm_call_id", "request_id", "LiteLLM callback"),
    Alias("gen_ai.response.id", "request_id", "semconv 1.25-"),
)
"""Spellings of the request id, shared by responses and feedback."""

STAMPED = tuple(
    Alias(f"llm.optimizer.{name}", field, "stamped by the gateway")
    for name, field in {
        "request_id": "request_id", "arm": "arm", "served_arm": "served_arm", "slice": "slice", "version": "version",
        "session_group": "session_group", "session_id": "session_id", "tenant": "segment.tenant",
        "task_type": "segment.task_type", "region": "segment.region", "cost_usd": "cost_usd", "quality": "quality",
        "own_cost_usd": "own_cost_usd", "retry_of": "retry_of", "valid_json": "valid_json",
        "prompt_hash": "prompt_hash",
    }.items()
)  # fmt: skip
"""Span attributes a gateway stamps with what it drew; they win over every other spelling but the canonical one."""

RESPONSE = (
    *SERVICE,
    *STAMPED,
    *REQUEST,
    Alias("gen_ai.request.model", "model", "semconv 1.25-"),
    Alias("llm.request.model", "model", "req 001 Observatory logs, openllmetry"),
    Alias("llm.model_name", "model", "openinference"),
    Alias("attributes.model", "model", "req 004 Observatory metric"),
    Alias("model_id", "model", "req 004 ModelPerformanceProfile"),
    Alias("model_name", "model", "req 001 Registry profile"),
    Alias("model.name", "model", "common"),
    Alias("model.id", "model", "common"),
    Alias("gen_ai.response.model", "response_model", "semconv 1.25-"),
    Alias("llm.response.model", "response_model", "openllmetry"),
    Alias("gen_ai.provider.name", "provider", "semconv 1.37-"),
    Alias("gen_ai.system", "provider", "semconv 1.25-1.36", "provider"),
    Alias("llm.provider", "provider", "openinference"),
    Alias("llm.system", "provider", "openinference", "provider"),
    Alias("llm.vendor", "provider", "openllmetry"),
    Alias("provider.name", "provider", "common"),
    Alias("gen_ai.usage.input_tokens", "input_tokens", "semconv 1.27-, req 004 span attributes"),
    Alias("gen_ai.usage.prompt_tokens", "input_tokens", "semconv 1.25-1.26, req 001 Observatory traces"),
    Alias("llm.usage.prompt_tokens", "input_tokens", "openllmetry"),
    Alias("llm.token_count.prompt", "input_tokens", "openinference"),
    Alias("tokens.input", "input_tokens", "req 001 Governance record cost"),
    Alias("tokens.prompt", "input_tokens", "common"),
    Alias("usage.input_tokens", "input_tokens", "anthropic"),
    Alias("usage.prompt_tokens", "input_tokens", "openai"),
    Alias("prompt_tokens", "input_tokens", "req 001 optimization.applied"),
    Alias("gen_ai.usage.output_tokens", "output_tokens", "semconv 1.27-, req 004 span attributes"),
    Alias("gen_ai.usage.completion_tokens", "output_tokens", "semconv 1.25-1.26, req 001 Observatory traces"),
    Alias("llm.usage.completion_tokens", "output_tokens", "openllmetry"),
    Alias("llm.token_count.completion", "output_tokens", "openinference"),
    Alias("tokens.output", "output_tokens", "req 001 Governance record cost"),
    Alias("tokens.completion", "output_tokens", "common"),
    Alias("usage.output_tokens", "output_tokens", "anthropic"),
    Alias("usage.completion_tokens", "output_tokens", "openai"),
    Alias("completion_tokens", "output_tokens", "common"),
    Alias("gen_ai.usage.cache_read.input_tokens", "cached_tokens", "semconv 1.38-"),
    Alias("gen_ai.usage.cache_read_input_tokens", "cached_tokens", "openllmetry"),
    Alias("gen_ai.usage.cached_tokens", "cached_tokens", "common"),
    Alias("llm.token_count.prompt_details.cache_read", "cached_tokens", "openinference"),
    Alias("tokens.cached", "cached_tokens", "common"),
    Alias("usage.cache_read_input_tokens", "cached_tokens", "anthropic"),
    Alias("usage.prompt_tokens_details.cached_tokens", "cached_tokens", "openai"),
    Alias("usage.input_tokens_details.cached_tokens", "cached_tokens", "openai"),
    Alias("cached_input_tokens", "cached_tokens", "common"),
    Alias("total_latency_ms", "latency_ms", "common"),
    Alias("llm.response.latency_ms", "latency_ms", "req 001 Observatory logs"),
    Alias("llm.request.duration", "latency_ms", "req 004 Observatory metrics (ms)"),
    Alias("duration_ms", "latency_ms", "common"),
    Alias("latency.total_ms", "latency_ms", "common"),
    Alias("latency", "latency_ms", "req 004 reward (ms)"),
    Alias("latency_s", "latency_ms", "common", "s"),
    Alias("duration_s", "latency_ms", "common", "s"),
    Alias("gen_ai.client.operation.duration", "latency_ms", "semconv 1.25- (s)", "s"),
    Alias("time_to_first_token_ms", "ttft_ms", "common"),
    Alias("latency.ttft_ms", "ttft_ms", "common"),
    Alias("gen_ai.response.time_to_first_chunk", "ttft_ms", "semconv 1.38- (s)", "s"),
    Alias("gen_ai.server.time_to_first_token", "ttft_ms", "semconv 1.27- (s)", "s"),
    Alias("time_to_first_token_s", "ttft_ms", "common", "s"),
    Alias("ttft_s", "ttft_ms", "common", "s"),
    Alias("total_cost_usd", "cost_usd", "common"),
    Alias("llm.request.cost_usd", "cost_usd", "req 001 Observatory logs"),
    Alias("llm.request.cost", "cost_usd", "req 004 Observatory metrics"),
    Alias("gen_ai.usage.cost", "cost_usd", "openllmetry"),
    Alias("cost.total_usd", "cost_usd", "common"),
    Alias("cost.total", "cost_usd", "common"),
    Alias("request_cost_usd", "cost_usd", "req 001 Governance violation"),
    Alias("cost", "cost_usd", "req 004 reward (USD)"),
    Alias("otel.status_code", "status", "semconv span status", "status"),
    Alias("success", "status", "common", "success"),
    Alias("http.response.status_code", "status", "semconv HTTP", "http_status"),
    Alias("status_code", "status", "common", "http_status"),
    Alias("error.type", "error_type", "semconv 1.25-"),
    Alias("gen_ai.response.finish_reasons", "finish_reason", "semconv 1.25-, req 001 Observatory traces", "first"),
    Alias("gen_ai.response.finish_reason", "finish_reason", "req 004 span attributes"),
    Alias("llm.response.finish_reason", "finish_reason", "openllmetry"),
    Alias("finish_reasons", "finish_reason", "common", "first"),
    Alias("stop_reason", "finish_reason", "anthropic"),
    Alias("openai.response.system_fingerprint", "fingerprint", "semconv 1.37-"),
    Alias("gen_ai.openai.response.system_fingerprint", "fingerprint", "semconv 1.28-1.36"),
    Alias("system_fingerprint", "fingerprint", "openai"),
    Alias("gen_ai.request.max_tokens", "max_tokens", "semconv 1.25-, req 001 Observatory traces"),
    Alias("llm.request.max_tokens", "max_tokens", "openllmetry"),
    Alias("gen_ai.conversation.id", "session_id", "semconv 1.36-"),
    Alias("session.id", "session_id", "semconv session, openinference"),
    Alias("conversation_id", "session_id", "common"),
    Alias("tenant", "segment.tenant", "DESIGN 5 parts outside `segment`"),
    Alias("tenant_id", "segment.tenant", "common"),
    Alias("team_id", "segment.tenant", "req 001 Governance context"),
    Alias("team", "segment.tenant", "req 001 Governance policies"),
    Alias("context.team_id", "segment.tenant", "req 001 Governance context"),
    Alias("task_type", "segment.task_type", "DESIGN 5 parts outside `segment`"),
    Alias("region", "segment.region", "DESIGN 5 parts outside `segment`"),
    Alias("cloud.region", "segment.region", "semconv resource"),
    Alias("quality_score", "quality", "req 001 experiment metrics"),
    Alias("llm.response.quality", "quality", "req 004 Observatory metrics"),
)
"""Spellings of the fields of ``app.core.events.Response``."""

FEEDBACK = (
    *SERVICE,
    *REQUEST,
    Alias("quality_score", "quality", "req 001 experiment metrics"),
    Alias("score", "quality", "common"),
    Alias("gen_ai.evaluation.score.value", "quality", "semconv 1.38- evaluation"),
    Alias("explicit_rating", "rating", "req 004 UserFeedback"),
    Alias("stars", "rating", "req 004 reward signals"),
    Alias("user_rating", "rating", "common"),
    Alias("thumbs_up", "thumbs", "req 004 reward signals", "thumbs"),
    Alias("task_success", "task_completed", "common"),
    Alias("completed", "task_completed", "common"),
    Alias("was_edited", "edited", "common"),
    Alias("was_retried", "retried", "common"),
    Alias("dwell_time_s", "dwell_s", "common"),
    Alias("dwell_time_ms", "dwell_s", "common", "ms_to_s"),
    Alias("conversion", "converted", "req 004 reward signals"),
    Alias("revenue_usd", "value_usd", "req 004 reward signals"),
    Alias("propensity", "score_probability", "common"),
    Alias("feedback_source", "source", "common", "channel"),
)
"""Spellings of the data fields of ``feedback.recorded`` (see ``app.adapters.codec.feedback``)."""

CANONICAL_UNITS = {"status": "status", "thumbs": "thumbs", "source": "channel"}
"""Canonical fields whose values have other spellings, too."""

OPERATION = ("gen_ai.operation.name", "llm.request.type", "openinference.span.kind")
"""Span attributes that say what a span is, in order of trust (semconv 1.27-, openllmetry, openinference)."""

MODEL = ("gen_ai.request.model", "gen_ai.response.model", "llm.request.model", "llm.model_name")
"""Span attributes of which one tells a request to a model where no operation is named (semconv 1.25-1.26, req 001)."""

ANSWERING = frozenset(
    (
        "chat",
        "text_completion",
        "generate_content",
        "embeddings",
        "completion",
        "embedding",
        "rerank",
        "llm",
        "reranker",
    )
)
"""Operations that are one answered request. Agents, tools and workflows are made of these: counted too, they would
count the same tokens twice."""

STATUS_WORDS = {
    "ok": "ok", "success": "ok", "succeeded": "ok", "completed": "ok", "unset": "ok",
    "error": "error", "failure": "error", "failed": "error", "timeout": "error",
}  # fmt: skip

CHANNEL_WORDS = {
    "judge": "judge", "llm_judge": "judge", "llm-judge": "judge", "evaluator": "judge",
    "user": "user", "human": "user", "end_user": "user",
    "implicit": "implicit", "behavior": "implicit", "behaviour": "implicit",
}  # fmt: skip

THUMBS_WORDS = {
    "up": "up",
    "thumbs_up": "up",
    "positive": "up",
    "down": "down",
    "thumbs_down": "down",
    "negative": "down",
}

PROVIDER_WORDS = {
    "az.ai.inference": "azure.ai.inference",
    "az.ai.openai": "azure.ai.openai",
    "gemini": "gcp.gemini",
    "vertex_ai": "gcp.vertex_ai",
    "xai": "x_ai",
}
"""Values that gen_ai.system had until 1.36 -> values of gen_ai.provider.name."""

NAMESPACES = ("attributes.", "resource.attributes.", "resource.")
"""Containers below which dotted aliases are looked for, too."""
