"""A client of its own making: descriptors come from reflection, not from our stubs, so it is as foreign as can be."""

import asyncio
from contextlib import asynccontextmanager
from typing import Any

import grpc
import msgspec
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.json_format import MessageToDict, ParseDict
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from app.adapters.codec.encode import encode_output
from app.adapters.readmodel.sqlite import SqliteStore
from app.api.auth import Authenticator
from app.api.rpc.server import NAME, RpcServer
from app.core.assign import assign
from app.core.change import split_output
from app.core.ids import receipt_of
from tests.adapters.readmodel.worlds import records, seen
from tests.api.harness import keys_file, parts_over, world


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    made = world(tmp_path_factory.mktemp("rpc"))
    yield made
    made.store.close()


class Foreign:
    """Calls methods by name with plain dictionaries."""

    def __init__(self, channel: Any, pool: Any) -> None:
        self._channel, self._service = channel, pool.FindServiceByName(NAME)

    def call(self, method: str, request: dict[str, Any], key: str = "", *, stream: bool = False) -> Any:
        described = self._service.methods_by_name[method]
        asked, answered = map(message_factory.GetMessageClass, (described.input_type, described.output_type))
        kind = self._channel.unary_stream if stream else self._channel.unary_unary
        made = kind(
            f"/{NAME}/{method}", request_serializer=asked.SerializeToString, response_deserializer=answered.FromString
        )
        return made(ParseDict(request, asked()), metadata=(("x-api-key", key),) if key else (), timeout=5)

    async def ask(self, method: str, request: dict[str, Any], key: str = "") -> dict[str, Any]:
        found: dict[str, Any] = MessageToDict(await self.call(method, request, key), preserving_proto_field_name=True)
        return found


async def discovered(channel: Any) -> Any:
    """The descriptors the server tells of itself."""
    pool = descriptor_pool.DescriptorPool()
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    files: dict[str, Any] = {}
    wanted = [reflection_pb2.ServerReflectionRequest(file_containing_symbol=NAME)]
    while wanted:
        async for answer in stub.ServerReflectionInfo(iter(wanted)):
            for raw in answer.file_descriptor_response.file_descriptor_proto:
                one = descriptor_pb2.FileDescriptorProto.FromString(raw)
                files[one.name] = one
        missing = {name for one in files.values() for name in one.dependency} - set(files)
        wanted = [reflection_pb2.ServerReflectionRequest(file_by_filename=name) for name in missing]

    def add(name: str) -> None:
        if name in files:
            one = files.pop(name)
            for needed in one.dependency:
                add(needed)
            pool.Add(one)

    for name in list(files):
        add(name)
    return pool


@asynccontextmanager
async def rpc(model: Any, **settings: Any):
    parts = parts_over(model, **settings)
    server = RpcServer(parts, Authenticator(parts.settings.api))
    port = await server.start("127.0.0.1", 0)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Foreign(channel, await discovered(channel)), parts, channel
        await server.stop()


async def test_each_method_answers_a_foreign_client(model):
    async with rpc(model) as (client, parts, _):
        split = model.split("chat")
        found = await client.ask("SelectModel", {
            "request_id": "r1", "service": "chat", "constraints": {"max_latency_ms": 1},
            "requirements": {"required_features": ["json"]}})  # fmt: skip
        drawn = assign(split, "r1")
        assert (found["arm"], found["slice"], int(found["version"])) == (drawn.arm, drawn.slice, split.version)
        receipt = receipt_of(found["receipt"])
        assert receipt is not None and receipt.arm == drawn.arm
        assert found["not_considered"] == ["requirements.required_features"]
        assert "max_latency_ms" in found["selection_rationale"]
        told = await client.ask("GetStrategy", {"request_id": "r2", "context": {"application_id": "chat"}})
        assert told["request_id"] == "r2"
        assert {one["service"] for one in told["recommendations"]} == {"chat"}
        variants = [{"variant_id": "tiny", "configuration": {"model": "m", "parameters": {"max_tokens": 512}}}]
        made = await client.ask(
            "CreateExperiment", {"service": "chat", "name": "t", "experiment_id": "x", "variants": variants}
        )
        assert (made["status"], made["arms_added"]) == ("created", ["tiny"])
        (command, _, _), (start, _, _) = parts.orders._log.sent
        assert (start.command, start.args.arms) == ("experiment.start", ("tiny",))
        assert command.args.document.arms[-1].parameters == {"max_tokens": 512}
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await client.ask("OptimizePrompt", {"prompt": "x"})
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert "arm" in str(refused.value.details())


