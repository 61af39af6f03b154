"""The settings of orders, beside those that every service has."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class OrderSettings(BaseSettings):
    """`HALFDAY_HOLD_TTL_S`: business seconds for which stock is held for a pending payment."""

    model_config = SettingsConfigDict(env_prefix="HALFDAY_", extra="ignore", frozen=True)

    hold_ttl_s: int = Field(default=900, gt=0)
