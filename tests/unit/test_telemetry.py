"""Logs are one line an event, and hold no person and no secret."""

import json
import os
import subprocess
import sys

from services.kit.telemetry import REDACTED, redact

PROGRAM = """
import logging, structlog
from services.kit.settings import Settings
from services.kit.telemetry import configure_logging
configure_logging(Settings(database_url="x", log=KIND), "orders", "api")
structlog.get_logger("ours").info("placed", order="o-1", recipient={"phone": "13800000000"})
logging.getLogger("theirs").warning("lost %s", "postgresql://orders:hunter2@h/d")
"""


def lines(kind: str) -> list[str]:
    """What a process logs."""
    program = PROGRAM.replace("KIND", repr(kind))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ)
    return done.stdout.splitlines()


def test_json_lines_of_both_loggers() -> None:
    ours, theirs = map(json.loads, lines("json"))
    assert (ours["event"], ours["order"], ours["service"], ours["role"]) == ("placed", "o-1", "orders", "api")
    assert ours["recipient"] == REDACTED
    assert theirs["event"] == f"lost postgresql://orders:{REDACTED}@h/d"
    assert theirs["level"] == "warning"


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
