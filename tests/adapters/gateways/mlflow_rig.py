"""A real MLflow behind a proxy of ours, with the same remote controls as the other gateways."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import msgspec

from app.adapters.gateways.mlflow import API, MlflowGateway, MlflowOptions
from app.adapters.gateways.mlflow_endpoint import Endpoint, endpoint_name
from app.core.ports import Ack
from app.core.split import Split
from tests.e2e.harness.fault_proxy import FaultProxy
from tests.e2e.harness.mlflow import Mlflow

UPDATE = "/gateway/endpoints/update"


class MlflowStore:
    """What is at MLflow, past the adapter: lost, or changed by a person."""

    def __init__(self, server: Mlflow, proxy: FaultProxy) -> None:
        self._server, self._proxy = server, proxy

    @property
    def changes(self) -> int:
        """Updates the gateway took from us."""
        return self._proxy.passed.get(API + UPDATE, 0)

    def clear(self) -> None:
        """Everything is gone."""
        self._server.clear()

    def put(self, split: Split, _etag: str) -> Ack:
        """Other weights, as a person sets them: no word of ours on it."""
        endpoint = self.endpoint(split.service)
        there = self._server.call("GET", "/gateway/model-definitions/list")["model_definitions"]
        ids = {one["name"]: one["model_definition_id"] for one in there}
        configs = [
            {"model_definition_id": ids[arm], "linkage_type": "PRIMARY", "weight": weight}
            for arm, weight in split.weights["*"].items()
        ]
        body = {"endpoint_id": endpoint.endpoint_id, "model_configs": configs, "updated_by": "somebody"}
        answer = self._server.call("POST", UPDATE, **body)
        return Ack("applied", msgspec.convert(answer["endpoint"], Endpoint, strict=False).etag)

    def endpoint(self, service: str) -> Endpoint:
        """The service's endpoint."""
        answer = self._server.call("GET", "/gateway/endpoints/get", name=endpoint_name(service))
        return msgspec.json.decode(msgspec.json.encode(answer["endpoint"]), type=Endpoint)


class MlflowRig:
    """``able``: what the suite expects it to state."""

    able = frozenset(("weights", "single_challenger"))
    conditional = False

    def __init__(self, gateway: MlflowGateway, server: Mlflow, proxy: FaultProxy) -> None:
        self.gateway, self.gateway_server, self.proxy = gateway, server, proxy
        self.store = MlflowStore(server, proxy)

    def break_it(self, failure: str) -> None:
        self.proxy.failure = failure


@asynccontextmanager
async def rig_of(server: Mlflow, cache_s: float = 10.0) -> AsyncIterator[MlflowRig]:
    """An empty gateway with a client that tries twice, without a pause."""
    server.clear()
    proxy = FaultProxy(server.url, UPDATE)
    async with proxy.serving(), aiohttp.ClientSession() as session:
        options = MlflowOptions(url=proxy.url, attempts=2, pause_s=0.001, timeout_s=30.0, cache_s=cache_s)
        yield MlflowRig(MlflowGateway(session, options), server, proxy)
