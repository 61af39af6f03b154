"""The base class of every request body."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator


class Body(BaseModel):
    """Base of all request bodies: immutable; unknown fields are refused, and so is text that PostgreSQL can't store: a
    NUL character, or half of a surrogate pair.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="after")  # mode "before" would build Python objects from the JSON first
    def _text_can_be_stored(self) -> Self:
        for name, value in self.__dict__.items():
            if type(value) is str and not is_storable(value):
                raise ValueError(f"{name!r} holds a NUL character or half a surrogate pair")
        return self


def is_storable(text: str) -> bool:
    """Return true if PostgreSQL can store the text."""
    try:
        return (text.isascii() and "\x00" not in text) or b"\x00" not in text.encode()
    except UnicodeEncodeError:
        return False
