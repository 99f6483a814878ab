"""The key set of a real issuer, over https with an authority of its own: rotation, outages, and who is believed."""

import ssl
import time
from contextlib import asynccontextmanager

import jwt
import pytest
from aiohttp import web

from app.api import keyset
from tests.api.authority import Authority
from tests.api.harness import AUDIENCE, ISSUER, Issuer, api, world


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    made = world(tmp_path_factory.mktemp("issuer"))
    yield made
    made.store.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    made = Authority(tmp_path_factory.mktemp("ca"))
    made.pair("issuer")
    return made


class Site:
    """What the issuer answers, and how often it was asked."""

    def __init__(self) -> None:
        self.issuer, self.asked, self.status, self.body = Issuer("a-"), 0, 200, b""

    async def answer(self, _: web.Request) -> web.Response:
        self.asked += 1
        headers = {"Location": "/elsewhere"} if self.status == 302 else {}
        return web.Response(body=self.body or self.issuer.jwks(), status=self.status, headers=headers)


@asynccontextmanager
async def issuing(authority):
    site, context = Site(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.folder / "issuer.pem")
    application = web.Application()
    application.router.add_get("/jwks", site.answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    listening = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await listening.start()
    port = runner.addresses[0][1]
    said = {"auth": "required", "jwks": f"https://localhost:{port}/jwks", "jwt_issuer": ISSUER}
    try:
        yield site, {**said, "jwt_audience": AUDIENCE, "jwks_cafile": str(authority.cafile)}
    finally:
        await runner.cleanup()


async def status(running, token):
    return (await running.get("/services", headers={"Authorization": f"Bearer {token}"}))[0]


async def test_keys_rotate_and_the_old_ones_stop(model, authority, monkeypatch):
    monkeypatch.setattr(keyset, "PAUSE_S", 1e9)
    async with issuing(authority) as (site, settings), api(model, **settings) as running:
        old = site.issuer.token(time.time())
        assert [await status(running, old) for _ in range(3)] == [200] * 3
        assert site.asked == 1
        new = site.issuer = Issuer("b-")
        assert await status(running, new.token(time.time())) == 401  # somebody asked just now
        monkeypatch.setattr(keyset, "PAUSE_S", 0.0)
        assert await status(running, new.token(time.time())) == 200
        assert await status(running, old) == 401


async def test_unknown_keys_do_not_make_a_flood_of_questions(model, authority, caplog, monkeypatch):
    monkeypatch.setattr(keyset, "PAUSE_S", 1e9)
    forged = Issuer()
    async with issuing(authority) as (site, settings), api(model, **settings) as running:
        assert await status(running, site.issuer.token(time.time())) == 200
        for n in range(30):
            forged.name = f"{n}-"
            assert await status(running, forged.token(time.time(), "ES256")) == 401
        assert site.asked == 1
        assert len([r for r in caplog.records if r.name == "audit"]) == 30


async def test_wrong_algorithm_time_and_kid_are_refused_and_the_skew_is_not(model, authority):
    async with issuing(authority) as (site, settings), api(model, **settings) as running:
        now, issuer = time.time(), site.issuer
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ana", "exp": now + 60, "roles": ["viewer"]}
        wrong = {
            "algorithm": jwt.encode(claims, "s" * 32, "HS256", headers={"kid": "a-RS256"}),
            "stronger than its key": jwt.encode(claims, issuer.private["RS256"], "RS512", headers={"kid": "a-RS256"}),
            "key of another": jwt.encode(claims, issuer.private["ES256"], "ES256", headers={"kid": "a-RS256"}),
            "no kid": jwt.encode(claims, issuer.private["ES256"], "ES256"),
            "expired": issuer.token(now, exp=now - 31),
            "not yet": issuer.token(now, nbf=now + 90),
        }
        for name, token in wrong.items():
            assert await status(running, token) == 401, name
        for token in (issuer.token(now, exp=now - 20), issuer.token(now, nbf=now + 20)):
            assert await status(running, token) == 200


async def test_known_keys_outlive_an_outage_and_a_broken_answer_changes_nothing(model, authority, monkeypatch):
    monkeypatch.setattr(keyset, "PAUSE_S", 0.0)
    async with issuing(authority) as (site, settings), api(model, **settings) as running:
        assert await status(running, site.issuer.token(time.time())) == 200
        monkeypatch.setattr(keyset, "FRESH_S", 0.0)
        for site.status, site.body in ((500, b""), (302, b""), (200, b"{}"), (200, b"[" * 99), (200, b"x" * (2 << 20))):
            assert await status(running, site.issuer.token(time.time())) == 200
        assert site.asked > 5
        monkeypatch.setattr(keyset, "STALE_S", 0.0)
        assert await status(running, site.issuer.token(time.time())) == 401


async def test_an_issuer_without_a_trusted_certificate_is_not_believed(model, authority, tmp_path):
    other = Authority(tmp_path, "somebody else")
    async with issuing(authority) as (site, settings):
        for cafile in ("", str(other.cafile)):
            async with api(model, **{**settings, "jwks_cafile": cafile}) as running:
                assert await status(running, site.issuer.token(time.time())) == 401
        assert site.asked == 0
