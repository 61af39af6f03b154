"""Redaction of logs: no person, no secret, and no text of an error that quotes values.

Values are hidden by their key; passwords in URLs and mobile numbers everywhere.
"""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Iterator, MutableMapping
from datetime import date, time, timedelta
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID

from contracts.values import MOBILE

REDACTED = "[redacted]"
_PRIVATE = re.compile(
    r"(^|_)name$|phone|address|token|password|secret|authorization|recipient|consignee|(^|_)(text|note)$|_url$|quote_key|capability",
    re.I,
)
_PASSWORD_IN_URL = re.compile(r"(\w+://[^:/@\s]+:)[^@\s]+@")
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PLAIN = (bool, int, float, date, time, timedelta, UUID, PurePath, Enum, type(None))
# By name: this module is imported first, and those are heavy.
_QUOTING = ("pydantic_core", "pydantic", "asyncpg")

Event = MutableMapping[str, Any]


def redact(_logger: Any, _method: str, event: Event) -> Event:
    """Processor: remove from the log event what may name a person or is a secret, at any depth."""
    for key, value in event.items():
        event[key] = value if key.startswith("_") else _redacted(key, value)  # those are the formatter's own
    return event


def exception(_logger: Any, _method: str, event: Event) -> Event:
    """Processor: replace the error of a log event by its text, with frames and without words that quote values."""
    error = event.pop("exc_info", None)
    if isinstance(error, tuple):
        error = error[1]
    elif error and not isinstance(error, BaseException):
        error = sys.exc_info()[1]
    if isinstance(error, BaseException):
        event["exception"] = trace(error)
        event["event"] = _without(str(event.get("event", "")), error)
    return event


def trace(error: BaseException) -> str:
    """Return the traceback of an error and of its causes: of each the frames and the text that may be logged."""
    return "\n".join(
        f"{how}Traceback (most recent call last):\n{''.join(traceback.format_tb(one.__traceback__))}{described(one)}"
        for one, how in _chain(error, set())
    )


def described(error: BaseException) -> str:
    """Return an error's type, and its text unless that quotes values."""
    name = type(error).__name__
    if _quotes(error):
        return f"{name}: {_facts(error)}".removesuffix(": ")
    text = _without(str(error), error)
    return f"{name}: {hidden(text)}" if text else name


def flaws(error: Any) -> str:
    """Return pydantic's errors as places and codes, never with the value."""
    found = error.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, e['loc'])) or 'value'}: {e['type']}" for e in found)


def hidden(text: str) -> str:
    """Return the text without passwords in URLs and mobile numbers."""
    return text if _ID.fullmatch(text) else MOBILE.sub(REDACTED, _PASSWORD_IN_URL.sub(rf"\1{REDACTED}@", text))


def _redacted(key: str, value: Any) -> Any:
    if _PRIVATE.search(key) and value is not None:
        return REDACTED
    if isinstance(value, dict):
        return {k: _redacted(str(k), v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted("", v) for v in value]
    if isinstance(value, str):
        return hidden(value)
    if isinstance(value, BaseException):
        return described(value)
    return value if isinstance(value, _PLAIN) else f"<{type(value).__name__}>"  # its text would show its fields


def _quotes(error: BaseException) -> bool:
    return any(one.__module__.partition(".")[0] in _QUOTING for one in type(error).__mro__)


def _facts(error: Any) -> str:
    if hasattr(error, "errors"):
        return flaws(error)
    names = ("sqlstate", "table_name", "column_name", "constraint_name")
    return " ".join(filter(None, (getattr(error, name, None) for name in names)))


def _chain(error: BaseException, seen: set[int]) -> Iterator[tuple[BaseException, str]]:
    """Yield the errors that led to this one, the first cause first, each with its relation to the one before."""
    seen.add(id(error))
    how = ""
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and id(before) not in seen:
        yield from _chain(before, seen)
        how = "which was the cause of\n" if error.__cause__ else "while that was handled\n"
    yield error, how
    for one in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
        if id(one) not in seen:
            yield from _chain(one, seen)


def _without(text: str, error: BaseException) -> str:
    """Return the text without the words of errors that quote values, where it repeats them."""
    for one, _ in _chain(error, set()):
        if _quotes(one):
            for words in filter(None, (str(one), repr(one), *map(str, one.args))):
                text = text.replace(words, type(one).__name__)
    return text
