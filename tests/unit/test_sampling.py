"""Sampling of errors that clients can repeat: the first of a kind is logged in full, then a count at each doubling."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import structlog
import uvicorn

from services.kit.http import problems
from services.kit.telemetry import sampling
from services.kit.telemetry.sampling import Repeats, Sampled, is_logged, kind_of
from tests.stack import eventually


def fail(kind: type[Exception]) -> Exception:
    try:
        raise kind("some request")
    except kind as error:
        return error


def test_a_thousand_failures_of_a_kind_write_one_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """A traceback each would be 1.2 MB of log for a batch of 1 000 bad requests."""
    monkeypatch.setattr(problems, "_failures", Repeats())
    with structlog.testing.capture_logs() as lines:
        for _ in range(1000):
            assert problems.of(fail(ZeroDivisionError)).status == 500
        problems.of(fail(KeyError))
    assert [line["event"] for line in lines if "exc_info" in line] == ["request failed"] * 2
    assert [line["times"] for line in lines if "times" in line] == [2, 4, 8, 16, 32, 64, 128, 256, 512]
    assert {line["error"] for line in lines if "error" in line} == {"ZeroDivisionError"}


def test_kinds_are_told_apart_by_the_line_that_raised() -> None:
    def another() -> Exception:
        try:
            raise ZeroDivisionError("elsewhere")
        except ZeroDivisionError as error:
            return error

    assert kind_of(fail(ZeroDivisionError)) == kind_of(fail(ZeroDivisionError))
    assert len({kind_of(fail(ZeroDivisionError)), kind_of(fail(KeyError)), kind_of(another())}) == 3
    assert kind_of(ValueError("never raised")) == (ValueError, None)


def test_after_an_hour_the_next_is_the_first_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(sampling.time, "monotonic", lambda: now[0])
    repeats = Repeats()
    assert [repeats.count("a") for _ in range(3)] == [1, 2, 3]
    now[0] = sampling.PERIOD_S + 1
    assert repeats.count("a") == 1


def test_the_memory_of_kinds_is_bounded() -> None:
    repeats = Repeats()
    for n in range(5 * sampling.KINDS):
        repeats.count(n)
    assert len(repeats._seen) <= sampling.KINDS
    assert [n for n in range(1, 20) if is_logged(n)] == [1, 2, 4, 8, 16]


@contextmanager
def written() -> Iterator[list[str]]:
    """Collect the lines that the server's logger writes."""
    lines: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage() + (" with traceback" if record.exc_info else ""))

    logger, handler, sampled = logging.getLogger("uvicorn.error"), Kept(), Sampled()
    before, logger.filters, logger.propagate = logger.filters, [sampled], False
    logger.addHandler(handler)
    try:
        yield lines
    finally:
        logger.removeHandler(handler)
        logger.filters, logger.propagate = before, True


async def test_malformed_requests_do_not_fill_the_log() -> None:
    async def app(_scope: object, _receive: object, _send: object) -> None:
        raise AssertionError("no request gets here")

    config = uvicorn.Config(app, port=0, http="httptools", lifespan="off", log_config=None)  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    with written() as lines:
        serving = asyncio.create_task(server.serve())
        await eventually(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        for _ in range(20):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"\x16\x03 no HTTP\r\n\r\n")
            await reader.read()
            writer.close()
        server.should_exit = True
        await serving
    told = [line for line in lines if line.startswith("Invalid HTTP request")]
    assert told[0] == "Invalid HTTP request received."
    assert [re.findall(r"\d+", line) for line in told[1:]] == [["2"], ["4"], ["8"], ["16"]]


def test_an_error_in_the_server_has_one_traceback() -> None:
    with written() as lines:
        for _ in range(5):
            logging.getLogger("uvicorn.error").error("Exception in ASGI application", exc_info=fail(KeyError))
        logging.getLogger("uvicorn.error").info("left alone")
    assert [line.endswith("with traceback") for line in lines if "ASGI" in line] == [True, False, False]
