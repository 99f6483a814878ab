"""Portkey's gateway follows the LLM Auto-Optimizer: one file, put into the application (docs/gateways.md).

    optimizer = llm_optimizer_portkey.from_environment()
    routed = optimizer.route("support-chat", session_id="s-17")
    answer = http.post(".../v1/chat/completions", json=body, headers=routed.headers)
    event = routed.told(answer.headers) | {"latency_ms": ..., "input_tokens": ..., "status": "ok"}

Portkey takes its routing from the header ``x-portkey-config`` of each request. ``route`` draws slice and arm by the
documented hash of the session (else of the request id) and asks for that arm, with its parameters, then for the others
should it fail. ``weighted`` makes one header for many requests, by which Portkey itself draws: no sessions, no holdout
that stays with the same users. ``told`` says from Portkey's answer which arm it was: the data of
``response.completed``, to be completed and sent to ``llm.responses``.

Environment: LLM_OPTIMIZER_URL (worker's web port), LLM_OPTIMIZER_KEY (its gateway.desired_key), LLM_OPTIMIZER_TARGETS
(JSON file: service -> arm -> Portkey's target: provider, api_key or virtual_key, custom_host...; the first arm of a
service serves until there is a split), LLM_OPTIMIZER_CACHE (folder: the last good splits survive a restart),
LLM_OPTIMIZER_AGENT (name of this puller). Nothing but Python's own library is needed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import os
import re
import socket
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

log = logging.getLogger("llm_optimizer")

AGENT = "portkey"
FALL_BACK_ON = (408, 425, 429, 500, 502, 503, 504)
"""Answers of a provider after which the next arm is asked; any other one is the caller's."""
USED = "x-portkey-last-used-option-index"
"""Where Portkey says which target answered: ``config.targets[0].targets[1]``."""
PARTS = ("tenant", "task_type", "region")


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


# ---- the header ------------------------------------------------------------------------------------------------------
Targets = Mapping[str, Mapping[str, Any]]
"""Arm -> Portkey's target: how its provider is reached."""


class Routed:
    """The way of one request, or (``unique`` empty) of many. ``headers`` go to Portkey, ``told`` reads its answer.

    ``request_id`` is for feedback; of many requests each gets its own from ``told``.
    """

    def __init__(self, config: Mapping[str, Any], legs: Sequence[Mapping[str, Any]], unique: str) -> None:
        self._legs, self._unique = legs, unique
        self.request_id = _request_id(unique, legs[0]) if unique else ""
        known = ("service", "version", "arm", "slice") if len(legs) == 1 else ("service", "version")
        self.headers = {
            "x-portkey-config": json.dumps(config, separators=(",", ":")),
            "x-portkey-metadata": json.dumps({name: str(legs[0][name])[:128] for name in known}),
        }
        if unique:
            self.headers["x-portkey-trace-id"] = unique

    def told(self, headers: Mapping[str, str], unique: str = "") -> dict[str, Any]:
        """What ``response.completed`` says of the routing. ``unique``: id of the request, where this is of many.

        ValueError: the answer does not say which target it was (it is not Portkey's).
        """
        used = next((text for name, text in headers.items() if name.lower() == USED), "")
        path = [int(number) for number in re.findall(r"targets\[(\d+)\]", used)]
        weighted = len(self._legs) > 1
        if not used or len(path) != 1 + weighted or path[0] >= len(self._legs) > 1:
            raise ValueError(f"the answer has no {USED} that fits what was asked for: {used[:100]!r}")
        leg = self._legs[path[0] if weighted else 0]
        if path[-1] >= len(leg["order"]):
            raise ValueError(f"the answer has no {USED} that fits what was asked for: {used[:100]!r}")
        request_id = self.request_id
        if not self._unique:
            unique = (unique or uuid.uuid4().hex).replace(".", "-")
            leg = {**leg, "group": session_group(unique)}
            request_id = _request_id(unique, leg)
        return _event(leg, leg["order"][path[-1]], request_id)


class Portkey:
    """``targets``: service -> arm -> how it is reached. ``counts``: splits, fetch_failed, cache_failed, drawn, undrawn
    (no split yet), unreachable (an arm without a target was drawn: the next one in its order is asked).
    """

    def __init__(self, desired: Desired, targets: Mapping[str, Targets]) -> None:
        self.counts = desired.counts
        self._desired, self._targets = desired, targets

    def route(
        self, service: str, *, request_id: str = "", session_id: str = "", parts: Mapping[str, str] | None = None
    ) -> Routed:
        """Draw slice and arm of one request. ``parts``: tenant, task_type, region. KeyError: unknown service."""
        targets, split = self._targets[service], self._desired.splits.get(service)
        unique = (request_id or uuid.uuid4().hex).replace(".", "-")
        segment = {name: str((parts or {}).get(name) or "")[:200] for name in PARTS}
        if split is None:
            self.counts["undrawn"] += 1
            first = next(iter(targets))
            leg = _leg(service, first, "main", 0, segment, list(targets))
            return Routed(_ordered([dict(targets[arm]) for arm in targets]), [leg], unique)
        identity = session_id[:200] if split.sticky and session_id else unique
        slice_, arm = split.draw(identity, split.segment(segment))
        leg = self._planned(split, arm, slice_, segment)
        leg["group"] = session_group(identity)
        self.counts["drawn"] += 1
        return Routed(_ordered([_target(targets, split, one) for one in leg["order"]]), [leg], unique)

    def weighted(self, service: str, segment: str = "*") -> Routed:
        """One header for many requests, until the split changes: Portkey draws. KeyError: no such service, no split."""
        targets, split = self._targets[service], self._desired.splits[service]
        legs, configs = [], []
        for (slice_, arm), share in shares(split, segment).items():
            leg = self._planned(split, arm, slice_, dict.fromkeys(PARTS, ""))
            legs.append(leg)
            ordered = _ordered([_target(targets, split, one) for one in leg["order"]])
            configs.append({"weight": round(share, 9), **ordered})
        alone = {name: value for name, value in configs[0].items() if name != "weight"}
        return Routed(
            alone if len(configs) == 1 else {"strategy": {"mode": "loadbalance"}, "targets": configs}, legs, ""
        )

    def _planned(self, split: Split, arm: str, slice_: str, segment: Mapping[str, str]) -> dict[str, Any]:
        order = [name for name in split.order(arm) if name in self._targets[split.service]]
        if not order:
            raise ValueError(f"LLM_OPTIMIZER_TARGETS has no target for any arm of {split.service!r}")
        if order[0] != arm:
            self.counts["unreachable"] += 1
            if self.counts["unreachable"] in {1, 100, 10_000}:
                log.warning("%s: arm %r has no target in LLM_OPTIMIZER_TARGETS", split.service, arm)
        leg = _leg(split.service, arm, slice_, split.version, segment, order)
        leg["arms"] = {name: split.arms[name] for name in order}
        return leg


