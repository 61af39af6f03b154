"""Settings of dispatch alone."""

from __future__ import annotations

from functools import cache
from typing import Annotated

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.kit.settings import load

Key = Annotated[SecretStr, Field(min_length=32)]


class DispatchSettings(BaseSettings):
    """`HALFDAY_QUOTE_KEY` signs delivery promises; the API and the worker share it, and no other process has it. It has
    at least 32 characters (`openssl rand -hex 32`). When it is replaced, the one before becomes
    `HALFDAY_QUOTE_KEY_PREVIOUS` for a day, so that the promises that buyers hold still count.

    `HALFDAY_OSRM` or `HALFDAY_VALHALLA` is the address of a routing engine that measures the travel times of waves.
    """

    model_config = SettingsConfigDict(env_prefix="HALFDAY_", extra="ignore", frozen=True)

    quote_key: Key | None = None
    quote_key_previous: Key | None = None
    osrm: str | None = None
    valhalla: str | None = None


@cache
def settings() -> DispatchSettings:
    """Return the settings of this process, read once. Raises `UnusableSettings` with one line per wrong variable."""
    return load(DispatchSettings)


def quote_keys() -> list[bytes]:
    """Return the keys that verify quotes; the first one signs. Without any no promise is made and no quote accepted."""
    found = (settings().quote_key, settings().quote_key_previous)
    return [key.get_secret_value().encode() for key in found if key]
