"""Errors as RFC 9457 `application/problem+json`: raise a `Problem` anywhere below a route."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import orjson
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from services.kit.database import is_transient
from services.kit.errors import Overloaded, TooLarge, UnusableId
from services.kit.telemetry.sampling import Repeats, is_logged, kind_of

_UNEXPECTED = "An unexpected error occurred and was logged (request id in X-Request-Id)"
_log = structlog.get_logger("halfday.http")
_failures = Repeats()
_MAX_ERRORS = 100
_CODES = {400: "malformed", 401: "unauthorized", 403: "forbidden", 404: "not-found", 405: "method-not-allowed"}
_CODES |= {409: "conflict", 413: "too-large", 415: "unsupported-media-type", 422: "unprocessable", 429: "too-many"}
_CODES |= {500: "internal", 503: "unavailable"}
TITLES = {400: "Malformed request", 401: "Unauthorized", 403: "Forbidden", 404: "Not found", 409: "Conflict"}
TITLES |= {413: "Content too large", 422: "Validation failed", 429: "Too many requests"}
TITLES |= {500: "Internal server error", 503: "Service unavailable"}
"""The title of a problem by its status, unless its code has one of its own."""
_TEXTS = ("type", "title", "detail", "instance", "code")
_ERROR = {"type": "object", "properties": {"pointer": {"type": "string"}, "message": {"type": "string"}}}
SCHEMA = {
    "type": "object",
    "required": [*_TEXTS, "status", "errors"],
    "properties": {name: {"type": "string"} for name in _TEXTS}
    | {"status": {"type": "integer"}, "errors": {"type": "array", "items": _ERROR}},
}
"""The schema of a problem document; `app` puts it among the components of the OpenAPI document."""
_CONTENT = {"content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}
RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {"description": "The request can't be carried out; the problem document says why", **_CONTENT},
    "5XX": {"description": "Server error. A 503 is safe to retry with the same Idempotency-Key.", **_CONTENT},
}
"""The error responses of every route in OpenAPI."""


@dataclass(frozen=True, slots=True)
class InputError:
    """One error of a request: its place (`#/lines/0/item` in the body, `query/limit` elsewhere) and the message."""

    pointer: str
    message: str


class Problem(Exception):
    """An error response. `code` is stable and for programs, `title` and `detail` are for people."""

    def __init__(
        self,
        status: int,
        code: str,
        title: str,
        detail: str = "",
        *,
        errors: Sequence[InputError] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {detail or title}")
        self.status, self.code, self.title, self.detail = status, code, title, detail
        self.errors, self.headers = tuple(errors), dict(headers or {})

    def body(self, instance: str) -> dict[str, Any]:
        """Return the members of the problem document for the request path `instance`."""
        return {
            "type": f"urn:halfday:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail or self.title,
            "instance": instance,
            "code": self.code,
            "errors": [{"pointer": e.pointer, "message": e.message} for e in self.errors],
        }

    def response(self, instance: str) -> Response:
        """Return the HTTP response with this problem."""
        content = orjson.dumps(self.body(instance))
        return Response(content, self.status, self.headers, media_type="application/problem+json")


def not_found(what: str) -> Problem:
    """Return a 404: `what` doesn't exist."""
    return Problem(404, "not-found", TITLES[404], f"{what} does not exist")


def conflict(detail: str, code: str = "conflict") -> Problem:
    """Return a 409: the request is well formed and contradicts the current state."""
    return Problem(409, code, TITLES[409], detail)


def unprocessable(pointer: str, message: str, code: str = "unprocessable") -> Problem:
    """Return a 422: one value is invalid; `pointer` is a JSON pointer into the body (`/lines/0/item`)."""
    return Problem(422, code, TITLES[422], message, errors=[InputError(_in_body(pointer), message)])


def unavailable(retry_after: int = 1, detail: str = "", code: str = "unavailable") -> Problem:
    """Return a 503: the outcome is unknown or a dependency is away; the same request with its key may be repeated."""
    detail = detail or "The outcome is unknown; repeat the same request with the same key"
    return Problem(503, code, TITLES[503], detail, headers={"Retry-After": str(retry_after)})


def unauthorized(detail: str) -> Problem:
    """Return a 401: no bearer token, or an unknown one."""
    return Problem(401, "unauthorized", TITLES[401], detail, headers={"WWW-Authenticate": "Bearer"})


def forbidden(detail: str) -> Problem:
    """Return a 403: a known caller that may not do this."""
    return Problem(403, "forbidden", TITLES[403], detail)


def out_of_scope(scopes: Sequence[str]) -> Problem:
    """Return a 403: a known caller with none of the scopes that this needs (RFC 6750, section 3.1)."""
    challenge = f'Bearer error="insufficient_scope", scope="{" ".join(scopes)}"'
    detail = f"This needs the scope {' or '.join(scopes)}"
    return Problem(403, "forbidden", TITLES[403], detail, headers={"WWW-Authenticate": challenge})


