"""The sections `auth`, `routes.*.auth` and `admin.auth`: who callers are, and what they may do.

A caller is known by its id: the scheme and its name there, `key:store-7`, `basic:till`, `certificate:pos-1`, and for
tokens the issuer's name, `jwt:alice`.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, SecretStr

from proxy.config.section import Section
from proxy.config.values import AnswerHeader, Count, DelayMs, Milliseconds, Template

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
SHA256 = re.compile(r"sha256:[0-9a-f]{64}")
SCRYPT = re.compile(r"scrypt:(1[0-9]|20):[0-9]{1,2}:[0-9]{1,2}:[A-Za-z0-9_-]{16,64}:[A-Za-z0-9_-]{43}")


def _name(value: str) -> str:
    if not value.isprintable() or not value.strip() or ":" in value or len(value) > 200:
        raise ValueError(f"{value!r} is no caller's name: write 1 to 200 printable characters, and no colon")
    return value


def _scheme(value: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,39}", value):
        raise ValueError(f"{value!r} is no name of a scheme: small letters, digits and '-', at most 40 of them")
    return value


def _scope(value: str) -> str:
    if not value or len(value) > 200 or not value.isprintable() or re.search(r"\s", value):
        raise ValueError(f"{value!r} is no scope: write 1 to 200 printable characters without a space")
    return value


def _hash(value: SecretStr) -> SecretStr:
    said = value.get_secret_value()
    if not SHA256.fullmatch(said) and not SCRYPT.fullmatch(said):
        raise ValueError("is no hash: `stepbridge key` makes a key and prints its hash, sha256:… or scrypt:…")
    return value


def _url(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", value):
        raise ValueError(f"{value!r} is no address: write https://host/path, without user, query or fragment")
    return value


def _one_or_more(value: Any) -> Any:
    return value if isinstance(value, (list, tuple)) else [value]


Name = Annotated[str, AfterValidator(_name)]
Scheme = Annotated[str, AfterValidator(_scheme)]
Scope = Annotated[str, AfterValidator(_scope)]
Hash = Annotated[SecretStr, AfterValidator(_hash)]
Hashes = Annotated[tuple[Hash, ...], BeforeValidator(_one_or_more, json_schema_input_type=str | list[str])]
Texts = Annotated[tuple[str, ...], BeforeValidator(_one_or_more, json_schema_input_type=str | list[str])]
Url = Annotated[str, AfterValidator(_url)]


class Caller(Section):
    """One that shows a key or a password."""

    name: Name = Field(description="Its name; with Basic its user name.")
    hash: Hashes = Field(
        min_length=1, max_length=2, description="Of its key or password, as `stepbridge key` prints it; two to rotate."
    )
    scopes: tuple[Scope, ...] = Field(default=(), description="What it may do, in words that routes ask for.")
    claims: dict[str, str] = Field(default={}, description="What is known of it, for rights and {claims.…}.")


class Callers(Section):
    """What stands in a file of callers, and in `auth` and `admin.auth` too."""

    keys: tuple[Caller, ...] = Field(default=(), description="Callers that show an API key.")
    basic: tuple[Caller, ...] = Field(default=(), description="Callers that show a user name and password.")


def _as_its_name(schema: dict[str, Any]) -> None:
    """In the file a file of callers is only its name."""
    title = schema["title"]
    schema.clear()
    schema |= {"title": title, "type": "string"}


class CallersFile(Callers):
    """A file of callers as the loader read it."""

    model_config = ConfigDict(json_schema_extra=_as_its_name)

    file: str


class Issuer(Section):
    """One whose signed tokens are taken (RFC 7519, OpenID Connect)."""

    name: Scheme = Field(default="jwt", description="Its name in ids, rights and metrics.")
    issuer: Url = Field(description="What its tokens have as `iss`, and where its keys are found (OpenID discovery).")
    audience: Texts = Field(min_length=1, description="What its tokens must have as `aud`: one of these.")
    algorithms: tuple[Algorithm, ...] = Field(
        default=("RS256",), min_length=1, description="Signatures that are taken, and no others."
    )
    jwks_url: Url | None = Field(default=None, description="Where its keys are; else as its discovery document says.")
    principal: str = Field(default="sub", description="The claim that names the caller.")
    scopes: str = Field(default="scope", description="The claim that holds its scopes: a list, or text with spaces.")
    leeway_ms: Annotated[DelayMs, Field(le=300_000)] = Field(
        default=30_000, description="How far clocks may differ: at most 300000."
    )
    refresh_ms: Milliseconds = Field(default=600_000, description="How often its keys are fetched anew.")
    stale_ms: Milliseconds = Field(
        default=86_400_000, description="While it cannot be reached its last keys are taken for so long."
    )


class Certificates(Section):
    """Callers that show a TLS client certificate, which the listener has verified."""

    principal: Literal["subject", "common_name", "dns", "uri", "email"] = Field(
        default="common_name",
        description="What of it names the caller: the subject, its common name, or the first name of that kind.",
    )
    scopes: tuple[Scope, ...] = Field(default=(), description="What all of them may do.")


class Auth(Callers):
    """Who callers are."""

    file: CallersFile | None = Field(default=None, description="File with more `keys` and `basic`, relative to this.")
    key_header: AnswerHeader = Field(
        default="X-Api-Key", description="Header that holds API keys; `Authorization: Bearer` may too."
    )
    jwt: tuple[Issuer, ...] = Field(default=(), description="Issuers of tokens.")
    certificates: Certificates | None = Field(default=None, description="Client certificates; needs `server.tls`.")
    forward: Literal["strip", "pass"] = Field(
        default="strip", description="What becomes of the credentials on the way to an upstream: strip or pass."
    )
    cache: Count = Field(default=10_000, description="Verified tokens and passwords that are remembered at one time.")

    @property
    def schemes(self) -> tuple[str, ...]:
        """The names of all that are configured."""
        named = {"key": self.all_keys, "basic": self.all_basic, "certificate": self.certificates}
        return (*(name for name, said in named.items() if said), *(issuer.name for issuer in self.jwt))

    @property
    def all_keys(self) -> tuple[Caller, ...]:
        """Those of the file too."""
        return (*self.keys, *(self.file.keys if self.file else ()))

    @property
    def all_basic(self) -> tuple[Caller, ...]:
        """Those of the file too."""
        return (*self.basic, *(self.file.basic if self.file else ()))


class AdminAuth(Callers):
    """Who operators are."""

    open: tuple[Literal["health", "metrics"], ...] = Field(
        default=("health",), description="What anyone may see: health (/healthz, /readyz), metrics."
    )


class Rights(Section):
    """What a caller needs. All that is written must hold."""

    schemes: tuple[Scheme, ...] | None = Field(
        default=None, min_length=1, description="How callers may show who they are: key, basic, certificate, issuers."
    )
    principals: tuple[Template, ...] | None = Field(
        default=None,
        min_length=1,
        description="Templates of ids, one of them the caller's: key:store-{path.store}.",
    )
    scopes: tuple[Template, ...] = Field(
        default=(), description="Templates of scopes, all of which the caller has: store:{path.store}."
    )
    claims: dict[str, Template] = Field(
        default={}, description="Claims the caller has: a template of the value, or of one of several, each."
    )


class RouteAuth(Rights):
    """`none` and `any` are the two that have a word of their own."""

    or_: tuple[Rights, ...] = Field(
        default=(), alias="or", description="Other rights: whoever has all of one of them may too."
    )

    @property
    def is_open(self) -> bool:
        """`none`: nobody is asked."""
        return self.schemes == ()

    @property
    def alternatives(self) -> tuple[Rights, ...]:
        return (self, *self.or_)


OPEN = RouteAuth.model_construct(schemes=())
ANYONE_KNOWN = RouteAuth()


def read_auth(value: Any) -> Any:
    """`auth: none` is no section: nobody is told apart."""
    if value == "none":
        return None
    if isinstance(value, str):
        raise ValueError(f"is {value!r}, must be none, or a mapping that says who callers are")
    return value


def read_route_auth(value: Any) -> Any:
    """`none`: nobody is asked; `any`: every caller that is known may."""
    if isinstance(value, str):
        if value not in ("none", "any"):
            raise ValueError(f"is {value!r}, must be none, any, or a mapping of what a caller needs")
        return OPEN if value == "none" else ANYONE_KNOWN
    return value


AuthSection = Annotated[Auth | None, BeforeValidator(read_auth, json_schema_input_type=Literal["none"] | Auth | None)]
AdminAuthSection = Annotated[
    AdminAuth | None, BeforeValidator(read_auth, json_schema_input_type=Literal["none"] | AdminAuth | None)
]
RouteAuthSection = Annotated[
    RouteAuth | None,
    BeforeValidator(read_route_auth, json_schema_input_type=Literal["none", "any"] | RouteAuth | None),
]
