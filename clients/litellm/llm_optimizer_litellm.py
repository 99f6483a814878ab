"""LiteLLM follows the LLM Auto-Optimizer: one file, put beside LiteLLM's config.yaml (docs/gateways.md).

    litellm_settings:
      callbacks: llm_optimizer_litellm.optimizer

A service is a model group; an arm is a deployment of it whose ``model_info.id`` is the arm's name. Each request draws
slice and arm by the documented hash of its session (else its id), goes to that arm's deployment with the arm's
parameters, and to another arm when that one fails. What was answered goes to Kafka as ``response.completed``.

Environment: LLM_OPTIMIZER_URL (worker's web port), LLM_OPTIMIZER_KEY (its gateway.desired_key),
LLM_OPTIMIZER_SERVICES (model groups, by commas), LLM_OPTIMIZER_KAFKA (host:port,...; empty: nothing is sent),
LLM_OPTIMIZER_TOPIC (llm.responses), LLM_OPTIMIZER_CACHE (folder: the last good splits survive a restart),
LLM_OPTIMIZER_AGENT (name of this puller), LLM_OPTIMIZER_QUEUE (records waiting for Kafka at most: 10000).
The wheel ``confluent-kafka`` is needed for Kafka only; all else is Python's own library.
"""

from __future__ import annotations

import atexit
import base64
import contextlib
import hashlib
import hmac
import json
import logging
import os
import socket
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

try:
    from litellm.integrations.custom_logger import CustomLogger
except ImportError:  # without LiteLLM the parts below can still be used and tested
    CustomLogger = object

log = logging.getLogger("llm_optimizer")

AGENT = "litellm"
MAX_EMITTED = 10_000
"""Call ids remembered, so that a call that is told twice is sent once."""
STATE = "llm_optimizer"
"""Where a request carries what was drawn for it, in its metadata."""
PROTECTED = frozenset(
    ("model", "messages", "input", "stream", "metadata", "litellm_metadata", "api_key", "api_base", "base_url", "user")
)
"""Arguments of a call that an arm's parameters never replace."""


# ==== shared by the clients: the same text in each of them (tests/clients/test_shared.py) =============================
HOLDOUT_SALT = "llm-optimizer/holdout/"
MAIN_SALT = "llm-optimizer/main/"
GROUP_SALT = "llm-optimizer/group/"
GROUPS = 64

WAIT_S = 30
TIMEOUT_S = WAIT_S + 15
BACKOFF_S = (0.5, 1, 2, 5, 10, 30)
MAX_DOCUMENT_BYTES = 4 << 20
MAX_SERVICES = 64
SKEW_S = 300


# ---- the draw: app/core/assign.py, vectors in tests/golden/assign.json -----------------------------------------------
def hash01(salt: str, identity: str) -> float:
    """A number in [0, 1] that looks uniform."""
    return int.from_bytes(hashlib.sha256((salt + identity).encode()).digest()[:8], "big") / 2**64


