"""The certificate of the door's own authority, and the page on which a phone gets it."""

from __future__ import annotations

import hashlib
import ssl
from html import escape
from pathlib import Path
from string import Template

from deploy.local.data.files import write_private
from deploy.local.door.caddyfile import DoorSettings
from deploy.local.errors import StackError

CERTIFICATE = "halfday-ca.crt"
_PAGE = Path(__file__).with_name("trust.html")
_ROOT = Path("pki/authorities/local/root.crt")
"""Place of the root certificate in Caddy's storage."""


def publish(settings: DoorSettings) -> None:
    """Write the trust page and a copy of the root certificate, never of its key, to the folder of the trust page.

    Caddy has made the certificate when it listens.
    """
    assert settings.trust
    url = next(listener.url for listener in settings.listeners if listener.tls)
    text = Template(_PAGE.read_text()).substitute(
        url=escape(url), certificate=CERTIFICATE, fingerprint=fingerprint(settings.storage)
    )
    write_private(settings.trust.folder / CERTIFICATE, _certificate(settings.storage))
    write_private(settings.trust.folder / "index.html", text)


def fingerprint(storage: Path) -> str:
    """Return the SHA-256 of the root certificate as phones show it: pairs of hex digits with colons."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(_certificate(storage))).digest().hex(":").upper()


def _certificate(storage: Path) -> str:
    try:
        return (storage / _ROOT).read_text()
    except FileNotFoundError:
        raise StackError(f"Caddy made no certificate in {storage / _ROOT}") from None
