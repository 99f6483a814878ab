"""The registry client and its twin in memory: one set of rules, asked of both."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import pytest

from app.adapters.codec.registry import HttpRegistry, IncompatibleError, MemoryRegistry, Registry, RegistryDownError

V1 = json.dumps({"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}]})
V2 = json.dumps(
    {
        "type": "record",
        "name": "R",
        "fields": [{"name": "a", "type": "int"}, {"name": "b", "type": "int", "default": 0}],
    }
)
BREAKING = json.dumps({"type": "record", "name": "R", "fields": [{"name": "a", "type": "string"}]})


class Confluent(BaseHTTPRequestHandler):
    """The part of Confluent's interface that is used, over a registry in memory."""

    memory = MemoryRegistry()
    asked: list[tuple[str, str, str | None]] = []
    broken = 0

    def do_GET(self) -> None:
        self._serve("GET")

    def do_PUT(self) -> None:
        self._serve("PUT")

    def do_POST(self) -> None:
        self._serve("POST")

    def _serve(self, method: str) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or "null")
        Confluent.asked.append((method, self.path, self.headers["authorization"]))
        if Confluent.broken:
            Confluent.broken -= 1
            self._say(503, {"message": "later"})
            return
        status, answer = self._answer(method, [unquote(part) for part in self.path.split("/")[1:]], body)
        self._say(status, answer)

    def _answer(self, method: str, parts: list[str], body: Any) -> tuple[int, Any]:
        memory = Confluent.memory
        match method, parts:
            case "GET", ["schemas", "ids", identity]:
                schema = memory.schema(int(identity))
                return (200, {"schema": schema}) if schema else (404, {"error_code": 40403})
            case "GET", ["subjects", subject, "versions"]:
                known = memory.known(subject)
                return (200, list(range(1, len(known) + 1))) if known else (404, {"error_code": 40401})
            case "GET", ["subjects", subject, "versions", version]:
                number, text = list(memory.known(subject).items())[int(version) - 1]
                return 200, {"id": number, "version": int(version), "schema": text}
            case "GET", ["config", _]:
                return 404, {"error_code": 40408}
            case "PUT", ["config", _]:
                return 200, body
            case "POST", ["subjects", subject, "versions"]:
                try:
                    return 200, {"id": memory.register(subject, body["schema"])}
                except IncompatibleError as error:
                    return 409, {"error_code": 409, "message": str(error)}
        return 404, {}

    def _say(self, status: int, answer: Any) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    Confluent.memory, Confluent.asked, Confluent.broken = MemoryRegistry(), [], 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), Confluent)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(params=["memory", "http"])
def registry(request: pytest.FixtureRequest) -> Registry:
    return MemoryRegistry() if request.param == "memory" else HttpRegistry(request.getfixturevalue("server"))


def test_a_registered_schema_is_found_by_its_id_and_by_its_subject(registry):
    identity = registry.register("llm/aggregates-value", V1)
    assert json.loads(registry.schema(identity)) == json.loads(V1)
    assert list(registry.known("llm/aggregates-value")) == [identity]


def test_registering_again_changes_nothing(registry):
    assert registry.register("s", V1) == registry.register("s", V1)
    assert len(registry.known("s")) == 1


def test_one_schema_has_one_id_under_two_subjects(registry):
    assert registry.register("s", V1) == registry.register("t", V1)


def test_a_compatible_version_is_added(registry):
    ids = [registry.register("s", V1), registry.register("s", V2)]
    assert list(registry.known("s")) == ids
    assert ids[0] != ids[1]


def test_an_incompatible_version_is_refused(registry):
    registry.register("s", V1)
    with pytest.raises(IncompatibleError, match="was int, now string"):
        registry.register("s", BREAKING)


def test_what_nobody_registered_is_unknown(registry):
    assert registry.schema(4711) is None
    assert registry.known("nothing") == {}


def test_a_registry_in_memory_can_be_down():
    registry = MemoryRegistry()
    registry.down = True
    for ask in (lambda: registry.schema(1), lambda: registry.known("s"), lambda: registry.register("s", V1)):
        with pytest.raises(RegistryDownError):
            ask()


def test_a_registry_that_nobody_runs_is_down_and_named():
    registry = HttpRegistry("http://127.0.0.1:9", timeout_s=0.5)
    with pytest.raises(RegistryDownError, match=r"http://127.0.0.1:9 gives no answer to GET /schemas/ids/1"):
        registry.schema(1)


def test_one_failed_answer_is_asked_for_again_and_two_are_down(server):
    registry = HttpRegistry(server)
    Confluent.broken = 1
    assert registry.schema(1) is None
    Confluent.broken = 2
    with pytest.raises(RegistryDownError, match="503"):
        registry.schema(1)


def test_the_user_is_shown_to_the_registry(server):
    HttpRegistry(server, username="ada", password="secret").schema(1)
    assert Confluent.asked[-1] == ("GET", "/schemas/ids/1", "Basic YWRhOnNlY3JldA==")


def test_something_else_at_the_address_is_no_registry(server, monkeypatch):
    monkeypatch.setattr(Confluent, "_answer", lambda *_: (200, {"hello": "world"}))
    with pytest.raises(RegistryDownError, match="no schema registry"):
        HttpRegistry(server).schema(1)
    with pytest.raises(RegistryDownError, match="no schema registry"):
        HttpRegistry(server).register("s", V1)


def test_a_rule_that_is_there_is_left_alone(server, monkeypatch):
    plain = Confluent._answer
    full = (200, {"compatibilityLevel": "FULL"})
    monkeypatch.setattr(Confluent, "_answer", lambda *a: full if a[1] == "GET" and a[2][0] == "config" else plain(*a))
    HttpRegistry(server).register("s", V1)
    assert [method for method, _, _ in Confluent.asked] == ["GET", "POST"]