class Split:
    """A service's split as requests need it. ValueError: it is none."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        try:
            self.service = str(document["service"])
            self.version = int(document["version"])
            self.arms: dict[str, Mapping[str, Any]] = {str(arm["name"]): arm for arm in document["arms"]}
            self.incumbent = str(document["incumbent"])
            self.baseline = str(document.get("baseline") or self.incumbent)
            self.holdout_share = float(document.get("holdout_share", 0.0))
            self.trial: Mapping[str, Any] | None = document.get("trial")
            self.sticky = bool(document.get("sticky", True))
            self.segment_by = str(document.get("segment_by", ""))
            self.segments = tuple(document.get("segments", ()))
            weights = {name: self._weights(per_arm) for name, per_arm in document["weights"].items()}
            self._weights_of: dict[str, list[tuple[str, float]]] = weights
            named = [self.incumbent, self.baseline]
            if self.trial is not None:
                self._challengers = [str(arm) for arm in self.trial.get("arms") or [self.trial["arm"]]]
                named += [*self._challengers, str(self.trial["control_arm"])]
                self._trial = (str(self.trial["id"]), float(self.trial["share"]), float(self.trial["control_share"]))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a split: {error!r}") from error
        if missing := [name for name in named if name not in self.arms]:
            raise ValueError(f"not a split: {missing} are not among its arms")

    def _weights(self, per_arm: Mapping[str, float]) -> list[tuple[str, float]]:
        return [(name, float(per_arm[name])) for name in self.arms if per_arm.get(name, 0.0) > 0]

    def segment(self, parts: Mapping[str, str]) -> str:
        """The segment of a request."""
        if not self.segment_by:
            return "*"
        value = parts.get(self.segment_by, "")
        return value if value in self.segments else "other"

    def draw(self, identity: str, segment: str = "*") -> tuple[str, str]:
        """Slice and arm of one identity."""
        if hash01(HOLDOUT_SALT, identity) < self.holdout_share:
            return "holdout", self.baseline
        if self.trial is not None:
            salt, share, control_share = self._trial
            v = hash01(salt, identity)
            if v < share:
                return "trial", max(self._challengers, key=lambda arm: hash01(f"{salt}/{arm}", identity))
            if v < share + control_share:
                return "control", str(self.trial["control_arm"])
        weights = self.weights(segment)
        point, reached = hash01(MAIN_SALT, identity) * sum(weight for _, weight in weights), 0.0
        for arm, weight in weights:
            reached += weight
            if point < reached:
                return "main", arm
        return "main", weights[-1][0]

    def weights(self, segment: str = "*") -> list[tuple[str, float]]:
        """Weights of the main slice in arm order, the positive ones; without any the incumbent has it all."""
        return self._weights_of.get(segment) or self._weights_of.get("*") or [(self.incumbent, 1.0)]

    def order(self, arm: str) -> list[str]:
        """Who may answer for ``arm``: itself, the fallbacks it names, the incumbent, then all others."""
        named = self.arms.get(arm, {}).get("features", {}).get("fallbacks", ())
        wanted = [arm, *(name for name in named if isinstance(name, str)), self.incumbent, *self.arms]
        return [name for name in dict.fromkeys(wanted) if name in self.arms]


def session_group(identity: str) -> int:
    """Session group 0-63."""
    return min(int(hash01(GROUP_SALT, identity) * GROUPS), GROUPS - 1)


def with_receipt(unique: str, state: Mapping[str, Any]) -> str:
    """The request id that carries its receipt: ``unique.base64url`` of a MessagePack array; scores come back by it."""
    parts = state["segment"]
    segment = [parts.get(name, "") for name in ("tenant", "task_type", "region")]
    values = [state["service"], state["arm"], *segment, state["slice"], state["version"], state["group"]]
    packed = bytes([0x90 | len(values)]) + b"".join(map(_packed, values))
    return f"{unique}.{base64.urlsafe_b64encode(packed).rstrip(b'=').decode()}"


def _packed(value: str | int) -> bytes:
    if isinstance(value, int):
        return bytes([value]) if 0 <= value < 128 else b"\xcf" + value.to_bytes(8, "big")
    raw = value.encode()
    return (bytes([0xA0 | len(raw)]) if len(raw) < 32 else b"\xda" + len(raw).to_bytes(2, "big")) + raw


# ---- desired state ---------------------------------------------------------------------------------------------------
class Desired:
    """Keeps the newest split of every service: one thread each, that asks and waits. The last good one stays."""

    def __init__(
        self, url: str, key: str, services: Iterable[str], agent: str = "", cache: str = "", counts: Any = None
    ) -> None:
        self.splits: dict[str, Split] = {}
        self.services = tuple(dict.fromkeys(services))
        self.counts: Counter[str] = Counter() if counts is None else counts
        if len(self.services) > MAX_SERVICES:
            raise ValueError(
                f"LLM_OPTIMIZER_SERVICES: {len(self.services)} services, at most {MAX_SERVICES} are followed"
            )
        self._url, self._key = url.rstrip("/"), key
        self._agent = agent or f"{AGENT}-{socket.gethostname()}-{os.getpid()}"
        self._cache = Path(cache) if cache else None
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begin; splits kept by an earlier process are served until newer ones come."""
        for service in self.services:
            self._load(service)
            threading.Thread(target=self._follow, args=(service,), name=f"desired {service}", daemon=True).start()

    def stop(self) -> None:
        """End, at the latest after the long poll that runs."""
        self._stopped.set()

    def _follow(self, service: str) -> None:
        etag, failures = "", 0
        while not self._stopped.is_set():
            try:
                etag = self._fetch(service, etag) or etag
                failures = 0
            except Exception as error:  # noqa: BLE001  # whatever it is, the last good split is served on
                self.counts["fetch_failed"] += 1
                pause_s = BACKOFF_S[min(failures, len(BACKOFF_S) - 1)]
                failures += 1
                log.log(
                    logging.WARNING if failures == 3 else logging.INFO, "%s: %s; again in %g s", service, error, pause_s
                )
                self._stopped.wait(pause_s)

    def _fetch(self, service: str, etag: str) -> str:
        """The etag of a new document that is now served, empty when there is none. Raises when it cannot be used."""
        path = f"/v1/desired/{urllib.parse.quote(service, safe='')}?wait_s={WAIT_S}"
        headers = {"Authorization": "HMAC-SHA256 " + self._signed(f"GET\n{path}".encode()), "X-Agent-ID": self._agent}
        if etag:
            headers["If-None-Match"] = f'"{etag}"'
        request = urllib.request.Request(self._url + path, headers=headers)  # noqa: S310  # the operator's address
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
                body = answer.read(MAX_DOCUMENT_BYTES + 1)
                fresh = str(answer.headers["ETag"]).strip('"')
                proof = str(answer.headers["X-Signature"])
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 304:
                    return ""
                detail = error.read(500).decode(errors="replace")
            raise ValueError(f"the optimizer answered {error.code}: {detail}") from error
        if not self._is_signed(fresh.encode() + b"\n" + body, proof):
            raise ValueError("the answer is not signed with LLM_OPTIMIZER_KEY: it is not used")
        self._take(service, body)
        return fresh

    def _take(self, service: str, body: bytes) -> None:
        split = Split(json.loads(body))
        if split.service != service:
            raise ValueError(f"the answer is of service {split.service!r}")
        self.splits[service] = split
        self.counts["splits"] += 1
        log.info("%s: version %d is served from now on", service, split.version)
        if self._cache is not None:
            try:
                self._cache.mkdir(parents=True, exist_ok=True)
                draft = self._file(service).with_suffix(".new")
                draft.write_bytes(body)
                draft.replace(self._file(service))
            except OSError as error:
                self.counts["cache_failed"] += 1
                log.warning("%s: the split could not be kept in %s: %s", service, self._cache, error)

    def _load(self, service: str) -> None:
        if self._cache is None or not self._file(service).exists():
            return
        try:
            self.splits[service] = Split(json.loads(self._file(service).read_bytes()))
        except (OSError, ValueError) as error:
            self.counts["cache_failed"] += 1
            log.warning("%s: what is kept in %s cannot be used: %s", service, self._cache, error)

    def _file(self, service: str) -> Path:
        return Path(self._cache or ".") / (hashlib.sha256(service.encode()).hexdigest()[:32] + ".json")

    def _signed(self, message: bytes) -> str:
        at = int(time.time())
        return f"t={at},v1={self._digest(at, message)}"

    def _is_signed(self, message: bytes, proof: str) -> bool:
        fields = dict(part.partition("=")[::2] for part in proof.split(","))
        at = fields.get("t", "")
        if not (at.isascii() and at.isdigit()) or abs(int(at) - time.time()) > SKEW_S:
            return False
        return hmac.compare_digest(self._digest(int(at), message), fields.get("v1", ""))

    def _digest(self, at: int, message: bytes) -> str:
        return hmac.new(self._key.encode(), b"%d\n" % at + message, hashlib.sha256).hexdigest()