def install(app: FastAPI) -> None:
    """Make problem documents of the errors that routes are expected to raise; `ErrorMiddleware` answers the others."""
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    for kind in (Problem, Overloaded, TooLarge, UnusableId, asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        app.add_exception_handler(kind, _failed)


def invalid(errors: Sequence[Any], content: Any) -> Problem:
    """Return a 422 with pydantic's errors in `content`, the body as JSON values; the first hundred errors are named."""
    found = [InputError(_in_body(_pointer(e, e["loc"], content)), _message(e)) for e in errors[:_MAX_ERRORS]]
    return validation_failed(found)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if any(e["type"] == "json_invalid" for e in found):
        return Problem(400, "malformed", "Malformed JSON", str(found[0]["ctx"]["error"])).response(request.url.path)
    return validation_failed([_input_error(e, error.body) for e in found[:_MAX_ERRORS]]).response(request.url.path)


def validation_failed(errors: Sequence[InputError]) -> Problem:
    """Return a 422 with these errors, at least one; the detail names the first."""
    detail = f"{errors[0].pointer}: {errors[0].message}"
    return Problem(422, "unprocessable", TITLES[422], detail, errors=errors)


def _input_error(error: Any, content: Any) -> InputError:
    origin, *path = error["loc"]
    if origin == "body":
        return InputError(_in_body(_pointer(error, path, content)), _message(error))
    return InputError("/".join(map(str, error["loc"])), _message(error))


def _pointer(error: Any, path: Sequence[int | str], content: Any) -> str:
    """Return the JSON pointer of an error's place. Pydantic's place also names the branch of a union, which isn't in
    the body: parts that aren't found there are left out, except for a missing field.
    """
    found, here = [], content
    for n, part in enumerate(path):
        if isinstance(here, dict | list) and (part in here if isinstance(here, dict) else isinstance(part, int)):
            here = here[part]  # type: ignore[index]
        elif content is not None and not (n == len(path) - 1 and error["type"] == "missing"):
            continue
        found.append(f"/{str(part).replace('~', '~0').replace('/', '~1')}")
    return "".join(found)


def _message(error: Any) -> str:
    """Return the message of an error; that of our own rules without pydantic's "Value error, "."""
    own = error["type"] in {"value_error", "assertion_error"}
    return str(error["ctx"]["error"]) if own and error.get("ctx") else str(error["msg"])


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405 and (verb := _unknown_verb(request)):
        return not_found(f"action :{verb}").response(request.url.path)
    code = _CODES.get(error.status_code, "error")
    problem = Problem(error.status_code, code, str(error.detail), headers=dict(error.headers or {}))
    return problem.response(request.url.path)


def _unknown_verb(request: Request) -> str | None:
    """Return the `verb` of a path that ends with `:verb` where no route has it, else None."""
    _, is_one, verb = request.url.path.rpartition("/")[2].rpartition(":")
    known = any(path.endswith(f":{verb}") for path in request.app.openapi()["paths"])
    return verb if is_one and not known else None


async def _failed(request: Request, error: Exception) -> Response:
    return of(error).response(request.url.path)


def of(error: Exception) -> Problem:
    """Return the problem for an exception: transient is 503, overload 429, any unexpected one 500 and a log line.

    The first of a kind in an hour is logged with its traceback, then its count at each doubling: strangers must not be
    able to fill the log.
    """
    if isinstance(error, Problem):
        return error
    if isinstance(error, ClientDisconnect):  # the fault of the client, in no error log
        return Problem(400, "malformed", TITLES[400], "The connection ended before the body was complete")
    if isinstance(error, Overloaded):
        return Problem(429, "too-many", TITLES[429], str(error), headers={"Retry-After": "1"})
    if isinstance(error, UnusableId):
        return unprocessable("", str(error))
    if isinstance(error, TooLarge):
        return Problem(413, "too-large", TITLES[413], str(error))
    if isinstance(error, asyncpg.CharacterNotInRepertoireError | asyncpg.UntranslatableCharacterError):
        return Problem(422, "unprocessable", TITLES[422], "Text must not contain a NUL character")
    if is_transient(error):  # CommitUnknown too: it is a ConnectionError
        return unavailable()
    times = _failures.count(kind_of(error))
    if times == 1:
        _log.error("request failed", exc_info=error)
    elif is_logged(times):
        _log.error("request failed again", error=type(error).__name__, times=times)
    return Problem(500, "internal", TITLES[500], _UNEXPECTED)


def _in_body(pointer: str) -> str:
    return pointer if pointer.startswith("#") else f"#{pointer}"
