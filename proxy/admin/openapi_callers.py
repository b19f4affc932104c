"""What the OpenAPI document says of callers: how they may show who they are, and what refusals look like."""

from proxy.admin.openapi_components import Json, ref
from proxy.config.callers import Auth, RouteAuth
from proxy.config.model import Config, Route


def security_schemes(config: Config) -> Json:
    """By the names that routes have them under."""
    if config.auth is None:
        return {}
    return {"securitySchemes": {name: _scheme(name, config.auth) for name in config.auth.schemes}}


def for_callers(operation: Json, route: Route, config: Config) -> Json:
    """The operation with what its callers need, where the route asks for them."""
    auth, said = config.auth, route.auth
    if auth is None or said is None or said.is_open:
        return operation
    refusals = {"401": ref("responses", "Problem401"), "403": ref("responses", "Problem403")}
    responses = dict(sorted({**operation["responses"], **refusals}.items()))
    return {**operation, "security": [{name: []} for name in _names(said, auth)], "responses": responses}


def _names(said: RouteAuth, auth: Auth) -> list[str]:
    """The schemes of each alternative that are configured."""
    named = [name for rights in said.alternatives for name in (rights.schemes or auth.schemes)]
    return [name for name in dict.fromkeys(named) if name in auth.schemes]


def _scheme(name: str, auth: Auth) -> Json:
    if name == "key":
        return {"type": "apiKey", "in": "header", "name": auth.key_header}
    if name == "basic":
        return {"type": "http", "scheme": "basic"}
    if name == "certificate":
        return {"type": "mutualTLS"}
    issuer = next(each for each in auth.jwt if each.name == name)
    return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": f"Tokens of {issuer.issuer}."}
