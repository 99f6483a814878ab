import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OptimizationType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OPTIMIZATION_TYPE_UNSPECIFIED: _ClassVar[OptimizationType]
    OPTIMIZATION_TYPE_COMPRESSION: _ClassVar[OptimizationType]
    OPTIMIZATION_TYPE_ENHANCEMENT: _ClassVar[OptimizationType]
    OPTIMIZATION_TYPE_RESTRUCTURING: _ClassVar[OptimizationType]
OPTIMIZATION_TYPE_UNSPECIFIED: OptimizationType
OPTIMIZATION_TYPE_COMPRESSION: OptimizationType
OPTIMIZATION_TYPE_ENHANCEMENT: OptimizationType
OPTIMIZATION_TYPE_RESTRUCTURING: OptimizationType

class OptimizePromptRequest(_message.Message):
    __slots__ = ("request_id", "prompt", "target_model", "optimization_type", "constraints", "context")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    TARGET_MODEL_FIELD_NUMBER: _ClassVar[int]
    OPTIMIZATION_TYPE_FIELD_NUMBER: _ClassVar[int]
    CONSTRAINTS_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    prompt: str
    target_model: str
    optimization_type: OptimizationType
    constraints: OptimizationConstraints
    context: RequestContext
    def __init__(self, request_id: _Optional[str] = ..., prompt: _Optional[str] = ..., target_model: _Optional[str] = ..., optimization_type: _Optional[_Union[OptimizationType, str]] = ..., constraints: _Optional[_Union[OptimizationConstraints, _Mapping]] = ..., context: _Optional[_Union[RequestContext, _Mapping]] = ...) -> None: ...

class OptimizationConstraints(_message.Message):
    __slots__ = ("max_tokens", "preserve_sections", "min_quality_score", "max_cost_increase_usd")
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    PRESERVE_SECTIONS_FIELD_NUMBER: _ClassVar[int]
    MIN_QUALITY_SCORE_FIELD_NUMBER: _ClassVar[int]
    MAX_COST_INCREASE_USD_FIELD_NUMBER: _ClassVar[int]
    max_tokens: int
    preserve_sections: _containers.RepeatedScalarFieldContainer[str]
    min_quality_score: float
    max_cost_increase_usd: float
    def __init__(self, max_tokens: _Optional[int] = ..., preserve_sections: _Optional[_Iterable[str]] = ..., min_quality_score: _Optional[float] = ..., max_cost_increase_usd: _Optional[float] = ...) -> None: ...

class RequestContext(_message.Message):
    __slots__ = ("user_id", "team_id", "application_id", "environment", "metadata")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    TEAM_ID_FIELD_NUMBER: _ClassVar[int]
    APPLICATION_ID_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    team_id: str
    application_id: str
    environment: str
    metadata: _containers.ScalarMap[str, str]
    def __init__(self, user_id: _Optional[str] = ..., team_id: _Optional[str] = ..., application_id: _Optional[str] = ..., environment: _Optional[str] = ..., metadata: _Optional[_Mapping[str, str]] = ...) -> None: ...

class OptimizePromptResponse(_message.Message):
    __slots__ = ("request_id", "success", "optimized_prompt", "metrics", "warnings", "error_message")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    OPTIMIZED_PROMPT_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    ERROR_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    success: bool
    optimized_prompt: str
    metrics: OptimizationMetrics
    warnings: _containers.RepeatedScalarFieldContainer[str]
    error_message: str
    def __init__(self, request_id: _Optional[str] = ..., success: _Optional[bool] = ..., optimized_prompt: _Optional[str] = ..., metrics: _Optional[_Union[OptimizationMetrics, _Mapping]] = ..., warnings: _Optional[_Iterable[str]] = ..., error_message: _Optional[str] = ...) -> None: ...

