"""Bearer tokens: JSON Web Tokens (RFC 7519) of one issuer, by its key set (RFC 7517), after RFC 8725.

The algorithm is that of the key, never what the token asks for; no symmetric one is known here, so a public key cannot
be taken for a shared secret. Addresses of keys inside a token (jku, x5u, jwk) are not read.
"""

import json
from collections.abc import Mapping
from typing import Any

import jwt
import msgspec
from jwt.algorithms import get_default_algorithms

from app.api.identity import GrantError, Identity, grant

MAX_TOKEN = 8_192
MAX_KEYS = 100
_BY_TYPE = {("RSA", None): "RS256", ("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA"}
_ALGORITHMS = get_default_algorithms()


class TokenError(ValueError):
    """A token that is not let in; the message names the reason and nothing of the token."""


class Rules(msgspec.Struct, frozen=True):
    """What a token must say. ``roles_claim``: a list of ROLE:SERVICE; others in it are for other systems."""

    issuer: str
    audience: str
    skew_s: int
    roles_claim: str


Keys = Mapping[str, tuple[str, Any]]
"""Key id -> (algorithm, public key)."""


def parse_jwks(raw: bytes) -> Keys:
    """The signing keys of a set; those of a kind not used here are passed over. Raises ``TokenError``."""
    try:
        listed = json.loads(raw)["keys"]
        return dict(found for key in listed[:MAX_KEYS] if (found := _key(key)) is not None)
    except (ValueError, KeyError, TypeError, jwt.PyJWTError) as error:
        raise TokenError(f"the key set cannot be read: {type(error).__name__}") from None


def _key(key: Any) -> tuple[str, tuple[str, Any]] | None:
    algorithm = _BY_TYPE.get((key.get("kty"), key.get("crv")))
    if algorithm is None or key.get("use", "sig") != "sig" or key.get("alg", algorithm) != algorithm or "d" in key:
        return None
    return str(key.get("kid", "")), (algorithm, _ALGORITHMS[algorithm].from_jwk(key))


def kid_of(token: str) -> str:
    """Which key signed it, by its own word. Raises ``TokenError``."""
    if len(token) > MAX_TOKEN:
        raise TokenError("the token is too long")
    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError:
        raise TokenError("not a token") from None
    if header.get("crit"):
        raise TokenError("the token asks for an extension that is not known here")
    return str(header.get("kid", ""))


def verify(token: str, keys: Keys, rules: Rules) -> Identity:
    """Who comes with ``token``. Raises ``TokenError``."""
    kid = kid_of(token)
    chosen = keys.get(kid) or (next(iter(keys.values())) if len(keys) == 1 and not kid else None)
    if chosen is None:
        raise TokenError("signed with a key that is not in the set")
    algorithm, key = chosen
    try:
        claims = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=rules.audience,
            issuer=rules.issuer,
            leeway=rules.skew_s,
            options={"require": ["exp", "sub", "aud", "iss"]},
        )
    except jwt.PyJWTError as error:
        raise TokenError(_reason(error)) from None
    return Identity(f"jwt:{claims['sub']}"[:200], "user", _grants(claims.get(rules.roles_claim)))


def _grants(listed: Any) -> tuple[Any, ...]:
    found = []
    for text in listed if isinstance(listed, list) else []:
        try:
            found.append(grant(str(text)))
        except GrantError:
            continue
    return tuple(found)


def _reason(error: jwt.PyJWTError) -> str:
    """The kind of the error in words: its message might repeat what the token says."""
    words = {
        jwt.ExpiredSignatureError: "the token has expired",
        jwt.ImmatureSignatureError: "the token is not valid yet",
        jwt.InvalidAudienceError: "the token is for another audience",
        jwt.InvalidIssuerError: "the token is of another issuer",
        jwt.MissingRequiredClaimError: "the token lacks one of exp, sub, aud, iss",
        jwt.InvalidAlgorithmError: "the token's algorithm is not that of its key",
        jwt.InvalidSignatureError: "the signature is wrong",
    }
    return words.get(type(error), "the token is not valid")
