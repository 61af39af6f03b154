"""The settings that only dispatch has."""

from __future__ import annotations

import os
from functools import cache

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class DispatchSettings(BaseSettings):
    """`HALFDAY_QUOTE_KEY` signs delivery promises; api and worker have the same one, and nobody else has it.

    `HALFDAY_OSRM` or `HALFDAY_VALHALLA` is the address of a routing engine that waves' ways are taken from.
    """

    model_config = SettingsConfigDict(env_prefix="HALFDAY_", extra="ignore", frozen=True)

    quote_key: SecretStr | None = None
    osrm: str | None = None
    valhalla: str | None = None


@cache
def settings() -> DispatchSettings:
    """The settings of this process, read once."""
    return DispatchSettings(_secrets_dir=os.environ.get("HALFDAY_SECRETS_DIR"))


def quote_key() -> bytes | None:
    """The key of this process; None where it is not set: then no promise is given and none is believed."""
    found = settings().quote_key
    return found.get_secret_value().encode() if found else None
