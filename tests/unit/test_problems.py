"""Errors as problem documents."""

import asyncpg
import orjson
import pytest

from services.kit import problems
from services.kit.batcher import Overloaded
from services.kit.outbox import TooLarge
from services.kit.unit_of_work import CommitUnknown


def test_a_problem_has_all_members() -> None:
    response = problems.unprocessable("/lines/0/item", "there is no such item").response("/v1/orders")
    assert (response.status_code, response.media_type) == (422, "application/problem+json")
    assert orjson.loads(response.body) == {
        "type": "urn:halfday:problem:unprocessable",
        "title": "Unusable content",
        "status": 422,
        "detail": "there is no such item",
        "instance": "/v1/orders",
        "code": "unprocessable",
        "errors": [{"pointer": "#/lines/0/item", "message": "there is no such item"}],
    }


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (problems.conflict("taken"), 409, "conflict"),
        (problems.not_found("order 7"), 404, "not-found"),
        (Overloaded("5000 wait"), 429, "too-many"),
        (TooLarge("1 MB"), 413, "too-large"),
        (CommitUnknown("lost"), 503, "unavailable"),
        (asyncpg.CannotConnectNowError("starting up"), 503, "unavailable"),
        (ConnectionRefusedError("no"), 503, "unavailable"),
        (asyncpg.UniqueViolationError("bug"), 500, "internal"),
        (RuntimeError("hunter2"), 500, "internal"),
    ],
)
def test_what_an_error_means(error: Exception, status: int, code: str) -> None:
    problem = problems.of(error)
    assert (problem.status, problem.code) == (status, code)
    assert "hunter2" not in problem.detail


def test_who_may_try_again_is_told_when() -> None:
    assert problems.unavailable(retry_after=3).headers["Retry-After"] == "3"
    assert problems.of(Overloaded("x")).headers["Retry-After"] == "1"