# ==== end of what the clients share ===================================================================================


# ---- evidence --------------------------------------------------------------------------------------------------------
class Emitter:
    """Sends ``response.completed`` to Kafka without ever waiting: a full queue or a lost record is counted."""

    def __init__(self, bootstrap: str, topic: str, queue: int, counts: Counter[str], producer: Any = None) -> None:
        self._topic, self._counts = topic, counts
        self._producer = producer if producer is not None else _producer(bootstrap, queue)
        self._stopped = threading.Event()
        threading.Thread(target=self._serve, name="llm-optimizer emitter", daemon=True).start()
        atexit.register(self.close)

    def emit(self, id_: str, event_time: float, body: Mapping[str, Any]) -> None:
        """Queue one event. Counted: ``emitted``, ``dropped`` (queue full), ``lost`` (Kafka did not take it)."""
        headers = {
            "ce_specversion": "1.0",
            "ce_id": id_,
            "ce_type": "io.llm-platform.response.completed",
            "ce_source": "/litellm",
            "ce_time": datetime.fromtimestamp(event_time, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "content-type": "application/json",
        }
        try:
            self._producer.produce(
                self._topic,
                key=id_.encode(),
                value=json.dumps(body).encode(),
                headers=[(name, text.encode()) for name, text in headers.items()],
                on_delivery=self._delivered,
            )
            self._counts["emitted"] += 1
        except BufferError:
            self._counts["dropped"] += 1
            if self._counts["dropped"] in {1, 100, 10_000}:
                log.warning("%d events dropped: Kafka does not take them fast enough", self._counts["dropped"])

    def close(self) -> None:
        """Give what waits 5 s to leave; the rest is counted as lost."""
        if not self._stopped.is_set():
            self._stopped.set()
            self._counts["lost"] += self._producer.flush(5)

    def _delivered(self, error: Any, _message: Any) -> None:
        if error is not None:
            self._counts["lost"] += 1

    def _serve(self) -> None:
        while not self._stopped.is_set():
            self._producer.poll(0.2)


def _producer(bootstrap: str, queue: int) -> Any:
    try:
        from confluent_kafka import Producer
    except ImportError as error:
        raise RuntimeError("LLM_OPTIMIZER_KAFKA is set: pip install confluent-kafka beside LiteLLM") from error
    return Producer(
        {
            "bootstrap.servers": bootstrap,
            "client.id": "llm-optimizer-litellm",
            "enable.idempotence": True,
            "linger.ms": 50,
            "queue.buffering.max.messages": queue,
            "log_level": 2,
        }
    )


# ---- the callback ----------------------------------------------------------------------------------------------------
class LLMOptimizer(CustomLogger):  # type: ignore[misc]  # Any where LiteLLM is not installed
    """``event_time`` maps the moment an answer ended (unix seconds) to the time its event gets: itself, in production.

    ``counts``: splits, fetch_failed, cache_failed, drawn, undrawn (no split yet), fell_over, unmapped (no deployment
    has the arm's name), repeated, emitted, dropped, lost.
    """

    def __init__(
        self, desired: Desired, emitter: Emitter | None, *, event_time: Callable[[float], float] = lambda t: t
    ) -> None:
        super().__init__()
        self.counts = desired.counts
        self._desired, self._emitter, self._event_time = desired, emitter, event_time
        self._emitted: OrderedDict[str, None] = OrderedDict()

    # ---- before the call
    async def async_pre_call_hook(
        self, user_api_key_dict: Any, cache: Any, data: dict[str, Any], call_type: str
    ) -> None:
        """Draw slice and arm of a request to one of the services."""
        metadata = _metadata(data)
        metadata.pop(STATE, None)  # a caller may not choose
        service = data.get("model")
        if not isinstance(service, str) or service not in self._desired.services:
            return
        unique = str(data.get("litellm_call_id") or "").replace(".", "-")
        parts = _parts(data, metadata, user_api_key_dict)
        state: dict[str, Any] = {"service": service, "segment": parts, "began": time.time(), "tried": []}
        split = self._desired.splits.get(service)
        if split is None:
            self.counts["undrawn"] += 1
            state |= {"arm": "", "slice": "main", "version": 0, "group": 0}
        else:
            session = _session(data, metadata)
            identity = session if split.sticky and session else unique
            slice_, arm = split.draw(identity, split.segment(parts))
            state |= {"arm": arm, "slice": slice_, "version": split.version, "group": session_group(identity)}
            state["order"] = split.order(arm)
            state["parameters"] = {name: dict(one.get("parameters") or {}) for name, one in split.arms.items()}
            state["models"] = {name: str(one.get("model", "")) for name, one in split.arms.items()}
            state["prompts"] = {name: str(one.get("prompt_version") or "") for name, one in split.arms.items()}
            self.counts["drawn"] += 1
        state["request_id"] = with_receipt(unique, state) if state["arm"] else unique
        metadata[STATE] = state

    async def async_filter_deployments(
        self,
        model: str,
        healthy_deployments: list[dict[str, Any]],
        messages: Any,
        request_kwargs: dict[str, Any] | None = None,
        parent_otel_span: Any = None,
    ) -> list[dict[str, Any]]:
        """The deployments of the arm; after a failure those of the next one that may answer for it."""
        state = _state(request_kwargs)
        if state is None or not state["arm"]:
            return healthy_deployments
        here: dict[str, list[dict[str, Any]]] = {}
        for deployment in healthy_deployments:
            if (arm := _arm_of(deployment, state["models"])) is not None:
                here.setdefault(arm, []).append(deployment)
        for arm in (*(name for name in state["order"] if name not in state["tried"]), *state["order"]):
            if arm in here:
                state["tried"].append(arm)
                if arm != state["arm"] and len(state["tried"]) <= 2:
                    self.counts["fell_over"] += 1
                return here[arm]
        self.counts["unmapped"] += 1
        return healthy_deployments

    async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: Any) -> dict[str, Any] | None:
        """The parameters of the arm that answers, whichever it turned out to be."""
        state = _state(kwargs)
        arm = _arm_of(kwargs, state["models"]) if state is not None and state["arm"] else None
        if state is None or arm is None:
            return None
        chosen = {name: value for name, value in state["parameters"].get(arm, {}).items() if name not in PROTECTED}
        return {**kwargs, **chosen}

    # ---- after the call
    async def async_post_call_response_headers_hook(
        self, data: dict[str, Any], user_api_key_dict: Any, response: Any, *_: Any, **__: Any
    ) -> dict[str, str] | None:
        """Hand out the request id with its receipt, for feedback, and what was drawn."""
        state = _state(data)
        if state is None or not state["arm"]:
            return None
        shown = {
            "request-id": state["request_id"],
            "arm": state["arm"],
            "slice": state["slice"],
            "version": state["version"],
        }
        return {f"x-llm-optimizer-{name}": str(value) for name, value in shown.items()}

    async def async_log_success_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """One answered request."""
        state = _state(kwargs.get("litellm_params") or {}) or _state(kwargs)
        if state is None or self._emitter is None or not self._first(kwargs):
            return
        payload = kwargs.get("standard_logging_object") or {}
        ended = end_time.timestamp()
        latency_s = max(0.0, ended - state["began"])
        body = _common(state, payload, _model_id(kwargs, payload))
        began, first = start_time.timestamp(), kwargs.get("completion_start_time")
        if kwargs.get("stream") and first is not None:
            body["ttft_ms"] = round(1000 * max(0.0, latency_s - (ended - first.timestamp())), 3)
        usage = _usage(response_obj)
        body |= {
            "latency_ms": round(1000 * max(latency_s, ended - began), 3),
            "status": "ok",
            "input_tokens": int(payload.get("prompt_tokens") or usage.get("prompt_tokens") or 0),
            "output_tokens": int(payload.get("completion_tokens") or usage.get("completion_tokens") or 0),
        }
        cost = kwargs.get("response_cost")
        if isinstance(cost, int | float) and cost >= 0:
            body["cost_usd"] = float(cost)
        if reason := _finish_reason(response_obj):
            body["finish_reason"] = reason
        if named := getattr(response_obj, "model", None):
            body["response_model"] = str(named)[:200]
        self._emitter.emit(str(kwargs["litellm_call_id"]), self._event_time(ended), body)

    async def async_post_call_failure_hook(
        self, request_data: dict[str, Any], original_exception: Exception, user_api_key_dict: Any, *_: Any, **__: Any
    ) -> None:
        """One request that failed for good: attempts that another arm answered are no failure of the request."""
        state = _state(request_data)
        call_id = str(request_data.get("litellm_call_id") or "")
        if state is None or self._emitter is None or not call_id or not self._first(request_data):
            return
        ended = time.time()
        body = _common(state, {}, state["tried"][-1] if state["tried"] else "")
        body |= {
            "latency_ms": round(1000 * max(0.0, ended - state["began"]), 3),
            "status": "error",
            "error_type": type(original_exception).__name__,
        }
        self._emitter.emit(call_id, self._event_time(ended), body)

    def _first(self, kwargs: Mapping[str, Any]) -> bool:
        """LiteLLM may tell a call more than once."""
        call_id = str(kwargs.get("litellm_call_id") or "")
        if not call_id or call_id in self._emitted:
            self.counts["repeated"] += 1
            return False
        self._emitted[call_id] = None
        if len(self._emitted) > MAX_EMITTED:
            self._emitted.popitem(last=False)
        return True


