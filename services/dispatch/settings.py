"""Settings of dispatch alone."""

from __future__ import annotations

from functools import cache
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.kit.settings import is_loopback, load

Key = Annotated[SecretStr, Field(min_length=32)]


class DispatchSettings(BaseSettings):
    """`HALFDAY_QUOTE_KEY` signs delivery promises; the API and the worker share it, and no other process has it. It has
    at least 32 characters (`openssl rand -hex 32`). When it is replaced, the one before becomes
    `HALFDAY_QUOTE_KEY_PREVIOUS` for a day, so that the promises that buyers hold still count.

    `HALFDAY_OSRM` or `HALFDAY_VALHALLA` is the address of a routing engine that measures the travel times of waves. It
    learns the position of every door, so elsewhere than on this machine it has to be reached over HTTPS.

    `HALFDAY_ROUTE_MARGIN_S`: business seconds after its slot for which a courier still sees the recipient of a job that
    was not ended.
    """

    model_config = SettingsConfigDict(env_prefix="HALFDAY_", extra="ignore", frozen=True)

    quote_key: Key | None = None
    quote_key_previous: Key | None = None
    osrm: str | None = None
    valhalla: str | None = None
    route_margin_s: int = Field(default=14_400, ge=0, le=86_400)

    @field_validator("osrm", "valhalla")
    @classmethod
    def _private(cls, address: str | None) -> str | None:
        parts = urlsplit(address or "https://none")
        if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
            raise ValueError(
                f"{address} would be sent the positions of doors in clear: use https, or an engine on this machine"
            )
        return address


@cache
def settings() -> DispatchSettings:
    """Return the settings of this process, read once. Raises `UnusableSettings` with one line per wrong variable."""
    return load(DispatchSettings)


def quote_keys() -> list[bytes]:
    """Return the keys that verify quotes; the first one signs. Without any no promise is made and no quote accepted."""
    found = (settings().quote_key, settings().quote_key_previous)
    return [key.get_secret_value().encode() for key in found if key]