class OptimizationMetrics(_message.Message):
    __slots__ = ("original_tokens", "optimized_tokens", "tokens_saved", "compression_ratio", "cost_saved_usd", "quality_score", "technique_used", "timestamp")
    ORIGINAL_TOKENS_FIELD_NUMBER: _ClassVar[int]
    OPTIMIZED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TOKENS_SAVED_FIELD_NUMBER: _ClassVar[int]
    COMPRESSION_RATIO_FIELD_NUMBER: _ClassVar[int]
    COST_SAVED_USD_FIELD_NUMBER: _ClassVar[int]
    QUALITY_SCORE_FIELD_NUMBER: _ClassVar[int]
    TECHNIQUE_USED_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    original_tokens: int
    optimized_tokens: int
    tokens_saved: int
    compression_ratio: float
    cost_saved_usd: float
    quality_score: float
    technique_used: str
    timestamp: _timestamp_pb2.Timestamp
    def __init__(self, original_tokens: _Optional[int] = ..., optimized_tokens: _Optional[int] = ..., tokens_saved: _Optional[int] = ..., compression_ratio: _Optional[float] = ..., cost_saved_usd: _Optional[float] = ..., quality_score: _Optional[float] = ..., technique_used: _Optional[str] = ..., timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class SelectModelRequest(_message.Message):
    __slots__ = ("request_id", "requirements", "constraints", "preferences", "context", "service", "session_id", "tenant", "region")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    REQUIREMENTS_FIELD_NUMBER: _ClassVar[int]
    CONSTRAINTS_FIELD_NUMBER: _ClassVar[int]
    PREFERENCES_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    requirements: ModelRequirements
    constraints: ModelConstraints
    preferences: ModelPreferences
    context: RequestContext
    service: str
    session_id: str
    tenant: str
    region: str
    def __init__(self, request_id: _Optional[str] = ..., requirements: _Optional[_Union[ModelRequirements, _Mapping]] = ..., constraints: _Optional[_Union[ModelConstraints, _Mapping]] = ..., preferences: _Optional[_Union[ModelPreferences, _Mapping]] = ..., context: _Optional[_Union[RequestContext, _Mapping]] = ..., service: _Optional[str] = ..., session_id: _Optional[str] = ..., tenant: _Optional[str] = ..., region: _Optional[str] = ...) -> None: ...

class ModelRequirements(_message.Message):
    __slots__ = ("task_type", "min_context_window", "required_features", "reasoning_level")
    TASK_TYPE_FIELD_NUMBER: _ClassVar[int]
    MIN_CONTEXT_WINDOW_FIELD_NUMBER: _ClassVar[int]
    REQUIRED_FEATURES_FIELD_NUMBER: _ClassVar[int]
    REASONING_LEVEL_FIELD_NUMBER: _ClassVar[int]
    task_type: str
    min_context_window: int
    required_features: _containers.RepeatedScalarFieldContainer[str]
    reasoning_level: str
    def __init__(self, task_type: _Optional[str] = ..., min_context_window: _Optional[int] = ..., required_features: _Optional[_Iterable[str]] = ..., reasoning_level: _Optional[str] = ...) -> None: ...

class ModelConstraints(_message.Message):
    __slots__ = ("max_cost_per_request_usd", "max_latency_ms", "compliance_requirements", "allowed_regions")
    MAX_COST_PER_REQUEST_USD_FIELD_NUMBER: _ClassVar[int]
    MAX_LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    COMPLIANCE_REQUIREMENTS_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_REGIONS_FIELD_NUMBER: _ClassVar[int]
    max_cost_per_request_usd: float
    max_latency_ms: int
    compliance_requirements: _containers.RepeatedScalarFieldContainer[str]
    allowed_regions: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, max_cost_per_request_usd: _Optional[float] = ..., max_latency_ms: _Optional[int] = ..., compliance_requirements: _Optional[_Iterable[str]] = ..., allowed_regions: _Optional[_Iterable[str]] = ...) -> None: ...