def _common(state: Mapping[str, Any], payload: Mapping[str, Any], served: str) -> dict[str, Any]:
    models = state.get("models", {})
    arm = state["arm"] or served
    body: dict[str, Any] = {
        "request_id": state["request_id"],
        "service": state["service"],
        "arm": arm or state["service"],
        "model": models.get(served) or str(payload.get("model") or "") or models.get(arm) or state["service"],
        "provider": str(payload.get("custom_llm_provider") or ""),
        "slice": state["slice"],
        "version": state["version"],
        "segment": {name: value for name, value in state["segment"].items() if value},
    }
    if state["arm"]:
        body["session_group"] = state["group"]
    if served and served != arm:
        body["served_arm"] = served
    if prompt := state.get("prompts", {}).get(served or arm):
        body["labels"] = {"prompt_version": prompt[:200]}
    return body


def _metadata(data: dict[str, Any]) -> dict[str, Any]:
    """The metadata LiteLLM carries through the call; made when the caller sent none (or something else)."""
    name = "litellm_metadata" if isinstance(data.get("litellm_metadata"), dict) else "metadata"
    if not isinstance(data.get(name), dict):
        data[name] = {}
    found: dict[str, Any] = data[name]
    return found


def _state(data: Mapping[str, Any] | None) -> dict[str, Any] | None:
    for name in ("litellm_metadata", "metadata"):
        metadata = (data or {}).get(name)
        if isinstance(metadata, dict) and isinstance(metadata.get(STATE), dict):
            state: dict[str, Any] = metadata[STATE]
            return state
    return None


