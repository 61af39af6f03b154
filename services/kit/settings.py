"""Settings of a process from its environment. Every name starts with `HALFDAY_`; argv and logs hold no secrets."""

from __future__ import annotations

import json
import os
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from services.kit.errors import UnusableSettings


class Settings(BaseSettings):
    """The settings of one service process; immutable.

    Values come from variables, or from files of the same name in `HALFDAY_SECRETS_DIR`. `tokens` maps a role to
    the SHA-256 hex digest of its bearer token. `prefix` is put before every topic and consumer group. `instance`
    is stable over restarts: it is the Kafka client id and static group member. `http_host` is the address to listen on;
    in a container it is `0.0.0.0`. `http_port` is that of the API under `/v1`, `health_port` that of the operations
    pages (`/ready`, `/metrics`, documents), which every process has. `clock` is the source of business time: empty for
    real time, `file:PATH` or `postgres` for a clock that a demo day drives (`clock_feed.py`).
    """

    model_config = SettingsConfigDict(env_prefix="HALFDAY_", extra="ignore", frozen=True)

    database_url: str = Field(repr=False)
    kafka_bootstrap: str = "127.0.0.1:9092"
    kafka_username: str | None = None
    kafka_password: str | None = Field(default=None, repr=False)
    prefix: str = ""
    http_host: str = "127.0.0.1"
    http_port: int = Field(default=0, ge=0, le=65535)
    health_port: int = Field(default=0, ge=0, le=65535)
    tokens: Annotated[dict[str, str], NoDecode] = Field(default_factory=dict, repr=False)
    clock: str = Field(default="", pattern=r"^(file:.+|postgres)?$")
    instance: str = ""
    quote_key: str | None = Field(default=None, repr=False)
    log: Literal["json", "console"] = "json"

    @classmethod
    def load(cls) -> Self:
        """Load the settings of this process. Raises `UnusableSettings` with one line per wrong variable."""
        try:
            return cls(_secrets_dir=os.environ.get("HALFDAY_SECRETS_DIR"))
        except ValidationError as wrong:
            lines = [f"HALFDAY_{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in wrong.errors()]
            raise UnusableSettings("\n".join(lines)) from None

    @field_validator("tokens", mode="before")
    @classmethod
    def _tokens_from_json(cls, given: Any) -> Any:
        try:
            return json.loads(given) if isinstance(given, str) else given
        except ValueError:
            raise ValueError('this is not JSON such as {"operator": "<sha256>"}') from None

    @property
    def security_protocol(self) -> str:
        """Return `SASL_PLAINTEXT` when a Kafka user is given, else `PLAINTEXT`."""
        return "SASL_PLAINTEXT" if self.kafka_username else "PLAINTEXT"