class ModelPreferences(_message.Message):
    __slots__ = ("optimize_for", "excluded_providers")
    OPTIMIZE_FOR_FIELD_NUMBER: _ClassVar[int]
    EXCLUDED_PROVIDERS_FIELD_NUMBER: _ClassVar[int]
    optimize_for: str
    excluded_providers: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, optimize_for: _Optional[str] = ..., excluded_providers: _Optional[_Iterable[str]] = ...) -> None: ...

class SelectModelResponse(_message.Message):
    __slots__ = ("request_id", "recommended_model", "alternatives", "estimated_metrics", "selection_rationale", "service", "arm", "slice", "version", "receipt", "segment", "provider", "prompt_version", "parameters", "not_considered")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    RECOMMENDED_MODEL_FIELD_NUMBER: _ClassVar[int]
    ALTERNATIVES_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_METRICS_FIELD_NUMBER: _ClassVar[int]
    SELECTION_RATIONALE_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    ARM_FIELD_NUMBER: _ClassVar[int]
    SLICE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    PROMPT_VERSION_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    NOT_CONSIDERED_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    recommended_model: str
    alternatives: _containers.RepeatedCompositeFieldContainer[ModelAlternative]
    estimated_metrics: EstimatedMetrics
    selection_rationale: str
    service: str
    arm: str
    slice: str
    version: int
    receipt: str
    segment: str
    provider: str
    prompt_version: str
    parameters: _struct_pb2.Struct
    not_considered: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, request_id: _Optional[str] = ..., recommended_model: _Optional[str] = ..., alternatives: _Optional[_Iterable[_Union[ModelAlternative, _Mapping]]] = ..., estimated_metrics: _Optional[_Union[EstimatedMetrics, _Mapping]] = ..., selection_rationale: _Optional[str] = ..., service: _Optional[str] = ..., arm: _Optional[str] = ..., slice: _Optional[str] = ..., version: _Optional[int] = ..., receipt: _Optional[str] = ..., segment: _Optional[str] = ..., provider: _Optional[str] = ..., prompt_version: _Optional[str] = ..., parameters: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., not_considered: _Optional[_Iterable[str]] = ...) -> None: ...

class ModelAlternative(_message.Message):
    __slots__ = ("model_id", "match_score", "rationale", "estimated_metrics", "arm")
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    MATCH_SCORE_FIELD_NUMBER: _ClassVar[int]
    RATIONALE_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_METRICS_FIELD_NUMBER: _ClassVar[int]
    ARM_FIELD_NUMBER: _ClassVar[int]
    model_id: str
    match_score: float
    rationale: str
    estimated_metrics: EstimatedMetrics
    arm: str
    def __init__(self, model_id: _Optional[str] = ..., match_score: _Optional[float] = ..., rationale: _Optional[str] = ..., estimated_metrics: _Optional[_Union[EstimatedMetrics, _Mapping]] = ..., arm: _Optional[str] = ...) -> None: ...

class EstimatedMetrics(_message.Message):
    __slots__ = ("cost_per_request_usd", "latency_p95_ms", "quality_score", "requests")
    COST_PER_REQUEST_USD_FIELD_NUMBER: _ClassVar[int]
    LATENCY_P95_MS_FIELD_NUMBER: _ClassVar[int]
    QUALITY_SCORE_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    cost_per_request_usd: float
    latency_p95_ms: int
    quality_score: float
    requests: int
    def __init__(self, cost_per_request_usd: _Optional[float] = ..., latency_p95_ms: _Optional[int] = ..., quality_score: _Optional[float] = ..., requests: _Optional[int] = ...) -> None: ...

class GetStrategyRequest(_message.Message):
    __slots__ = ("request_id", "context", "current_metrics", "goals", "service")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    CURRENT_METRICS_FIELD_NUMBER: _ClassVar[int]
    GOALS_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    context: RequestContext
    current_metrics: CurrentMetrics
    goals: _containers.RepeatedScalarFieldContainer[str]
    service: str
    def __init__(self, request_id: _Optional[str] = ..., context: _Optional[_Union[RequestContext, _Mapping]] = ..., current_metrics: _Optional[_Union[CurrentMetrics, _Mapping]] = ..., goals: _Optional[_Iterable[str]] = ..., service: _Optional[str] = ...) -> None: ...