def _arm_of(deployment: Mapping[str, Any], models: Mapping[str, str]) -> str | None:
    """The arm a deployment is: by its id, else the only arm with its model."""
    info = deployment.get("model_info") or {}
    if (id_ := str(info.get("id", ""))) in models:
        return id_
    params = deployment.get("litellm_params")
    name = str((params if isinstance(params, Mapping) else {}).get("model", ""))
    same = [arm for arm, model in models.items() if model and model in {name, name.partition("/")[2]}]
    return same[0] if len(same) == 1 else None


def _model_id(kwargs: Mapping[str, Any], payload: Mapping[str, Any]) -> str:
    info = (kwargs.get("litellm_params") or {}).get("model_info") or {}
    return str(payload.get("model_id") or info.get("id") or "")


def _session(data: Mapping[str, Any], metadata: Mapping[str, Any]) -> str:
    headers = (data.get("proxy_server_request") or {}).get("headers") or {}
    known = (metadata.get("session_id"), data.get("litellm_session_id"), headers.get("x-litellm-session-id"))
    return next((str(value)[:200] for value in known if value), "")


def _parts(data: Mapping[str, Any], metadata: Mapping[str, Any], key: Any) -> dict[str, str]:
    tenant = metadata.get("tenant") or data.get("user") or getattr(key, "end_user_id", None) or ""
    return {
        "tenant": str(tenant)[:200],
        "task_type": str(metadata.get("task_type") or "")[:200],
        "region": str(metadata.get("region") or "")[:200],
    }


