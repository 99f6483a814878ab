"""From the credentials of a request to who asks; the same for REST and gRPC."""

import time
from pathlib import Path

from app.api.identity import ANONYMOUS, Identity
from app.api.keys import PREFIX, KeyRing
from app.api.keyset import KeySet
from app.api.problems import Problem
from app.api.tokens import Rules, TokenError, verify
from app.settings import Api

_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="llm-optimizer"'}


class Authenticator:
    """Made of the settings. Raises ``OSError``, ``KeysError``, ``TokenError`` when they cannot be used."""

    def __init__(self, api: Api) -> None:
        self._open = api.auth == "none"
        self._ring = KeyRing(Path(api.keys_file)) if api.keys_file else None
        self._keys = KeySet(api.jwks, api.jwks_cafile) if api.jwks else None
        self._rules = Rules(api.jwt_issuer, api.jwt_audience, api.jwt_skew_s, api.jwt_roles_claim)

    async def identify(self, authorization: str, api_key: str = "") -> Identity:
        """Who sent these headers (``Authorization: Bearer ...`` or ``X-API-Key``). ``Problem`` 401."""
        if self._open:
            return ANONYMOUS
        secret = api_key or _bearer(authorization)
        if secret.startswith(PREFIX):
            found = self._ring.find(secret, time.time()) if self._ring is not None else None
            if found is None:
                raise _refused("the API key is unknown or has expired")
            return found
        if self._keys is None:
            raise _refused("bearer tokens are not taken here: send an API key")
        try:
            return verify(secret, await self._keys.for_token(secret), self._rules)
        except TokenError as error:
            raise _refused(str(error)) from None


def _bearer(authorization: str) -> str:
    scheme, _, secret = authorization.partition(" ")
    if not secret.strip():
        raise _refused("send Authorization: Bearer TOKEN, or X-API-Key")
    if scheme.lower() != "bearer":
        raise _refused("only the scheme Bearer is taken")
    return secret.strip()


def _refused(why: str) -> Problem:
    return Problem(401, "unauthenticated", why, headers=_CHALLENGE)
