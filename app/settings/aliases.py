"""Other names under which a setting may come, and the defaults a deployment profile changes."""

from collections.abc import Mapping
from types import MappingProxyType

from app.settings.model import Path

ALIASES: Mapping[str, Path] = MappingProxyType(
    {
        "KAFKA_BROKERS": ("kafka", "bootstrap_servers"),
        "KAFKA_USERNAME": ("kafka", "username"),
        "KAFKA_PASSWORD": ("kafka", "password"),
        "OTEL_EXPORTER_OTLP_ENDPOINT": ("telemetry", "otlp_endpoint"),
        "OBSERVATORY_URL": ("platform", "observatory_url"),
        "OBSERVATORY_API_KEY": ("platform", "observatory_api_key"),
        "GOVERNANCE_URL": ("platform", "governance_url"),
        "REGISTRY_URL": ("platform", "registry_url"),
        "MODE": ("deployment", "profile"),
        "OPTIMIZATION_INTERVAL": ("optimize", "cycle_s"),
    }
)
"""Environment variables of the platform's manifests. The LLM_OPTIMIZER__ name wins where both are set."""

UNREAD: frozenset[Path] = frozenset(
    {
        ("optimize", "cycle_s"),
        ("platform", "governance_url"),
        ("platform", "registry_url"),
    }
)
"""Settings of the platform's manifests that are checked but that nothing reads in this version; `doctor` says so when
one is set. A test keeps the list true.
"""

PROFILES: Mapping[str, Mapping[Path, object]] = MappingProxyType(
    {
        "standalone": {},
        "sidecar": {("optimize", "max_services"): 50, ("kafka", "fetch_max_bytes"): 256 << 10},
        "daemon": {("optimize", "max_services"): 500},
    }
)
"""A profile fits the memory bounds to where the worker runs: 512 MiB beside an application, 1 GiB on a node."""