def _usage(response: Any) -> Mapping[str, Any]:
    usage = getattr(response, "usage", None)
    with contextlib.suppress(Exception):
        return dict(usage) if usage is not None else {}
    return {}


def _finish_reason(response: Any) -> str:
    choices = getattr(response, "choices", None) or []
    return str(getattr(choices[0], "finish_reason", "") or "")[:200] if choices else ""


def from_environment(env: Mapping[str, str] | None = None, **options: Any) -> LLMOptimizer:
    """The callback as the environment configures it; ValueError names what is missing."""
    env = os.environ if env is None else env
    missing = [n for n in ("LLM_OPTIMIZER_URL", "LLM_OPTIMIZER_KEY", "LLM_OPTIMIZER_SERVICES") if not env.get(n)]
    if missing:
        raise ValueError(f"set {', '.join(missing)} in LiteLLM's environment (docs/gateways.md)")
    services = [name.strip() for name in env["LLM_OPTIMIZER_SERVICES"].split(",") if name.strip()]
    desired = Desired(
        env["LLM_OPTIMIZER_URL"],
        env["LLM_OPTIMIZER_KEY"],
        services,
        env.get("LLM_OPTIMIZER_AGENT", ""),
        env.get("LLM_OPTIMIZER_CACHE", ""),
    )
    emitter = None
    if bootstrap := env.get("LLM_OPTIMIZER_KAFKA", ""):
        topic, queue = env.get("LLM_OPTIMIZER_TOPIC", "llm.responses"), int(env.get("LLM_OPTIMIZER_QUEUE", "10000"))
        emitter = Emitter(bootstrap, topic, queue, desired.counts)
    desired.start()
    return LLMOptimizer(desired, emitter, **options)


def __getattr__(name: str) -> Any:
    """``optimizer`` is made when LiteLLM asks for it, not when this file is imported."""
    if name == "optimizer":
        globals()["optimizer"] = from_environment()
        return globals()["optimizer"]
    raise AttributeError(name)
