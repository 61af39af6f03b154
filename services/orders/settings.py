"""The settings of orders, beside those that every service has."""

from __future__ import annotations

import base64
import binascii
import os
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, SecretStr, StringConstraints, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.kit.errors import UnusableSettings

ProviderName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,15}$")]


class StandardWebhooksSettings(BaseModel):
    """A provider that signs its callbacks as Standard Webhooks says; `secret` is `whsec_` and 24 to 64 bytes in
    base64.
    """

    kind: Literal["standard-webhooks"]
    secret: SecretStr

    @field_validator("secret")
    @classmethod
    def _is_base64(cls, secret: SecretStr) -> SecretStr:
        # The library skips characters that are not base64, so a secret of another form would be a shorter key.
        prefix, _, text = secret.get_secret_value().rpartition("_")
        try:
            size = len(base64.b64decode(text, validate=True))
        except binascii.Error:
            size = 0
        if prefix != "whsec" or not 24 <= size <= 64:
            raise ValueError('expected "whsec_" and 24 to 64 bytes in base64; make one with: openssl rand -base64 32')
        return secret


class OrderSettings(BaseSettings):
    """`HALFDAY_HOLD_TTL_S`: business seconds for which stock is held for a pending payment; of an order that came of a
    group-buy `HALFDAY_CAMPAIGN_HOLD_TTL_S`, because its member pays only once the group has formed.

    `HALFDAY_HOLD_QUOTA`: the most unpaid orders of a resident in a pool, and of a client without an account;
    `HALFDAY_ADDRESS_HOLD_QUOTA` of all clients without an account at one network address.

    `HALFDAY_PAYMENTS`: the payment providers by name, as JSON such as `{"simulator": {"kind": "standard-webhooks",
    "secret": "whsec_..."}}`, in the environment or as a file of that name in `HALFDAY_SECRETS_DIR`. Without one no
    callback is accepted.

    `HALFDAY_CAPABILITY_KEY`: the key of the capabilities of orders, of 32 characters or more (`openssl rand -hex 32`);
    no other service has it. Without one no one orders without an account. To replace it, move it to
    `HALFDAY_CAPABILITY_KEY_PREVIOUS` until the orders that were placed under it are 30 days past their end.

    `HALFDAY_MEMBER_KEY`: the key of the hashes of phones by which members are found, made in the same way; the API
    alone has it. Without it orders have no member; another one makes every person a new member.
    """

    model_config = SettingsConfigDict(env_prefix="HALFDAY_", extra="ignore", frozen=True)

    hold_ttl_s: int = Field(default=900, gt=0)
    campaign_hold_ttl_s: int = Field(default=7200, gt=0)
    hold_quota: int = Field(default=5, gt=0)
    address_hold_quota: int = Field(default=20, gt=0)
    capability_key: SecretStr | None = Field(default=None, min_length=32)
    capability_key_previous: SecretStr | None = Field(default=None, min_length=32)
    payments: dict[ProviderName, StandardWebhooksSettings] = Field(default_factory=dict, repr=False)
    member_key: SecretStr | None = Field(default=None, min_length=32)

    @classmethod
    def load(cls) -> Self:
        """Load the settings of this process. Raises `UnusableSettings` with one line per wrong variable."""
        try:
            return cls(_secrets_dir=os.environ.get("HALFDAY_SECRETS_DIR"))
        except ValidationError as wrong:
            found = (("_".join(map(str, e["loc"][:1])).upper(), e["msg"]) for e in wrong.errors(include_input=False))
            raise UnusableSettings("\n".join(f"HALFDAY_{name}: {text}" for name, text in found)) from None
