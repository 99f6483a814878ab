"""The API in this process, over the world of the read model's tests; orders and events go to lists instead of a broker.

What goes to a broker is tested once, with one (``tests/e2e/test_serve.py``).
"""

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from app.adapters.kafka.command_log import CommandLogError
from app.adapters.readmodel.feed import Lag
from app.adapters.readmodel.model import Model
from app.adapters.readmodel.sqlite import SqliteStore
from app.api.auth import Authenticator
from app.api.context import Parts
from app.api.events_in import Taken
from app.api.hub import Hub
from app.api.keys import new_key
from app.api.limits import Guards
from app.api.orders import Orders
from app.api.routes import ROUTES
from app.api.select import Selector
from app.api.server import Server
from app.core.commands import Command
from app.core.ids import stable_id
from app.settings import Api, Settings
from tests.adapters.readmodel.worlds import ABOUT, ROLES, records

ISSUER, AUDIENCE = "https://issuer.test", "llm-optimizer"


class Log:
    def __init__(self) -> None:
        self.sent: list[tuple[Command, str, dict[str, str]]] = []
        self.down = False

    def send(self, command: Command, *, id_: str = "", extensions: Any = ()) -> str:
        if self.down:
            raise CommandLogError("no broker")
        self.sent.append((command, id_ or stable_id(len(self.sent)), dict(extensions)))
        return self.sent[-1][1]


class Events:
    """Reads events as the real one does, keeps what it would send."""

    def __init__(self) -> None:
        from app.adapters.codec import make_decode

        self._decode = make_decode()
        self.accepted = self.rejected = 0
        self.values: list[bytes] = []

    async def take(self, who: Any, values: list[bytes]) -> Taken:
        from app.api.events_in import Refused, _why_not

        found = [(index, _why_not(who, self._decode(value, ())), value) for index, value in enumerate(values)]
        self.values += [value for _, why, value in found if why is None]
        rejected = [Refused(index=index, reason=why.reason, detail=why.detail) for index, why, _ in found if why]
        return Taken(accepted=len(values) - len(rejected), rejected=rejected)


class StillFeed:
    lag = Lag(records=3, asked_s=0.5, caught_up=False)

    def wait(self, timeout_s: float) -> bool:
        return True


class Running(msgspec.Struct):
    url: str
    session: aiohttp.ClientSession
    log: Any
    events: Any
    server: Any
    keys: dict[str, str]

    async def ask(self, method: str, path: str, key: str = "", **more: Any) -> tuple[int, Any, Any]:
        headers = {**({"X-API-Key": key} if key else {}), **more.pop("headers", {})}
        async with self.session.request(method, self.url + path, headers=headers, **more) as answer:
            raw = await answer.read()
            body = msgspec.json.decode(raw) if "json" in answer.content_type and raw else raw
            return answer.status, body, answer.headers

    async def get(self, path: str, key: str = "", **more: Any) -> tuple[int, Any, Any]:
        return await self.ask("GET", "/api/v1" + path, key, **more)

    async def post(self, path: str, body: Any = None, key: str = "", **more: Any) -> tuple[int, Any, Any]:
        return await self.ask("POST", "/api/v1" + path, key, json=body, **more)


def world(folder: Path) -> Model:
    store = SqliteStore(folder / "api.sqlite", ROLES, ABOUT)
    store.take(records())
    return Model(store)


def keys_file(folder: Path, roles: dict[str, tuple[str, ...]]) -> tuple[Path, dict[str, str]]:
    secrets, text = {}, ""
    for name, listed in roles.items():
        secrets[name], entry = new_key(name, listed)
        text += entry
    path = folder / "keys.toml"
    path.write_text(text)
    return path, secrets


def parts_over(model: Model, **api: Any) -> Parts:
    log: Any = Log()
    events: Any = Events()
    feed: Any = StillFeed()
    selector = Selector(model)
    selector.refresh()
    chosen = Api(**{"rate_per_s": 1e6, "rate_burst": 10**6, **api})
    guards = Guards(chosen.max_connections, chosen.request_timeout_s)
    return Parts(Settings(api=chosen), model, feed, Orders(log, model), events, selector, guards, Hub(model))


@asynccontextmanager
async def api(model: Model, keys: dict[str, str] | None = None, **settings: Any):
    parts = parts_over(model, **settings)
    server = Server(parts, ROUTES, Authenticator(parts.settings.api))
    runner, listening, port = await server.listen("127.0.0.1", 0)
    scheme = "https" if parts.settings.api.tls_certfile else "http"
    try:
        async with aiohttp.ClientSession() as session:
            yield Running(f"{scheme}://127.0.0.1:{port}", session, parts.orders._log, parts.events, server, keys or {})
    finally:
        listening.close()
        await runner.cleanup()
        await asyncio.sleep(0)


class Issuer:
    """A real issuer's key set, with one key of each kind; their ids begin with ``name``."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.private: dict[str, Any] = {
            "RS256": rsa.generate_private_key(public_exponent=65537, key_size=2048),
            "ES256": ec.generate_private_key(ec.SECP256R1()),
            "EdDSA": ed25519.Ed25519PrivateKey.generate(),
        }

    def jwks(self) -> bytes:
        listed = []
        for name, key in self.private.items():
            algorithm: Any = jwt.get_algorithm_by_name(name)
            made = algorithm.to_jwk(key.public_key(), as_dict=True)
            listed.append({**made, "kid": self.name + name, "use": "sig"})
        return msgspec.json.encode({"keys": listed})

    def token(self, now_s: float, algorithm: str = "RS256", **claims: Any) -> str:
        known = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ana", "exp": now_s + 60, "roles": ["viewer"]}
        chosen = {name: value for name, value in {**known, **claims}.items() if value is not None}
        return jwt.encode(chosen, self.private[algorithm], algorithm, headers={"kid": self.name + algorithm})