class CurrentMetrics(_message.Message):
    __slots__ = ("current_model", "average_prompt_tokens", "average_completion_tokens", "requests_per_day", "current_daily_cost_usd", "current_quality_score")
    CURRENT_MODEL_FIELD_NUMBER: _ClassVar[int]
    AVERAGE_PROMPT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    AVERAGE_COMPLETION_TOKENS_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_PER_DAY_FIELD_NUMBER: _ClassVar[int]
    CURRENT_DAILY_COST_USD_FIELD_NUMBER: _ClassVar[int]
    CURRENT_QUALITY_SCORE_FIELD_NUMBER: _ClassVar[int]
    current_model: str
    average_prompt_tokens: int
    average_completion_tokens: int
    requests_per_day: int
    current_daily_cost_usd: float
    current_quality_score: float
    def __init__(self, current_model: _Optional[str] = ..., average_prompt_tokens: _Optional[int] = ..., average_completion_tokens: _Optional[int] = ..., requests_per_day: _Optional[int] = ..., current_daily_cost_usd: _Optional[float] = ..., current_quality_score: _Optional[float] = ...) -> None: ...

class GetStrategyResponse(_message.Message):
    __slots__ = ("request_id", "recommendations")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    RECOMMENDATIONS_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    recommendations: _containers.RepeatedCompositeFieldContainer[StrategyRecommendation]
    def __init__(self, request_id: _Optional[str] = ..., recommendations: _Optional[_Iterable[_Union[StrategyRecommendation, _Mapping]]] = ...) -> None: ...

class StrategyRecommendation(_message.Message):
    __slots__ = ("recommendation_id", "strategy_type", "description", "confidence", "estimated_impact", "implementation_details", "based_on_experiments", "service", "status")
    RECOMMENDATION_ID_FIELD_NUMBER: _ClassVar[int]
    STRATEGY_TYPE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_IMPACT_FIELD_NUMBER: _ClassVar[int]
    IMPLEMENTATION_DETAILS_FIELD_NUMBER: _ClassVar[int]
    BASED_ON_EXPERIMENTS_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    recommendation_id: str
    strategy_type: str
    description: str
    confidence: float
    estimated_impact: ImpactEstimate
    implementation_details: _struct_pb2.Struct
    based_on_experiments: _containers.RepeatedScalarFieldContainer[str]
    service: str
    status: str
    def __init__(self, recommendation_id: _Optional[str] = ..., strategy_type: _Optional[str] = ..., description: _Optional[str] = ..., confidence: _Optional[float] = ..., estimated_impact: _Optional[_Union[ImpactEstimate, _Mapping]] = ..., implementation_details: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., based_on_experiments: _Optional[_Iterable[str]] = ..., service: _Optional[str] = ..., status: _Optional[str] = ...) -> None: ...

class ImpactEstimate(_message.Message):
    __slots__ = ("cost_reduction_percentage", "cost_savings_daily_usd", "quality_impact", "latency_impact_ms")
    COST_REDUCTION_PERCENTAGE_FIELD_NUMBER: _ClassVar[int]
    COST_SAVINGS_DAILY_USD_FIELD_NUMBER: _ClassVar[int]
    QUALITY_IMPACT_FIELD_NUMBER: _ClassVar[int]
    LATENCY_IMPACT_MS_FIELD_NUMBER: _ClassVar[int]
    cost_reduction_percentage: float
    cost_savings_daily_usd: float
    quality_impact: float
    latency_impact_ms: int
    def __init__(self, cost_reduction_percentage: _Optional[float] = ..., cost_savings_daily_usd: _Optional[float] = ..., quality_impact: _Optional[float] = ..., latency_impact_ms: _Optional[int] = ...) -> None: ...

