"""Settings of a process from its environment. Every name starts with `HALFDAY_`; argv and logs hold no secrets."""

from __future__ import annotations

import json
import os
from ipaddress import ip_address
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from services.kit.errors import UnusableSettings

T = TypeVar("T", bound=BaseSettings)


def load(kind: type[T]) -> T:
    """Return settings from the environment and the files in `HALFDAY_SECRETS_DIR`. Raises `UnusableSettings` with one
    line per wrong variable.
    """
    try:
        return kind(_secrets_dir=os.environ.get("HALFDAY_SECRETS_DIR"))
    except ValidationError as wrong:
        raise UnusableSettings("\n".join(f"{_variable(e['loc'])}: {e['msg']}" for e in wrong.errors())) from None


class Settings(BaseSettings):
    """The settings of one service process; immutable.

    Values come from variables, or from files of the same name in `HALFDAY_SECRETS_DIR`. `tokens` maps a role to
    the SHA-256 hex digest of its bearer token. `prefix` is put before every topic and consumer group. `instance`
    is stable over restarts: it is the Kafka client id and static group member. `http_host` is the address to listen on;
    in a container it is `0.0.0.0`. `http_port` is that of the API under `/v1`, `health_port` that of the operations
    pages (`/ready`, `/metrics`, documents), which every process has. `clock` is the source of business time: empty for
    real time, `file:PATH` or `postgres` for a clock that a demo day drives (`clock_feed.py`). Months of the access log
    are dropped `access_log_days` days after their end.

    Tokens, which act for anybody, and crash points (`FAULT`, see `faults.py`) are refused unless `http_host` is
    loopback.
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
    access_log_days: int = Field(default=400, ge=1, le=36500)
    instance: str = ""
    log: Literal["json", "console"] = "json"
    fault: str = Field(default="", validation_alias="FAULT")

    @classmethod
    def load(cls) -> Self:
        """Load the settings of this process. Raises `UnusableSettings` with one line per wrong variable."""
        return load(cls)

    @field_validator("tokens", mode="before")
    @classmethod
    def _tokens_from_json(cls, given: Any) -> Any:
        try:
            return json.loads(given) if isinstance(given, str) else given
        except ValueError:
            raise ValueError('this is not JSON such as {"operator": "<sha256>"}') from None

    @field_validator("tokens", "fault")
    @classmethod
    def _on_this_machine_only(cls, given: Any, info: ValidationInfo) -> Any:
        host = info.data.get("http_host")
        if given and host and not is_loopback(host):
            raise ValueError(_ELSEWHERE[info.field_name or ""].format(host))
        return given

    @property
    def security_protocol(self) -> str:
        """Return `SASL_PLAINTEXT` when a Kafka user is given, else `PLAINTEXT`."""
        return "SASL_PLAINTEXT" if self.kafka_username else "PLAINTEXT"


def is_loopback(host: str) -> bool:
    """Return True for an address, or the name `localhost`, that only this machine reaches."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


_ELSEWHERE = {
    "tokens": "local tokens act for anybody and are for loopback, but HALFDAY_HTTP_HOST is {}; unset HALFDAY_TOKENS, "
    "and invite the first member of staff with: python -m services.access invite-admin",
    "fault": "crash points are for tests on loopback, but HALFDAY_HTTP_HOST is {}; unset FAULT",
}


def _variable(loc: tuple[int | str, ...]) -> str:
    name = "_".join(map(str, loc)).upper()
    return name if name == "FAULT" else f"HALFDAY_{name}"
