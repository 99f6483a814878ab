"""The gRPC server: the service, health (grpc.health.v1) and reflection, with TLS as REST has it."""

from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from app.adapters.proto import auto_optimizer_pb2 as pb
from app.api.auth import Authenticator
from app.api.context import Parts
from app.api.rpc.calls import Calls
from app.api.rpc.service import AutoOptimizer
from app.settings import Api

NAME = pb.DESCRIPTOR.services_by_name["AutoOptimizerService"].full_name
GRACE_S = 2.0


class RpcServer:
    """Make it within a running loop; ``start`` gives the port, ``stop`` ends it."""

    def __init__(self, parts: Parts, auth: Authenticator) -> None:
        api = parts.settings.api
        self._api = api
        self._server = grpc.aio.server(
            options=(
                ("grpc.max_receive_message_length", api.max_body_bytes),
                ("grpc.max_concurrent_streams", api.max_connections),
                ("grpc.max_metadata_size", 16_384),
                ("grpc.so_reuseport", 0),
            ),
            maximum_concurrent_rpcs=api.max_connections,
        )
        self._servicer = AutoOptimizer(parts, Calls(api, auth))
        self._health = health.aio.HealthServicer()
        methods = _methods(self._servicer)
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(NAME, methods),))
        self._server.add_registered_method_handlers(NAME, methods)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection((NAME, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server)

    async def start(self, host: str, port: int) -> int:
        """Serve on ``port`` (0: a free one); the actual port. Raises ``OSError`` when it is taken."""
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            taken = self._listen(address)
        except RuntimeError as error:
            raise OSError(f"gRPC port {port}: {error}") from None
        await self._server.start()
        await self._health.set(NAME, health_pb2.HealthCheckResponse.SERVING)
        return taken

    async def stop(self) -> None:
        """Take no new calls, let those in hand end within the grace."""
        await self._health.enter_graceful_shutdown()
        self._servicer.end()
        await self._server.stop(GRACE_S)

    def _listen(self, address: str) -> int:
        if not self._api.tls_certfile:
            return int(self._server.add_insecure_port(address))
        return int(self._server.add_secure_port(address, _credentials(self._api)))


def _methods(servicer: AutoOptimizer) -> "dict[str, grpc.RpcMethodHandler[Any, Any]]":
    """A handler for each method of the proto, as the generated code has it, but for answers that are bytes already."""
    found = {}
    for method in pb.DESCRIPTOR.services_by_name["AutoOptimizerService"].methods:
        make = grpc.unary_stream_rpc_method_handler if method.server_streaming else grpc.unary_unary_rpc_method_handler
        read = GetMessageClass(method.input_type).FromString
        found[method.name] = make(getattr(servicer, method.name), request_deserializer=read, response_serializer=_bytes)
    return found


def _bytes(answer: Any) -> bytes:
    whole: bytes = answer if isinstance(answer, bytes) else answer.SerializeToString()
    return whole


def _credentials(api: Api) -> grpc.ServerCredentials:
    pair = (Path(api.tls_keyfile).read_bytes(), Path(api.tls_certfile).read_bytes())
    clients = Path(api.tls_client_cafile).read_bytes() if api.tls_client_cafile else None
    return grpc.ssl_server_credentials([pair], clients, require_client_auth=clients is not None)