class CreateExperimentRequest(_message.Message):
    __slots__ = ("experiment_id", "name", "description", "variants", "traffic_allocation", "success_criteria", "duration_hours", "context", "service")
    class TrafficAllocationEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    EXPERIMENT_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    VARIANTS_FIELD_NUMBER: _ClassVar[int]
    TRAFFIC_ALLOCATION_FIELD_NUMBER: _ClassVar[int]
    SUCCESS_CRITERIA_FIELD_NUMBER: _ClassVar[int]
    DURATION_HOURS_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    experiment_id: str
    name: str
    description: str
    variants: _containers.RepeatedCompositeFieldContainer[ExperimentVariant]
    traffic_allocation: _containers.ScalarMap[str, float]
    success_criteria: SuccessCriteria
    duration_hours: int
    context: RequestContext
    service: str
    def __init__(self, experiment_id: _Optional[str] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., variants: _Optional[_Iterable[_Union[ExperimentVariant, _Mapping]]] = ..., traffic_allocation: _Optional[_Mapping[str, float]] = ..., success_criteria: _Optional[_Union[SuccessCriteria, _Mapping]] = ..., duration_hours: _Optional[int] = ..., context: _Optional[_Union[RequestContext, _Mapping]] = ..., service: _Optional[str] = ...) -> None: ...

class ExperimentVariant(_message.Message):
    __slots__ = ("variant_id", "description", "configuration")
    VARIANT_ID_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    CONFIGURATION_FIELD_NUMBER: _ClassVar[int]
    variant_id: str
    description: str
    configuration: _struct_pb2.Struct
    def __init__(self, variant_id: _Optional[str] = ..., description: _Optional[str] = ..., configuration: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class SuccessCriteria(_message.Message):
    __slots__ = ("primary_metric", "min_improvement_percentage", "min_statistical_significance")
    PRIMARY_METRIC_FIELD_NUMBER: _ClassVar[int]
    MIN_IMPROVEMENT_PERCENTAGE_FIELD_NUMBER: _ClassVar[int]
    MIN_STATISTICAL_SIGNIFICANCE_FIELD_NUMBER: _ClassVar[int]
    primary_metric: str
    min_improvement_percentage: float
    min_statistical_significance: float
    def __init__(self, primary_metric: _Optional[str] = ..., min_improvement_percentage: _Optional[float] = ..., min_statistical_significance: _Optional[float] = ...) -> None: ...

class CreateExperimentResponse(_message.Message):
    __slots__ = ("experiment_id", "status", "start_time", "estimated_end_time", "arms_added")
    EXPERIMENT_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_END_TIME_FIELD_NUMBER: _ClassVar[int]
    ARMS_ADDED_FIELD_NUMBER: _ClassVar[int]
    experiment_id: str
    status: str
    start_time: _timestamp_pb2.Timestamp
    estimated_end_time: _timestamp_pb2.Timestamp
    arms_added: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, experiment_id: _Optional[str] = ..., status: _Optional[str] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., estimated_end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., arms_added: _Optional[_Iterable[str]] = ...) -> None: ...

class StreamOptimizationsRequest(_message.Message):
    __slots__ = ("context", "event_types", "service", "after_event_id")
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    EVENT_TYPES_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    AFTER_EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    context: RequestContext
    event_types: _containers.RepeatedScalarFieldContainer[str]
    service: str
    after_event_id: str
    def __init__(self, context: _Optional[_Union[RequestContext, _Mapping]] = ..., event_types: _Optional[_Iterable[str]] = ..., service: _Optional[str] = ..., after_event_id: _Optional[str] = ...) -> None: ...

class OptimizationEvent(_message.Message):
    __slots__ = ("event_id", "event_type", "timestamp", "data", "service", "decision_id", "status")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    EVENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    event_type: str
    timestamp: _timestamp_pb2.Timestamp
    data: _struct_pb2.Struct
    service: str
    decision_id: str
    status: str
    def __init__(self, event_id: _Optional[str] = ..., event_type: _Optional[str] = ..., timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., data: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., service: _Optional[str] = ..., decision_id: _Optional[str] = ..., status: _Optional[str] = ...) -> None: ...