def shares(split: Split, segment: str = "*") -> dict[tuple[str, str], float]:
    """Share of the requests of a segment by slice and arm: what ``Split.draw`` gives in the long run."""
    outside = 1.0 - split.holdout_share
    found: dict[tuple[str, str], float] = {("holdout", split.baseline): split.holdout_share}
    trial = split.trial or {}
    share = float(trial.get("share", 0.0))
    control = min(float(trial.get("control_share", 0.0)), 1.0 - share)
    challengers = trial.get("arms") or ([trial["arm"]] if trial else [])
    for arm in challengers:
        found["trial", str(arm)] = outside * share / len(challengers)
    if trial:
        found["control", str(trial["control_arm"])] = outside * control
    weights = split.weights(segment)
    total = sum(weight for _, weight in weights)
    for arm, weight in weights:
        found["main", arm] = outside * (1.0 - share - control) * weight / total
    return {key: value for key, value in found.items() if value > 0}


def _leg(
    service: str, arm: str, slice_: str, version: int, segment: Mapping[str, str], order: list[str]
) -> dict[str, Any]:
    return {
        "service": service, "arm": arm, "slice": slice_, "version": version, "segment": segment, "order": order,
        "group": 0,
    }  # fmt: skip


def _ordered(targets: list[dict[str, Any]]) -> dict[str, Any]:
    return {"strategy": {"mode": "fallback", "on_status_codes": list(FALL_BACK_ON)}, "targets": targets}


def _target(targets: Targets, split: Split, arm: str) -> dict[str, Any]:
    """How an arm is reached, with its model and parameters; what its target overrides itself stays."""
    one, definition = dict(targets[arm]), split.arms[arm]
    wanted = {**(definition.get("parameters") or {}), "model": definition.get("model", arm)}
    one["override_params"] = {**wanted, **one.get("override_params", {})}
    return one


def _request_id(unique: str, leg: Mapping[str, Any]) -> str:
    return with_receipt(unique, leg) if leg["version"] else unique


def _event(leg: Mapping[str, Any], served: str, request_id: str) -> dict[str, Any]:
    definition = leg.get("arms", {}).get(served, {})
    event: dict[str, Any] = {
        "request_id": request_id,
        "service": leg["service"],
        "arm": leg["arm"],
        "model": str(definition.get("model") or served),
        "slice": leg["slice"],
        "version": leg["version"],
        "segment": {name: value for name, value in leg["segment"].items() if value},
    }
    if provider := definition.get("provider"):
        event["provider"] = provider
    if leg["version"]:
        event["session_group"] = leg["group"]
    if served != leg["arm"]:
        event["served_arm"] = served
    if prompt := definition.get("prompt_version"):
        event["labels"] = {"prompt_version": str(prompt)[:200]}
    return event


def from_environment(env: Mapping[str, str] | None = None) -> Portkey:
    """As the environment configures it, following its services from now on; ValueError names what is missing."""
    env = os.environ if env is None else env
    missing = [n for n in ("LLM_OPTIMIZER_URL", "LLM_OPTIMIZER_KEY", "LLM_OPTIMIZER_TARGETS") if not env.get(n)]
    if missing:
        raise ValueError(f"set {', '.join(missing)} in the application's environment (docs/gateways.md)")
    try:
        targets = json.loads(Path(env["LLM_OPTIMIZER_TARGETS"]).read_bytes())
    except (OSError, ValueError) as error:
        raise ValueError(f"LLM_OPTIMIZER_TARGETS: {error}") from error
    if not isinstance(targets, dict) or not all(isinstance(arms, dict) and arms for arms in targets.values()):
        raise ValueError("LLM_OPTIMIZER_TARGETS: must be an object of service -> arm -> Portkey's target")
    desired = Desired(
        env["LLM_OPTIMIZER_URL"],
        env["LLM_OPTIMIZER_KEY"],
        targets,
        env.get("LLM_OPTIMIZER_AGENT", ""),
        env.get("LLM_OPTIMIZER_CACHE", ""),
    )
    desired.start()
    return Portkey(desired, targets)
