"""JSON responses: entity tags, pages and their headers, byte for byte."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from uuid import UUID

import pytest
from asyncpg.pgproto.pgproto import UUID as DriverUUID
from pydantic import BaseModel
from starlette.requests import Request

from services.kit.http import responses

ID = "0192f0c1-2b3c-7d4e-8f5a-6b7c8d9e0f1a"


class Thing(BaseModel):
    id: UUID
    at: datetime


def asked(tag: str | None = None, method: str = "GET") -> Request:
    headers = [(b"if-none-match", tag.encode())] if tag else []
    return Request({"type": "http", "method": method, "headers": headers})


def test_a_model_and_plain_values_become_json() -> None:
    at = datetime(2026, 5, 1, tzinfo=UTC)
    assert responses.json(Thing(id=UUID(ID), at=at)).body == f'{{"id":"{ID}","at":"2026-05-01T00:00:00Z"}}'.encode()
    plain = responses.json({"id": DriverUUID(ID), "at": at}, 201, {"Location": "/v1/things"})
    assert plain.body == f'{{"id":"{ID}","at":"2026-05-01T00:00:00+00:00"}}'.encode()
    assert (plain.status_code, plain.headers["location"]) == (201, "/v1/things")


def test_the_tag_is_the_version() -> None:
    answer = responses.etag(asked(), {"n": 1}, 7, cache=responses.NO_STORE)
    assert (answer.status_code, answer.body) == (200, b'{"n":1}')
    assert (answer.headers["etag"], answer.headers["cache-control"]) == ('"7"', "no-store")
    same = responses.etag(asked('"7"'), {"n": 1}, 7, cache=responses.NO_STORE)
    assert (same.status_code, same.body, same.headers["etag"]) == (304, b"", '"7"')
    assert same.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("tag", [None, '"7"'])
def test_a_tag_holds_for_one_credential(tag: str | None) -> None:
    assert responses.etag(asked(tag), {"n": 1}, 7).headers["vary"] == "Authorization"


def test_without_a_version_the_tag_is_the_digest_of_the_bytes() -> None:
    tag = f'"{hashlib.sha256(b"[]").hexdigest()[:32]}"'
    answer = responses.etag(asked('"0"'), [])
    assert (answer.status_code, answer.body, answer.headers["etag"]) == (200, b"[]", tag)
    assert "cache-control" not in answer.headers
    assert responses.etag(asked(tag), []).status_code == 304


def test_only_a_get_is_answered_with_304() -> None:
    answer = responses.etag(asked('"7"', "PUT"), {}, 7, status=201)
    assert (answer.status_code, answer.body) == (201, b"{}")


@pytest.mark.parametrize(("limit", "following"), [(2, b"4"), (3, b"null")])
def test_a_full_page_names_the_cursor_of_the_next(limit: int, following: bytes) -> None:
    found = responses.page([{"n": 3}, {"n": 4}], limit, "n", "rows")
    assert found.body == b'{"rows":[{"n":3},{"n":4}],"next":' + following + b"}"
    assert responses.next_cursor([], 1, "n") is None
