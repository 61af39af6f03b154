"""Logs are one line an event, and hold no person and no secret."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import pytest
from pydantic import BaseModel, ValidationError

from services.kit.telemetry.redaction import REDACTED, exception, hidden, redact, trace

PROGRAM = """
import logging, structlog
from services.kit.settings import Settings
from services.kit.telemetry.logs import configure_logging
configure_logging(Settings(database_url="x", log=KIND), "orders", "api")
structlog.get_logger("ours").info("placed", order="o-1", recipient={"phone": "13800000000"})
logging.getLogger("theirs").warning("lost %s", "postgresql://orders:hunter2@h/d")
"""


def lines(kind: str) -> list[str]:
    """Return the log lines of a process."""
    program = PROGRAM.replace("KIND", repr(kind))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ)
    return done.stdout.splitlines()


def test_json_lines_of_both_loggers() -> None:
    ours, theirs = map(json.loads, lines("json"))
    assert (ours["event"], ours["order"], ours["service"], ours["role"]) == ("placed", "o-1", "orders", "api")
    assert ours["recipient"] == REDACTED
    assert theirs["event"] == f"lost postgresql://orders:{REDACTED}@h/d"
    assert theirs["level"] == "warning"


def test_what_the_consumer_library_says_is_json_too() -> None:
    program = """
import logging
from services.kit.kafka import make_broker
from services.kit.settings import Settings
from services.kit.telemetry.logs import configure_logging
settings = Settings(database_url="x", log="json")
configure_logging(settings, "orders", "api")
make_broker(settings)
logging.getLogger("faststream").warning("Auto create topics is disabled")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stderr == ""
    assert json.loads(done.stdout)["event"] == "Auto create topics is disabled"


def test_console_lines() -> None:
    text = lines("console")
    assert len(text) == 2
    assert "placed" in text[0]
    assert "13800000000" not in "".join(text)


def test_redaction_reaches_every_depth() -> None:
    event = {
        "body": {"lines": [{"item": "pak-choi", "buyer_name": "Li"}], "address": "12 Lane"},
        "token": "t",
        "headers": {"Authorization": "Bearer t"},
        "market_day": "2026-05-01",
    }
    redacted = redact(None, "info", event)
    assert redacted["body"] == {"lines": [{"item": "pak-choi", "buyer_name": REDACTED}], "address": REDACTED}
    assert redacted["token"] == redacted["headers"]["Authorization"] == REDACTED
    assert redacted["market_day"] == "2026-05-01"


NAME, PHONE = "诸葛长乐", "13907312006"


class Person(BaseModel):
    """A model with all its fields in its text and in errors about it."""

    name: str
    phone: int


def failed() -> Exception:
    """A RuntimeError that repeats the words of a database error."""
    try:
        try:
            fields = {"C": "23514", "M": f"bad {NAME}", "D": f"Failing row contains ({NAME}, {PHONE})", "n": "no_zhuge"}
            raise asyncpg.CheckViolationError.new(fields)
        except asyncpg.PostgresError as error:
            raise RuntimeError(f"not stored: {error}") from error
    except RuntimeError as error:
        return error


def test_an_error_has_its_frames_and_not_the_words_that_quote_a_value() -> None:
    text = trace(failed())
    assert NAME not in text
    assert PHONE not in text
    assert "CheckViolationError: 23514 no_zhuge" in text
    assert "RuntimeError: not stored: CheckViolationError" in text
    assert text.count("in failed") == 2
    with pytest.raises(ValidationError) as wrong:
        Person.model_validate({"name": NAME, "phone": PHONE + NAME})
    assert trace(wrong.value).endswith("ValidationError: phone: int_parsing")
    group = trace(ExceptionGroup("two", [ValueError("nested"), wrong.value]))
    assert "ValueError: nested" in group
    assert NAME not in group


def test_a_message_that_repeats_the_error_says_its_type() -> None:
    error = failed().__cause__
    assert error
    event = exception(None, "error", {"event": f"never retrieved: <Task exception={error!r}>", "exc_info": error})
    assert event["event"] == "never retrieved: <Task exception=CheckViolationError>"


def test_what_is_no_plain_value_is_named_by_its_type() -> None:
    moment, id = datetime.now(UTC), UUID(int=13907312006)
    event = {"who": Person(name=NAME, phone=1), "at": moment, "id": id, "why": failed(), "all": {"one": [PHONE]}}
    found = redact(None, "info", event)
    assert (found["who"], found["at"], found["id"]) == ("<Person>", moment, id)
    assert found["why"] == "RuntimeError: not stored: CheckViolationError"
    assert found["all"] == {"one": [REDACTED]}
    keys = ("consignee", "text", "note")
    assert redact(None, "info", dict.fromkeys(keys, NAME)) == dict.fromkeys(keys, REDACTED)


@pytest.mark.parametrize("text", [PHONE, "+86 139-0731-2006", "打13907312006吧", "a8613907312006", "139 0731 2006"])
def test_a_mobile_number_is_hidden_wherever_it_stands(text: str) -> None:
    assert REDACTED in hidden(text)
    assert "2006" not in hidden(text)


@pytest.mark.parametrize("text", ["00000000-0000-0000-0000-a13907312006", "1390731200612", "2026-05-01"])
def test_ids_and_other_numbers_are_left(text: str) -> None:
    assert hidden(text) == text


def test_nothing_is_told_before_logging_is_configured() -> None:
    program = f"""
from services.kit.http import problems
from tests.unit.test_telemetry import failed
def handle(request):
    raise failed()
try:
    handle({{"name": "{NAME}", "phone": "{PHONE}"}})
except RuntimeError as error:
    problems.of(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ)
    assert "request failed" in done.stdout
    assert NAME not in done.stdout
    assert PHONE not in done.stdout


def test_an_error_that_ends_the_process_is_a_line_too() -> None:
    program = PROGRAM.replace("KIND", "'json'") + "\nfrom tests.unit.test_telemetry import failed\nraise failed()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=os.environ)
    assert done.returncode == 1
    assert json.loads(done.stdout.splitlines()[-1])["event"] == "the process ends with an error"
    assert NAME not in done.stdout + done.stderr
