"""What clients may send: the base of every request body."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator


class Body(BaseModel):
    """Base of all request bodies: immutable, and a field that it doesn't know is refused.

    So is text that PostgreSQL can't store: a NUL character, or half of a surrogate pair.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="after")  # a validator that comes before would turn JSON into Python's objects for itself
    def _text_can_be_stored(self) -> Self:
        for name, value in self.__dict__.items():
            if type(value) is str and not is_storable(value):
                raise ValueError(f"{name!r} holds a NUL character or half a surrogate pair")
        return self


def is_storable(text: str) -> bool:
    """Whether PostgreSQL can keep the text."""
    try:
        return (text.isascii() and "\x00" not in text) or b"\x00" not in text.encode()
    except UnicodeEncodeError:
        return False
