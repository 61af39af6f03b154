"""Settings of access alone."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.kit.errors import UnusableSettings
from services.kit.settings import load


class AccessSettings(BaseSettings):
    """`HALFDAY_ACCESS_PEPPER` keys the digests of codes, tokens and phones, `HALFDAY_ACCESS_KEY` encrypts the private
    signing keys and the TOTP secrets; no other process has them. Each has 64 hexadecimal digits (`openssl rand -hex
    32`), in the environment or as a file of that name in `HALFDAY_SECRETS_DIR`. A lost pepper ends all logins but
    devices, a lost key ends the TOTP of staff and the signing keys.

    `HALFDAY_OTP_FILE` is the file that codes for phones are written to (mode 0600), where no provider sends them.
    `HALFDAY_DOOR` is the address that people reach, for links and QR codes.
    """

    model_config = SettingsConfigDict(env_prefix="HALFDAY_", extra="ignore", frozen=True)

    access_pepper: SecretStr
    access_key: SecretStr
    otp_file: Path = Path("otp-codes.jsonl")
    door: str = Field(default="https://localhost", pattern=r"^https?://[^/?#\s]+$")

    def pepper(self) -> bytes:
        """Return the pepper. Raises `UnusableSettings`."""
        return _hex("HALFDAY_ACCESS_PEPPER", self.access_pepper)

    def key(self) -> bytes:
        """Return the encryption key. Raises `UnusableSettings`."""
        return _hex("HALFDAY_ACCESS_KEY", self.access_key)


@cache
def settings() -> AccessSettings:
    """Return the settings of this process, read once. Raises `UnusableSettings` with one line per wrong variable."""
    found = load(AccessSettings)
    found.pepper(), found.key()
    return found


def _hex(name: str, secret: SecretStr) -> bytes:
    try:
        found = bytes.fromhex(secret.get_secret_value())
    except ValueError:
        found = b""
    if len(found) != 32:
        raise UnusableSettings(f"{name}: expected 64 hexadecimal digits; make them with: openssl rand -hex 32")
    return found
