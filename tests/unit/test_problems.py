"""Errors as problem documents."""

from typing import Annotated, Any, Literal

import asyncpg
import orjson
import pytest
from pydantic import Field, ValidationError, model_validator
from starlette.requests import ClientDisconnect

from services.kit.errors import CommitUnknown, Overloaded, TooLarge
from services.kit.http import problems
from services.kit.http.body import Body


def test_a_problem_has_all_members() -> None:
    response = problems.unprocessable("/lines/0/item", "there is no such item").response("/v1/orders")
    assert (response.status_code, response.media_type) == (422, "application/problem+json")
    assert orjson.loads(response.body) == {
        "type": "urn:halfday:problem:unprocessable",
        "title": "Validation failed",
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
        (ClientDisconnect(), 400, "malformed"),
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


class Van(Body):
    kind: Literal["van"]
    door: str

    @model_validator(mode="after")
    def _open(self) -> "Van":
        if self.door == "shut":
            raise ValueError("the door is shut")
        return self


class Bag(Body):
    kind: Literal["bag"]
    grams: int


class Trip(Body):
    by: Annotated[Van | Bag, Field(discriminator="kind")]
    stops: list[int | str] = []


@pytest.mark.parametrize(
    ("content", "pointer", "message"),
    [
        ({"by": {"kind": "van"}}, "#/by/door", "Field required"),
        ({"by": {"kind": "bag", "grams": "x"}}, "#/by/grams", "unable to parse"),
        ({"by": {"kind": "van", "door": "shut"}}, "#/by", "the door is shut"),
        ({"by": {"kind": "van", "door": "a\0"}}, "#/by", "'door' holds a NUL character"),
        ({"by": {"kind": "cart"}}, "#/by", "does not match any of the expected tags"),
        ({"by": {"kind": "bag", "grams": 1}, "stops": [1, None]}, "#/stops/1", "valid integer"),
        ({"by": {"kind": "bag", "grams": 1, "a/b~": 1}}, "#/by/a~1b~0", "not permitted"),
        ({"by": {"kind": "bag", "grams": 1, "\ud800": 1}}, "#/by", "valid string"),
        (5, "#", "valid dictionary"),
        ({}, "#/by", "Field required"),
    ],
)
def test_pointers_lead_into_the_body(content: Any, pointer: str, message: str) -> None:
    with pytest.raises(ValidationError) as wrong:
        Trip.model_validate(content)
    problem = problems.invalid(wrong.value.errors(), content)
    assert problem.errors[0].pointer == pointer
    assert message in problem.errors[0].message
    assert not problem.errors[0].message.startswith("Value error")
    assert orjson.loads(problem.response("/v1/trips").body)["status"] == 422


def test_the_first_hundred_faults_are_named() -> None:
    content = {"by": {"kind": "bag", "grams": 1}, "stops": [None] * 1000}
    with pytest.raises(ValidationError) as wrong:
        Trip.model_validate(content)
    assert len(problems.invalid(wrong.value.errors(), content).errors) == 100
