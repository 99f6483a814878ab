from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DeploymentStrategy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    IMMEDIATE: _ClassVar[DeploymentStrategy]
    CANARY: _ClassVar[DeploymentStrategy]
    BLUE_GREEN: _ClassVar[DeploymentStrategy]
    SHADOW: _ClassVar[DeploymentStrategy]
IMMEDIATE: DeploymentStrategy
CANARY: DeploymentStrategy
BLUE_GREEN: DeploymentStrategy
SHADOW: DeploymentStrategy

class ConfigurationUpdateRequest(_message.Message):
    __slots__ = ("service_id", "configuration", "strategy", "rollout_percentage", "if_match", "idempotency_key")
    class ConfigurationEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SERVICE_ID_FIELD_NUMBER: _ClassVar[int]
    CONFIGURATION_FIELD_NUMBER: _ClassVar[int]
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    ROLLOUT_PERCENTAGE_FIELD_NUMBER: _ClassVar[int]
    IF_MATCH_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    service_id: str
    configuration: _containers.ScalarMap[str, str]
    strategy: DeploymentStrategy
    rollout_percentage: int
    if_match: str
    idempotency_key: str
    def __init__(self, service_id: _Optional[str] = ..., configuration: _Optional[_Mapping[str, str]] = ..., strategy: _Optional[_Union[DeploymentStrategy, str]] = ..., rollout_percentage: _Optional[int] = ..., if_match: _Optional[str] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class ConfigurationUpdateResponse(_message.Message):
    __slots__ = ("service_id", "status", "version", "etag", "detail")
    SERVICE_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    service_id: str
    status: str
    version: int
    etag: str
    detail: str
    def __init__(self, service_id: _Optional[str] = ..., status: _Optional[str] = ..., version: _Optional[int] = ..., etag: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...

class ConfigurationQuery(_message.Message):
    __slots__ = ("service_id",)
    SERVICE_ID_FIELD_NUMBER: _ClassVar[int]
    service_id: str
    def __init__(self, service_id: _Optional[str] = ...) -> None: ...

class ConfigurationResponse(_message.Message):
    __slots__ = ("service_id", "configuration", "strategy", "rollout_percentage", "version", "etag")
    class ConfigurationEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SERVICE_ID_FIELD_NUMBER: _ClassVar[int]
    CONFIGURATION_FIELD_NUMBER: _ClassVar[int]
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    ROLLOUT_PERCENTAGE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    service_id: str
    configuration: _containers.ScalarMap[str, str]
    strategy: DeploymentStrategy
    rollout_percentage: int
    version: int
    etag: str
    def __init__(self, service_id: _Optional[str] = ..., configuration: _Optional[_Mapping[str, str]] = ..., strategy: _Optional[_Union[DeploymentStrategy, str]] = ..., rollout_percentage: _Optional[int] = ..., version: _Optional[int] = ..., etag: _Optional[str] = ...) -> None: ...

class RollbackRequest(_message.Message):
    __slots__ = ("service_id", "configuration", "if_match", "idempotency_key")
    class ConfigurationEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SERVICE_ID_FIELD_NUMBER: _ClassVar[int]
    CONFIGURATION_FIELD_NUMBER: _ClassVar[int]
    IF_MATCH_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    service_id: str
    configuration: _containers.ScalarMap[str, str]
    if_match: str
    idempotency_key: str
    def __init__(self, service_id: _Optional[str] = ..., configuration: _Optional[_Mapping[str, str]] = ..., if_match: _Optional[str] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class RollbackResponse(_message.Message):
    __slots__ = ("service_id", "status", "version", "etag", "detail")
    SERVICE_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    service_id: str
    status: str
    version: int
    etag: str
    detail: str
    def __init__(self, service_id: _Optional[str] = ..., status: _Optional[str] = ..., version: _Optional[int] = ..., etag: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...

class ConfigurationValidationRequest(_message.Message):
    __slots__ = ("service_id", "configuration", "strategy", "rollout_percentage")
    class ConfigurationEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SERVICE_ID_FIELD_NUMBER: _ClassVar[int]
    CONFIGURATION_FIELD_NUMBER: _ClassVar[int]
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    ROLLOUT_PERCENTAGE_FIELD_NUMBER: _ClassVar[int]
    service_id: str
    configuration: _containers.ScalarMap[str, str]
    strategy: DeploymentStrategy
    rollout_percentage: int
    def __init__(self, service_id: _Optional[str] = ..., configuration: _Optional[_Mapping[str, str]] = ..., strategy: _Optional[_Union[DeploymentStrategy, str]] = ..., rollout_percentage: _Optional[int] = ...) -> None: ...

class ValidationResponse(_message.Message):
    __slots__ = ("valid", "errors", "warnings")
    VALID_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    valid: bool
    errors: _containers.RepeatedScalarFieldContainer[str]
    warnings: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, valid: _Optional[bool] = ..., errors: _Optional[_Iterable[str]] = ..., warnings: _Optional[_Iterable[str]] = ...) -> None: ...
