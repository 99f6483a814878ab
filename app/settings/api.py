"""The API: REST and gRPC over the read model, and who may ask."""

from typing import Annotated, Literal

from msgspec import Meta

from app.settings.section import Secret, Section

File = Annotated[str, Meta(max_length=4096)]


class Api(Section, frozen=True, kw_only=True):
    """`llm-optimizer serve`: addresses, who may ask, and what one caller may cost."""

    host: Annotated[
        str,
        Meta(min_length=1, description="Address to listen on. Anything but loopback needs auth = required."),
    ] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535, description="TCP port of REST; 0 takes a free one and logs it.")] = 8088
    grpc_port: Annotated[
        int, Meta(ge=-1, le=65_535, description="TCP port of gRPC; 0 takes a free one, -1 serves none.")
    ] = 50_051
    auth: Annotated[
        Literal["none", "required"],
        Meta(description="none: whoever reaches the port may do everything; only on loopback."),
    ] = "none"
    keys_file: Annotated[
        File,
        Meta(description="TOML file of API keys by hash (`llm-optimizer serve --new-key ID`); read again on change."),
    ] = ""
    jwks: Annotated[
        File,
        Meta(description="JSON Web Key Set that signs bearer tokens: a file, or an https address (http on loopback)."),
    ] = ""
    jwks_cafile: Annotated[
        File, Meta(description="PEM of the authority that vouches for the address of jwks; empty: the system's.")
    ] = ""
    jwt_issuer: Annotated[str, Meta(max_length=1000, description="Required `iss` of a token.")] = ""
    jwt_audience: Annotated[str, Meta(max_length=1000, description="Required `aud` of a token.")] = ""
    jwt_roles_claim: Annotated[
        str, Meta(min_length=1, max_length=200, description="Claim that lists roles: `viewer:*`, `operator:chat`...")
    ] = "roles"
    jwt_skew_s: Annotated[
        int, Meta(ge=0, le=300, description="How far the issuer's clock may be off when `exp` and `nbf` are judged.")
    ] = 30
    tls_certfile: Annotated[File, Meta(description="PEM certificate chain of the server; empty: no TLS.")] = ""
    tls_keyfile: Annotated[File, Meta(description="PEM key of tls_certfile.")] = ""
    tls_client_cafile: Annotated[
        File, Meta(description="PEM of the authorities whose client certificates are let in (mTLS); empty: none asked.")
    ] = ""
    database_url: Annotated[
        Secret,
        Meta(
            description="PostgreSQL that keeps the read model for any number of replicas, as in "
            "postgresql://user:password@host/name?sslmode=verify-full; needs the extra `postgres`. Empty: a SQLite file"
            " of each process under state.dir."
        ),
    ] = ""
    database_schema: Annotated[
        str,
        Meta(
            pattern="^[a-z_][a-z0-9_]{0,62}$",
            description="Schema of database_url that is filled, made when missing: one for each cluster.",
        ),
    ] = "llm_optimizer"
    max_body_bytes: Annotated[
        int, Meta(ge=1024, le=64 << 20, description="Largest request body; more is answered 413.")
    ] = 1 << 20
    max_depth: Annotated[int, Meta(ge=4, le=200, description="Deepest nesting of JSON in a request.")] = 32
    max_events: Annotated[int, Meta(ge=1, le=10_000, description="Most events in one request to /events.")] = 1000
    request_timeout_s: Annotated[
        float, Meta(gt=0, le=300, description="Time for a caller to send a request, and again for the answer to it.")
    ] = 10.0
    max_connections: Annotated[
        int, Meta(ge=1, le=100_000, description="Open connections; more are closed at once and counted.")
    ] = 500
    max_streams: Annotated[
        int, Meta(ge=0, le=100_000, description="Open event streams (`/stream`); more are answered 429 and counted.")
    ] = 100
    rate_per_s: Annotated[
        float, Meta(gt=0, le=1e6, description="Requests a caller may make in the long run; more is answered 429.")
    ] = 50.0
    rate_burst: Annotated[int, Meta(ge=1, le=1_000_000, description="Requests a caller may make at once.")] = 100
