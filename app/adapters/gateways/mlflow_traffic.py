"""Whether MLflow serves by an update yet: its usage tracking counts requests by model, in buckets of time.

Told by traffic (``seen_traffic``) where there is enough. What traffic cannot tell - none comes, or the shares hardly
differ - is waited for: after the cache's time and some more, the requests since then must fit, however few they are.
"""

from collections import Counter
from datetime import datetime
from typing import Any

import msgspec

from app.adapters.gateways import seen_traffic
from app.adapters.gateways.mlflow_endpoint import Endpoint, Kept, arm_shares
from app.core.ports import Unavailable

LOOK_S = 2.0
"""How often MLflow is asked for its counts."""
BUCKET_S = 5
GRACE_S = 15.0
"""How long after the cache's time requests are looked for before none are believed: buckets begin, counts come late."""
SPAN = "provider/"
"""Spans of calls to providers are named ``provider/<provider>/<model>``."""


class _Point(msgspec.Struct, frozen=True):
    dimensions: dict[str, str]
    values: dict[str, float]


class _Points(msgspec.Struct, frozen=True):
    data_points: tuple[_Point, ...] = ()


class Traffic:
    """One state of one endpoint on its way into use. Mutable. ``now``: of one steady clock, in seconds.

    ``before``: the split before it, as far as it is known; ``earlier``: that one on its way into use, when it was seen.
    """

    old: dict[str, float]
    followed: bool

    def __init__(
        self,
        endpoint: Endpoint,
        kept: Kept,
        before: Kept | None,
        cache_s: float,
        now: float,
        earlier: "Traffic | None" = None,
    ) -> None:
        self.etag = endpoint.etag
        arrived = earlier is not None and earlier.followed
        # what never arrived is not what the traffic comes from
        self.old = earlier.old if earlier is not None and not arrived else _by_model(before)
        self._new = _by_model(kept)
        self._experiment = endpoint.experiment_id if endpoint.usage_tracking else ""
        self._since_ms = endpoint.last_updated_at
        self._cache_ends_s, self._settled_s = self._since_ms / 1000 + cache_s, now + cache_s + GRACE_S
        self._due_s = now
        # what serves the same by the same models as one that arrived is in use already
        self.followed = arrived and self._new == self.old

    def due(self, now: float) -> bool:
        """Whether to look at the counts again."""
        return not self.followed and now >= self._due_s

    def question(self) -> dict[str, Any] | None:
        """The body of ``POST /traces/metrics``; None where MLflow does not keep counts."""
        if not self._experiment:
            return None
        return {
            "experiment_ids": [self._experiment],
            "view_type": "SPANS",
            "metric_name": "span_count",
            "aggregations": [{"aggregation_type": "COUNT"}],
            "dimensions": ["span_name"],
            "start_time_ms": self._since_ms,
            "end_time_ms": self._since_ms + 86_400_000,
            "time_interval_seconds": BUCKET_S,
        }

    def learn(self, now: float, body: bytes) -> None:
        """Take the answer to ``question`` (empty: nothing is counted). Raises Unavailable: unreadable."""
        self._due_s = now + LOOK_S
        buckets = _buckets(body) if body else []
        self.followed = seen_traffic.follows(self._new, self.old, [counts for _, counts in buckets])
        if not self.followed and now >= self._settled_s:
            late = sum((Counter(counts) for at_s, counts in buckets if at_s >= self._cache_ends_s), Counter())
            self.followed = seen_traffic.fits(self._new, late)


def _by_model(kept: Kept | None) -> dict[str, float]:
    if kept is None:
        return {}
    shares: dict[str, float] = {}
    for arm, share in arm_shares(kept.split).items():
        model = kept.models.get(arm, arm)
        shares[model] = shares.get(model, 0.0) + share
    return shares


def _buckets(body: bytes) -> list[tuple[float, dict[str, int]]]:
    """Start (unix seconds) and requests by ``provider/model`` of each bucket, the newest first."""
    found: dict[float, dict[str, int]] = {}
    try:
        for point in msgspec.json.decode(body, type=_Points).data_points:
            name = point.dimensions.get("span_name", "")
            if name.startswith(SPAN):
                at = datetime.fromisoformat(point.dimensions["time_bucket"]).timestamp()
                bucket = found.setdefault(at, {})
                bucket[name.removeprefix(SPAN)] = bucket.get(name.removeprefix(SPAN), 0) + int(point.values["COUNT"])
    except (ValueError, KeyError, RecursionError) as error:
        raise Unavailable(f"the gateway's counts are unreadable: {error!r}") from error
    return [(at, found[at]) for at in sorted(found, reverse=True)]
