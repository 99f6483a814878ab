"""Attacks: each is refused with the right status, nothing reaches the log of commands, and the audit log names it."""

import asyncio
import base64
import json
import logging
import socket
import ssl
import time
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from app.api.identity import RIGHTS, ROLES
from app.api.keys import KeyRing, KeysError, parse_keys
from app.api.limits import Buckets
from app.api.route import PREFIX, depth
from app.api.routes import ROUTES
from app.settings import SettingsError, load
from tests.api.harness import AUDIENCE, ISSUER, Issuer, api, keys_file, world

ALL_ROLES: dict[str, tuple[str, ...]] = {role: (role,) for role in ROLES}
NAMED = {"chat-viewer": ("viewer:chat",), "other-admin": ("admin:other",), "nothing": ()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("security")


@pytest.fixture(scope="module")
def model(folder):
    made = world(folder)
    yield made
    made.store.close()


@pytest.fixture(scope="module")
def guarded(folder):
    path, secrets = keys_file(folder, {**ALL_ROLES, **NAMED})
    return {"auth": "required", "keys_file": str(path)}, secrets


@pytest.fixture(scope="module")
def issuer(folder):
    made = Issuer()
    (folder / "jwks.json").write_bytes(made.jwks())
    return made


@pytest.fixture
def tokens(folder, issuer):
    return {
        "auth": "required",
        "jwks": str(folder / "jwks.json"),
        "jwt_issuer": ISSUER,
        "jwt_audience": AUDIENCE,
    }


def bearer(token):
    return {"headers": {"Authorization": f"Bearer {token}"}}


EXAMPLES = {
    "service": "chat", "experiment_id": "x", "decision_id": "x", "trial_id": "x", "command_id": "x",
}  # fmt: skip
BODIES = {
    "/commands": {"service": "chat", "command": "pause"},
    "/experiments": {"service": "chat", "name": "n", "variants": [{"variant_id": "small"}]},
    "/services/{service}/document": {"document": {"arms": [{"name": "big"}, {"name": "small"}]}},
    "/services/{service}/document/diff": {"document": {"arms": [{"name": "big"}, {"name": "small"}]}},
    "/optimize/model-selection": {"service": "chat"},
    "/optimize/prompt": {"prompt": "x", "optimization_type": "compression"},
    "/events": [],
    "/optimization/strategies": {"service": "chat", "strategy_id": "hybrid"},
}
NEEDS = {"/commands": "operate", "/decisions/{decision_id}/approve": "read", "/experiments": "administer"}
CLOSED = [route for route in ROUTES if route.right is not None]


async def test_every_role_may_do_what_it_may_on_every_route_and_nothing_else(model, guarded):
    settings, secrets = guarded
    async with api(model, **settings) as running:
        for route in CLOSED:
            if route.follows:  # it never ends; test_stream.py has its roles
                continue
            path = PREFIX + route.path.format(**EXAMPLES)
            path += '?context={"a":1}' if route.path == "/strategies" else ""
            for role in ROLES:
                body = {"json": BODIES.get(route.path, {})} if route.body is not None else {}
                status, answer, _ = await running.ask(route.method, path, secrets[role], **body)
                right = "read" if route.method == "GET" else NEEDS.get(route.path, route.right)
                allowed = (
                    right in RIGHTS[role]
                    if route.path != "/commands" or route.method == "GET"
                    else "operate" in RIGHTS[role]
                )
                assert (status == 403) == (not allowed), (route.method, route.path, role, status, answer)


async def test_nobody_comes_in_without_credentials(model, guarded, caplog):
    settings, _ = guarded
    async with api(model, **settings) as running:
        for route in CLOSED:
            status, body, headers = await running.ask(route.method, PREFIX + route.path.format(**EXAMPLES))
            assert (status, body["error"]) == (401, "unauthenticated"), route.path
            assert headers["WWW-Authenticate"].startswith("Bearer")
        assert running.log.sent == []
    assert len([r for r in caplog.records if r.name == "audit"]) == len(CLOSED)


async def test_a_role_for_one_service_sees_and_orders_nothing_of_another(model, guarded):
    settings, secrets = guarded
    async with api(model, **settings) as running:
        viewer, other = secrets["chat-viewer"], secrets["other-admin"]
        assert (await running.get("/services/chat", viewer))[0] == 200
        for path in ("/services/chat", "/services/chat/split", "/services/chat/aggregates.csv"):
            assert (await running.get(path, other))[0] == 403
        assert (await running.get("/services", other))[1] == {"services": []}
        assert (await running.get("/decisions", other))[1]["decisions"] == []
        _, known, _ = await running.get("/decisions?limit=1", viewer)
        decision = known["decisions"][0]["decision_id"]
        assert (await running.get(f"/decisions/{decision}", other))[0] == 404
        assert (await running.post(f"/decisions/{decision}/approve", {}, other))[0] == 404
        assert (await running.post("/commands", {"service": "chat", "command": "pause"}, other))[0] == 403
        assert (await running.post("/commands", {"service": "*", "command": "freeze"}, other))[0] == 403
        assert (await running.get("/services", secrets["nothing"]))[0] == 403
        assert running.log.sent == []


async def test_each_order_needs_its_role(model, guarded):
    settings, secrets = guarded
    async with api(model, **settings) as running:
        for role, order, status in (
            ("operator", {"command": "approve", "args": {"decision_id": "d"}}, 403),
            ("approver", {"command": "approve", "args": {"decision_id": "d"}}, 202),
            ("approver", {"command": "pause"}, 403),
            ("operator", {"command": "set-mode", "args": {"mode": "auto"}}, 403),
            ("admin", {"command": "set-mode", "args": {"mode": "auto"}}, 202),
        ):
            assert (await running.post("/commands", {"service": "chat", **order}, secrets[role]))[0] == status, (
                role,
                order,
            )
        assert [command.actor for command, _, _ in running.log.sent] == ["key:approver", "key:admin"]


async def test_an_idempotency_key_that_is_sent_again_with_another_body_is_refused_and_named(model, guarded, caplog):
    settings, secrets = guarded
    async with api(model, **settings) as running:
        key = {"Idempotency-Key": "recorded"}
        order = {"service": "chat", "command": "pause"}
        assert (await running.post("/commands", order, secrets["operator"], headers=key))[0] == 202
        again = await running.post("/commands", order, secrets["operator"], headers=key)
        assert (again[0], again[1]["replayed"], len(running.log.sent)) == (202, True, 1)
        status, body, _ = await running.post(
            "/commands", {**order, "command": "resume"}, secrets["operator"], headers=key
        )
        assert (status, body["error"], len(running.log.sent)) == (422, "idempotency_key_reused", 1)
    (said,) = [r.getMessage() for r in caplog.records if r.name == "audit"]
    assert "key:operator" in said and "idempotency_key_reused" in said and "recorded" not in said


async def test_an_idempotency_key_of_one_caller_says_nothing_to_another(model, guarded):
    settings, secrets = guarded
    async with api(model, **settings) as running:
        order, key = {"service": "chat", "command": "pause"}, {"Idempotency-Key": "same"}
        first = await running.post("/commands", order, secrets["operator"], headers=key)
        second = await running.post("/commands", order, secrets["admin"], headers=key)
        assert first[1]["id"] != second[1]["id"]
        assert len(running.log.sent) == 2


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
async def test_a_token_of_the_issuer_is_let_in(model, tokens, issuer, algorithm):
    async with api(model, **tokens) as running:
        token = issuer.token(time.time(), algorithm, roles=["operator:chat", "something-else"])
        status, body, _ = await running.post("/commands", {"service": "chat", "command": "pause"}, **bearer(token))
        assert (status, body["actor"]) == (202, "jwt:ana")
        assert running.log.sent[0][2] == {"authtype": "user", "authid": "jwt:ana"}


async def test_tokens_that_are_wrong_in_one_thing_are_refused(model, tokens, issuer, caplog):
    now = time.time()
    good = issuer.token(now)
    head, claims, signature = good.split(".")
    public = (
        issuer.private["RS256"]
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    none = base64.urlsafe_b64encode(b'{"alg":"none","kid":"RS256"}').rstrip(b"=").decode()
    hmac = _forged_hmac(public, json.loads(base64.urlsafe_b64decode(claims + "==")))
    attacks = {
        "expired": issuer.token(now, exp=now - 60),
        "not yet": issuer.token(now, nbf=now + 300),
        "audience": issuer.token(now, aud="another"),
        "issuer": issuer.token(now, iss="https://evil.test"),
        "no end": issuer.token(now, exp=None),
        "no subject": issuer.token(now, sub=None),
        "no audience": issuer.token(now, aud=None),
        "alg none": f"{none}.{claims}.",
        "public key as secret": hmac,
        "another key": Issuer().token(now),
        "kid of another kind": jwt.encode({"sub": "x"}, issuer.private["ES256"], "ES256", headers={"kid": "RS256"}),
        "unknown kid": jwt.encode({"sub": "x"}, issuer.private["ES256"], "ES256", headers={"kid": "../../etc/passwd"}),
        "changed": f"{head}.{claims[:-4]}AAAA.{signature}",
        "unsigned": f"{head}.{claims}.",
        "garbage": "a.b.c",
        "long": "x" * 7_000,
    }
    caplog.set_level(logging.DEBUG)
    async with api(model, **tokens) as running:
        for name, token in attacks.items():
            status, body, _ = await running.get("/services", **bearer(token))
            assert (status, body["error"]) == (401, "unauthenticated"), name
            assert token[:40] not in json.dumps(body)
        assert (await running.get("/services", **bearer(good)))[0] == 200
    assert len([r for r in caplog.records if r.name == "audit"]) == len(attacks)
    assert all(token[20:60] not in caplog.text for token in attacks.values() if len(token) > 60)


def _forged_hmac(public: bytes, claims: dict[str, object]) -> str:
    """A token signed with the public key as if it were a shared secret; pyjwt itself refuses to make one."""
    import hashlib
    import hmac

    def part(raw):
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    header = b'{"alg":"HS256","kid":"RS256"}'
    text = f"{part(header)}.{part(json.dumps(claims).encode())}"
    return f"{text}.{part(hmac.new(public, text.encode(), hashlib.sha256).digest())}"


async def test_clocks_may_differ_by_the_skew(model, tokens, issuer):
    now = time.time()
    async with api(model, **tokens) as running:
        assert (await running.get("/services", **bearer(issuer.token(now, exp=now - 10))))[0] == 200


async def test_a_key_can_be_replaced_while_the_old_one_still_works(tmp_path):
    path, old = keys_file(tmp_path, {"ci": ("viewer",)})
    ring, now = KeyRing(path), time.time()
    (tmp_path / "new").mkdir()
    next_path, new = keys_file(tmp_path / "new", {"ci": ("viewer",)})
    both = path.read_text() + next_path.read_text()
    path.write_text(both)
    found = [ring.find(secret, now) for secret in (old["ci"], new["ci"])]
    assert [one.name for one in found if one] == ["key:ci", "key:ci"]
    path.write_text(both.replace("roles", "expires = 2020-01-01T00:00:00Z\nroles", 1))
    assert ring.find(old["ci"], now) is None
    assert ring.find(new["ci"], now) is not None
    path.write_text("broken [")
    assert ring.find(new["ci"], now) is not None


async def test_a_wrong_or_expired_key_is_refused(model, guarded):
    settings, secrets = guarded
    async with api(model, **settings) as running:
        swapped = secrets["admin"][:-3] + "AAA"
        for key in (swapped, "llmopt_", "x", secrets["admin"] + "x"):
            assert (await running.get("/services", key))[0] in {400, 401}
        basic = {"headers": {"Authorization": "Basic YTpi"}}
        assert (await running.get("/services", **basic))[0] == 401


@pytest.mark.parametrize(
    "text",
    ['[[keys]]\nid="a"\nsha256="00"\nroles=["viewer"]', '[[keys]]\nid="a"\nsha256="zz"\nroles=[]', "[[keys]]\nid=1",
     f'[[keys]]\nid="a"\nsha256="{"0" * 64}"\nroles=["root"]'],
)  # fmt: skip
def test_a_file_of_keys_that_is_wrong_is_refused_with_the_place(text):
    with pytest.raises(KeysError, match=r"keys\.toml"):
        parse_keys(text, "keys.toml")


async def test_paths_lead_nowhere_else(model, guarded, caplog):
    settings, secrets = guarded
    async with api(model, **settings) as running:
        for path in (
            "/api/v1/../../etc/passwd", "/api/v1/services/..%2f..%2fetc%2fpasswd", "/api/v1/services/%00",
            "/api/v1//services", "/docs/../keys.toml", "/api/v1/services/chat%2Fdocument", "/%2e%2e/%2e%2e/etc/passwd",
            "/api/v1/services/%2e%2e%5cwin.ini", "/api/v1/decisions/' OR 1=1 --",
        ):  # fmt: skip
            caplog.clear()
            raw = await _raw(
                running.url,
                f"GET {path.replace(' ', '%20')} HTTP/1.1\r\nHost: x\r\nX-API-Key: {secrets['admin']}\r\n\r\n",
            )
            assert raw.split(b" ")[1] in {b"400", b"404"}, path
            assert b"root:" not in raw
            said = [r.getMessage() for r in caplog.records if r.name == "audit"]
            assert "OR 1=1" in path or ((len(said) == 1 and "by key:admin" in said[0]) or "by nobody" in said[0]), path


async def test_bodies_that_are_too_large_too_deep_or_no_json_are_refused(model, caplog):
    async with api(model, max_body_bytes=2048) as running:
        json_type = {"Content-Type": "application/json"}

        async def post(data, headers=json_type):
            return (await running.ask("POST", "/api/v1/commands", data=data, headers=headers))[0]

        assert await post(b'{"reason":"' + b"x" * 4096 + b'"}') == 413
        assert await post(b"[" * 1000) == 400
        assert await post(b"not json") == 400
        assert await post(b"\xff\xfe") == 400
        assert await post(b"") == 400
        assert await post(b'{"service":"chat","command":"pause","surprise":1}') == 400
        assert await post(b"{}", {"Content-Type": "text/xml"}) == 415
        assert running.log.sent == []

        async def endless():
            for _ in range(100):
                yield b"x" * 1000

        assert await post(endless()) == 413
        said = [r.getMessage() for r in caplog.records if r.name == "audit"]
        assert len([line for line in said if "413 too_large" in line]) == 2


async def test_a_slow_body_and_a_slow_header_are_cut_off(model, caplog):
    async with api(model, request_timeout_s=0.3) as running:
        slow = "POST /api/v1/commands HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
        assert b" 408 " in await _raw(running.url, slow)
        assert await _raw(running.url, "GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: ") == b""
        assert await _raw(running.url, "") == b""
        assert running.server.guards.slow >= 2
        said = [r.getMessage() for r in caplog.records if r.name == "audit"]
        assert len(said) == 2, said  # a connection that says nothing is not worth a line
        assert "408 too_slow" in said[0]
        assert "too slow" in said[1]


async def test_more_connections_than_allowed_are_closed_at_once(model):
    async with api(model, max_connections=2) as running:
        host, port = running.url.removeprefix("http://").split(":")
        held = [await asyncio.open_connection(host, int(port)) for _ in range(2)]
        assert await _raw(running.url, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n") == b""
        assert running.server.guards.refused == 1
        for _, writer in held:
            writer.close()
            await writer.wait_closed()


async def test_a_caller_who_asks_too_often_waits_and_the_others_do_not(model, guarded):
    settings, secrets = guarded
    async with api(model, rate_per_s=0.5, rate_burst=3, **settings) as running:
        asked = [await running.get("/services", secrets["viewer"]) for _ in range(4)]
        assert [status for status, _, _ in asked] == [200, 200, 200, 429]
        _, body, headers = asked[-1]
        assert body["retry_after_seconds"] == int(headers["Retry-After"]) >= 1
        assert (await running.get("/services", secrets["admin"]))[0] == 200


async def test_guessing_keys_is_slowed_down(model, guarded):
    settings, _ = guarded
    async with api(model, rate_per_s=0.5, rate_burst=3, **settings) as running:
        assert [(await running.get("/services", "llmopt_x"))[0] for _ in range(5)] == [401, 401, 401, 429, 429]


def test_a_bucket_fills_again_and_callers_are_bounded(monkeypatch):
    buckets = Buckets(2.0, 1)
    assert buckets.take("a", 0.0) == 0.0
    assert buckets.take("a", 0.0) == pytest.approx(0.5)
    assert buckets.take("a", 0.5) == 0.0
    monkeypatch.setattr("app.api.limits.MAX_CALLERS", 3)
    for name in "bcdef":
        buckets.take(name, 1.0)
    assert len(buckets._filled) == 3


def test_the_depth_of_json_ignores_brackets_in_texts():
    assert depth(b'{"a": "[[[[", "b": [{"c": "\\"]"}]}') == 3


async def test_answers_say_what_a_browser_must_not_do(model):
    async with api(model) as running:
        _, _, headers = await running.ask("GET", "/docs")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        ({"api.host": "192.0.2.1"}, "api.auth"),
        ({"api.auth": "required"}, "api.keys_file"),
        ({"api.jwks": "keys.json"}, "api.jwt_audience"),
        ({"api.tls_certfile": "a.pem"}, "api.tls_keyfile"),
        ({"api.tls_client_cafile": "a.pem"}, "api.tls_certfile"),
    ],
)
def test_settings_that_would_leave_the_door_open_are_refused(flags, word):
    with pytest.raises(SettingsError, match=word.replace(".", r"\.")):
        load(flags=flags)


async def test_with_an_authority_only_its_clients_get_through_tls(model, tmp_path):
    server, client = _certificates(tmp_path)
    tls: dict[str, Any] = {
        "tls_certfile": str(server), "tls_keyfile": str(server), "tls_client_cafile": str(tmp_path / "ca.pem"),
    }  # fmt: skip
    async with api(model, **tls) as running:
        trusting = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
        trusting.check_hostname = False
        with pytest.raises((OSError, aiohttp.ClientError)):
            await running.ask("GET", "/health", ssl=trusting)
        trusting.load_cert_chain(client)
        assert (await running.ask("GET", "/health", ssl=trusting))[0] == 200


async def _raw(url: str, text: str) -> bytes:
    """What comes back for these bytes, until the server closes or says a whole answer."""
    host, port = url.removeprefix("http://").split(":")
    try:
        reader, writer = await asyncio.open_connection(host, int(port), family=socket.AF_INET)
        writer.write(text.encode())
        answer = await asyncio.wait_for(reader.read(4096), 5)
        writer.close()
        return answer
    except ConnectionError:
        return b""


def _certificates(folder: Path) -> tuple[Path, Path]:
    """A server's and a client's key and certificate, in one file each, of one authority (ca.pem)."""
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    authority = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "authority")])
    now = datetime.now(UTC)

    def made(name: x509.Name, key: ec.EllipticCurvePrivateKey, *, ca: bool) -> bytes:
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(issuer).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
        builder = builder.not_valid_after(now + timedelta(days=1))
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        return builder.sign(authority, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    (folder / "ca.pem").write_bytes(made(issuer, authority, ca=True))
    paths = []
    for name in ("server", "client"):
        key = ec.generate_private_key(ec.SECP256R1())
        raw = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        path = folder / f"{name}.pem"
        path.write_bytes(raw + made(subject, key, ca=False))
        paths.append(path)
    return paths[0], paths[1]
