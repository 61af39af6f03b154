"""The certificate of the door's own authority, and the page on which a phone gets it."""

from __future__ import annotations

import hashlib
import socket
import ssl
from html import escape
from pathlib import Path
from string import Template

from deploy.local.data.files import write_private
from deploy.local.door import authority
from deploy.local.door.caddyfile import DoorSettings

CERTIFICATE = "halfday-ca.crt"
_PAGE = Path(__file__).with_name("trust.html")


def publish(settings: DoorSettings) -> None:
    """Write the trust page and a copy of the root certificate, never of its key, to the folder of the trust page."""
    assert settings.trust
    url = next(listener.url for listener in settings.listeners if listener.tls)
    text = Template(_PAGE.read_text()).substitute(
        url=escape(url),
        certificate=CERTIFICATE,
        fingerprint=fingerprint(settings),
        name=escape(authority.name_of(settings.certified_hosts)),
    )
    write_private(settings.trust.folder / CERTIFICATE, _certificate(settings))
    write_private(settings.trust.folder / "index.html", text)


def fingerprint(settings: DoorSettings) -> str:
    """Return the SHA-256 of the root certificate as phones show it: pairs of hex digits with colons."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(_certificate(settings))).digest().hex(":").upper()


def is_certified(settings: DoorSettings, address: str, port: int, host: str) -> bool:
    """Return whether a client that trusts the root gets a TLS connection for this host."""
    trusting = ssl.create_default_context(cafile=str(settings.authority / authority.CERTIFICATE))
    try:
        with (
            socket.create_connection((address, port), timeout=1) as raw,
            trusting.wrap_socket(raw, server_hostname=host),
        ):
            return True
    except OSError:
        return False


def _certificate(settings: DoorSettings) -> str:
    return (settings.authority / authority.CERTIFICATE).read_text()