async def test_an_answer_without_limits_has_the_fields_of_one_with_them(tmp_path):
    """Kept bytes and bytes of the request are one message, the same that is made whole; also after a refresh."""
    model = world(tmp_path)
    async with rpc(model) as (client, parts, _):
        given, kept = {"service": "chat", "tenant": "t"}, {"version": "0"}
        for n in range(40):
            given = {**given, "request_id": f"r{n}"}
            kept = await client.ask("SelectModel", given)
            whole = await client.ask("SelectModel", {**given, "constraints": {"max_latency_ms": 10**9}})
            assert kept == whole
            parts.selector.refresh()
        before = kept["version"]
        held = model.split("chat")
        assert held is not None
        split = msgspec.structs.replace(held, version=int(before) + 1)
        record = encode_output(split_output(split, 1_700_100_000))
        model.store.take([seen("splits", 5_000, record.value or b"", record.headers)])
        assert (await client.ask("SelectModel", given))["version"] == before
        parts.selector.refresh()
        assert int((await client.ask("SelectModel", given))["version"]) == int(before) + 1
    model.store.close()


async def test_a_stream_goes_on_after_the_event_it_is_told_and_gets_what_comes(tmp_path):
    from app.adapters.readmodel.model import Model
    from tests.adapters.readmodel.worlds import ABOUT, ROLES

    given = [r for r in records() if r.topic == "llm.optimizations"]
    store = SqliteStore(tmp_path / "m.sqlite", ROLES, ABOUT)
    store.take(given[:3])
    async with rpc(Model(store)) as (client, _, _):
        stream = client.call("StreamOptimizations", {"service": "chat", "after_event_id": given[0].id}, stream=True)
        found = [await stream.read(), await stream.read()]
        store.take(given[3:5])
        found += [await stream.read(), await stream.read()]
        assert [one.event_id for one in found] == [r.id for r in given[1:5]]
        assert found[0].data["decision_id"] == found[0].decision_id
        stream.cancel()
    store.close()


async def test_rights_rates_and_wrong_requests_have_their_statuses(model, tmp_path):
    path, keys = keys_file(tmp_path, {"viewer": ("viewer:chat",), "other": ("admin:other",), "admin": ("admin",)})
    code = grpc.StatusCode
    async with rpc(model, auth="required", keys_file=str(path), rate_burst=20, rate_per_s=0.1) as (client, parts, _):
        experiment = {"service": "chat", "name": "n", "variants": [{"variant_id": "small"}]}
        for method, request, key, status in (
            ("SelectModel", {"service": "chat"}, "", code.UNAUTHENTICATED),
            ("SelectModel", {"service": "chat"}, "llmopt_wrong", code.UNAUTHENTICATED),
            ("SelectModel", {"service": "chat"}, keys["other"], code.PERMISSION_DENIED),
            ("SelectModel", {"service": "nobody"}, keys["admin"], code.NOT_FOUND),
            ("CreateExperiment", experiment, keys["viewer"], code.PERMISSION_DENIED),
            ("CreateExperiment", {**experiment, "name": ""}, keys["admin"], code.INVALID_ARGUMENT),
            ("CreateExperiment", {**experiment, "duration_hours": 3}, keys["admin"], code.FAILED_PRECONDITION),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await client.ask(method, request, key)
            assert refused.value.code() is status, (method, request)
        assert (await client.ask("GetStrategy", {}, keys["other"])).get("recommendations", []) == []
        assert (await client.ask("SelectModel", {"service": "chat"}, keys["viewer"]))["service"] == "chat"
        asked = (client.ask("SelectModel", {"service": "chat"}, keys["viewer"]) for _ in range(25))
        answers = await asyncio.gather(*asked, return_exceptions=True)
        refusals = [answer for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
        assert {refusal.code() for refusal in refusals} == {code.RESOURCE_EXHAUSTED}
        assert parts.orders._log.sent == []


async def test_health_says_serving(model):
    async with rpc(model) as (_, _, channel):
        answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=NAME))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_a_taken_port_is_an_error_that_names_it(model):
    parts = parts_over(model)
    first = RpcServer(parts, Authenticator(parts.settings.api))
    port = await first.start("127.0.0.1", 0)
    with pytest.raises(OSError, match=str(port)):
        await RpcServer(parts, Authenticator(parts.settings.api)).start("127.0.0.1", port)
    await first.stop()
    await asyncio.sleep(0)


def test_the_fields_of_the_platform_keep_their_numbers():
    from app.adapters.proto import auto_optimizer_pb2 as pb

    request = {f.name: f.number for f in pb.SelectModelRequest.DESCRIPTOR.fields}
    assert {n: k for n, k in request.items() if k < 10} == {
        "request_id": 1, "requirements": 2, "constraints": 3, "preferences": 4, "context": 5,
    }  # fmt: skip
