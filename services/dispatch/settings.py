"""Settings of dispatch alone."""

from __future__ import annotations

import os
from functools import cache

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class DispatchSettings(BaseSettings):
    """`HALFDAY_QUOTE_KEY` signs delivery promises; the API and the worker share it, and no other process has it.

    `HALFDAY_OSRM` or `HALFDAY_VALHALLA` is the address of a routing engine that measures the travel times of waves.
    """

    model_config = SettingsConfigDict(env_prefix="HALFDAY_", extra="ignore", frozen=True)

    quote_key: SecretStr | None = None
    osrm: str | None = None
    valhalla: str | None = None


@cache
def settings() -> DispatchSettings:
    """Return the settings of this process, read once."""
    return DispatchSettings(_secrets_dir=os.environ.get("HALFDAY_SECRETS_DIR"))


def quote_key() -> bytes | None:
    """Return the signing key; None if it is not set: then no promise is made and no quote is accepted."""
    found = settings().quote_key
    return found.get_secret_value().encode() if found else None
